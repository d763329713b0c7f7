"""Keeps what pictures of a report are made from: images of the data, and what a fitted net makes of some of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bench.core.errors import ArchitectureError, BenchError, DiedError, first_line
from bench.core.events import Note
from bench.core.pictures import DataPictures, Portrait, StageMaps
from bench.core.seeds import Stream, derive_seed
from bench.data.datasets import Dataset, load_dataset
from bench.data.tensors import standardise
from bench.models.determinism import fixed_arithmetic, seed_generators
from bench.models.trained import load_weights
from bench.system.process import call_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from bench.core.architecture import Architecture
    from bench.core.metadata import DatasetFacts
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest, Workplace
    from bench.store.store import Store

SAMPLES = 3
"""Images of each class that are kept of the training pool."""
SHOWN_CLASSES = (0, 3, 8)
"""Classes whose first sample goes through a net, where they exist; others take the place of those that do not."""
CHANNELS = 32
"""Maps kept of a layer, the first ones: more are too small to be looked at."""

_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_SKIPPED = (*_DROPOUT, nn.Flatten, nn.Identity)
"""Layers that change nothing of an image in eval mode."""


def choose_samples(dataset: Dataset) -> NDArray[np.int64]:
    """Indices into the pool: the first images of each class, class after class."""
    labels = dataset.pool_labels
    return np.concatenate([np.flatnonzero(labels == label)[:SAMPLES] for label in np.unique(labels)])


def paint(
    record: RunRecord,
    architecture: Architecture,
    *,
    dataset: Dataset,
    results: Path,
    announce: Callable[[str], None] | None = None,
) -> Portrait:
    """Show three training images to the net that a run has fitted and keep what its layers make of them.

    The net is the one its source prints, in eval mode, on the CPU with one thread. Of each leaf module that runs there
    is one stage, in order of first execution, with its first 32 channels; each image's stage is scaled by itself, over
    the channels that are kept. What is called as a function (`functional.relu`) has no stage, nor have dropout,
    flattening and identity. Of flat outputs only those of linear layers are kept.

    Args:
        record: A run that ended well.
        architecture: Its net.
        dataset: What it was trained on; test images are not looked at.
        results: The results directory.
        announce: Is told in a line when the layers cannot be watched; the portrait then has no stages.

    Raises:
        ArchitectureError: The net's file is not the one that was trained.
        StoreError: The weights cannot be read, or are not those of the run.
    """
    chosen = choose_samples(dataset)
    shown = _choose_shown(dataset.pool_labels[chosen])
    with fixed_arithmetic("cpu"):
        model = load_weights(record, architecture, results)
        seed_generators(derive_seed(record.seed, Stream.DROPOUT, architecture=architecture.name))  # some draw in eval
        ran: list[nn.Module] = []
        stages: tuple[StageMaps, ...] = ()
        try:
            stages = _watch(model, standardise(dataset.pool_images[chosen[shown]], dataset.facts), ran)
            fault = "none of its layers is a module that can be watched"
        except (Exception, SystemExit) as failure:  # noqa: BLE001 - what a net does with hooks is its own affair
            fault = first_line(failure)
    if not stages and announce is not None:
        announce(f"{architecture.name}: its layers cannot be shown ({fault}); its runs are stored.")
    return Portrait(run_id=record.run_id, images=shown, filters=_find_filters([*ran, *model.modules()]), stages=stages)


def _choose_shown(sample_labels: NDArray[np.int64]) -> NDArray[np.int32]:
    """Which of the samples go through a net: the first of three classes."""
    classes, firsts = np.unique(sample_labels, return_index=True)
    order = sorted(range(len(classes)), key=lambda number: (classes[number] not in SHOWN_CLASSES, number))
    return np.sort(firsts[order[: len(SHOWN_CLASSES)]]).astype(np.int32)


def _watch(model: nn.Module, images: Tensor, ran: list[nn.Module]) -> tuple[StageMaps, ...]:
    """What the leaf modules of a net make of images; those that ran are appended to `ran`, in order."""
    stages: dict[str, StageMaps] = {}

    def watch(name: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            ran.append(module)
            if name not in stages and _is_shown(module, output, len(images)):
                assert isinstance(output, torch.Tensor)  # noqa: S101 - as just found
                stages[name] = _make_stage(name, module, output)  # now: what follows may change it in place

        module.register_forward_hook(hook)

    for name, module in model.named_modules():
        if next(module.children(), None) is None and not isinstance(module, _SKIPPED):
            watch(name, module)
    with torch.no_grad():  # not inference mode: a net may take gradients within its forward
        model(images)
    return tuple(stages.values())


def _is_shown(module: nn.Module, output: object, images: int) -> bool:
    if not isinstance(output, torch.Tensor) or not output.is_floating_point() or not output.numel():
        return False
    is_flat = output.ndim == 2 and isinstance(module, nn.Linear)
    return (is_flat or output.ndim == 4) and len(output) == images  # a single number has no length


def _make_stage(name: str, module: nn.Module, output: Tensor) -> StageMaps:
    values = np.nan_to_num(output[:, :CHANNELS].float().numpy())  # (K, C, H, W) or (K, F)
    flat = values.reshape(len(values), -1).astype(np.float64)
    lows, highs = flat.min(axis=1, keepdims=True), flat.max(axis=1, keepdims=True)
    span = np.where(highs > lows, highs - lows, 1.0)
    levels = np.rint((flat - lows) / span * 255).astype(np.uint8)
    return StageMaps(
        layer=name,
        kind=type(module).__name__,
        maps=levels.reshape(*values.shape, *([1] * (4 - values.ndim))),
        lows=lows[:, 0].astype(np.float32),
        highs=highs[:, 0].astype(np.float32),
    )


def _find_filters(modules: Sequence[nn.Module]) -> NDArray[np.float32]:
    """Weights of the first convolution, (F, C, kh, kw); empty without one."""
    first = next((module for module in modules if isinstance(module, nn.Conv2d)), None)
    if first is None:
        return np.zeros((0, 0, 0, 0), dtype=np.float32)
    weights: NDArray[np.float32] = first.weight.detach().float().numpy().copy()
    return weights


_SECONDS = 60.0
"""When painting a net counts as hung; it takes about a second."""


def portray(
    requests: Sequence[RunRequest], *, facts: DatasetFacts, workplace: Workplace, store: Store
) -> Iterator[Note]:
    """Keep images of a dataset and one portrait a cohort, where the store lacks them; it takes about a second.

    What is damaged there is lacking. A cohort's portrait is of its good run with the smallest seed that has weights.

    Args:
        requests: Runs on the dataset, ended or not.
        facts: The dataset.
        workplace: Where the data and the weights lie.
        store: Where runs are kept.

    Yields:
        A line for each thing that could not be painted; the runs are stored all the same.
    """
    architectures = {request.id: request.architecture for request in requests}
    records = sorted(store.runs.counted(architectures).values(), key=lambda record: record.seed)
    store.artifacts.forget_damaged(facts.data_hash, [record.run_id for record in records])
    lacking = [(record, architectures[record.request_id]) for record in _lacking(records, workplace, store)]
    has_pictures = store.artifacts.has_pictures(facts.data_hash)
    if has_pictures and not lacking:
        return
    try:
        dataset = load_dataset(facts.name, workplace.data_dir, expected_hash=facts.data_hash)
    except BenchError as fault:
        yield Note(text=f"The report goes without new pictures: {fault}")
        return
    if not has_pictures:
        store.artifacts.add_pictures(facts.data_hash, take_pictures(dataset))
    few = _take_samples(dataset)
    for record, architecture in lacking:
        try:
            portrait, said = _paint(record, architecture, few, workplace)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - the runs are stored; a picture must not hide them
            said = [f"{architecture.name}: no picture of its insides ({first_line(fault)}); its runs are stored."]
        else:
            store.artifacts.add_portrait(portrait)
        yield from (Note(text=line) for line in said)


def _take_samples(dataset: Dataset) -> Dataset:
    """What of a dataset portraits are made from."""
    chosen = choose_samples(dataset)
    return dataclasses.replace(
        dataset,
        pool_images=dataset.pool_images[chosen],
        pool_labels=dataset.pool_labels[chosen],
        test_images=dataset.test_images[:0],
        test_labels=dataset.test_labels[:0],
    )


def _paint(
    record: RunRecord, architecture: Architecture, few: Dataset, workplace: Workplace
) -> tuple[Portrait, list[str]]:
    """A portrait and what is to be said of it, made in a process of its own where that can load the net."""
    if architecture.file is None:
        return paint_here(record, architecture, few, workplace.results)
    try:
        answer = call_apart(paint_here, record, architecture, few, workplace.results, limit_seconds=_SECONDS)
    except DiedError as death:
        raise ArchitectureError(f"its process {death}") from death
    if answer.fault is not None:
        raise answer.fault
    painted: tuple[Portrait, list[str]] = answer.value
    return painted


def paint_here(
    record: RunRecord, architecture: Architecture, few: Dataset, results: Path
) -> tuple[Portrait, list[str]]:
    """`bench.studies.pictures.paint`, and what it announces."""
    said: list[str] = []
    return paint(record, architecture, dataset=few, results=results, announce=said.append), said


def take_pictures(dataset: Dataset) -> DataPictures:
    """The images of a dataset that reports show."""
    chosen = choose_samples(dataset)
    return DataPictures(
        test=dataset.test_images,
        samples=dataset.pool_images[chosen],
        sample_labels=dataset.pool_labels[chosen].astype(np.uint8),
        sample_indices=chosen.astype(np.int32),
    )


def _lacking(records: Sequence[RunRecord], workplace: Workplace, store: Store) -> list[RunRecord]:
    """The run to paint of each cohort that has no portrait."""
    portrayed = store.artifacts.portrayed([record.run_id for record in records])
    done = {record.cohort for record in records if record.run_id in portrayed}
    found: dict[str, RunRecord] = {}
    for record in records:
        has_weights = record.status == "ok" and record.checkpoint and (workplace.results / record.checkpoint).is_file()
        if has_weights and record.cohort not in done:
            found.setdefault(record.cohort, record)
    return list(found.values())
