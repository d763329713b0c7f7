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
from bench.data.datasets import Dataset, load_decoded
from bench.data.tensors import standardise
from bench.models.determinism import fixed_arithmetic, seed_generators
from bench.models.trained.layers import is_shown, leaf_layers
from bench.models.trained.model import load_weights
from bench.system.process import call_apart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from bench.core.architecture import Architecture
    from bench.core.metadata import DatasetMetadata
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest, Workplace
    from bench.store.store import Store

SAMPLES = 3
"""Images of each class that are kept of the training pool."""
SHOWN_CLASSES = (0, 3, 8)
"""Classes whose first sample goes through a net, where they exist; others take the place of those that do not."""
CHANNELS = 32
"""Maps kept of a layer, the first ones: more are too small to be looked at."""

_SECONDS = 60.0
"""When painting a net counts as hung; it takes about a second."""


def choose_samples(dataset: Dataset) -> NDArray[np.int64]:
    """Indices into the pool: the first images of each class, class after class."""
    labels = dataset.pool_labels
    return np.concatenate([np.flatnonzero(labels == label)[:SAMPLES] for label in np.unique(labels)])


def paint(record: RunRecord, architecture: Architecture, dataset: Dataset, results: Path) -> tuple[Portrait, str]:
    """Show three training images to the net that a run has fitted and keep what its layers make of them.

    The net is the one its source prints, in eval mode, on the CPU with one thread. Of each leaf module that runs there
    is one stage, in order of first execution, with its first 32 channels; each image's stage is scaled by itself, over
    the channels that are kept. What is called as a function (`functional.relu`) has no stage, nor have dropout,
    flattening and identity. Of flat outputs only those of linear layers are kept. Test images are not looked at.

    Returns:
        The portrait, and what is to be said when the layers cannot be watched; it then has no stages.

    Raises:
        ArchitectureError: The net's file is not the one that was trained.
        StoreError: The weights cannot be read, or are not those of the run.
    """
    chosen = choose_samples(dataset)
    classes, firsts = np.unique(dataset.pool_labels[chosen], return_index=True)
    order = sorted(range(len(classes)), key=lambda number: (classes[number] not in SHOWN_CLASSES, number))
    shown = np.sort(firsts[order[: len(SHOWN_CLASSES)]]).astype(np.int32)  # which of the samples go through the net
    with fixed_arithmetic("cpu"):
        model = load_weights(record, architecture, results)
        seed_generators(derive_seed(record.seed, Stream.DROPOUT, architecture=architecture.name))  # some draw in eval
        ran: list[nn.Module] = []
        stages: tuple[StageMaps, ...] = ()
        try:
            stages = _watch(model, standardise(dataset.pool_images[chosen[shown]], dataset.metadata), ran)
            fault = "none of its layers is a module that can be watched"
        except (Exception, SystemExit) as failure:  # noqa: BLE001 - what a net does with hooks is its own affair
            fault = first_line(failure)
    said = "" if stages else f"{architecture.name}: its layers cannot be shown ({fault}); its runs are stored."
    filters = np.zeros((0, 0, 0, 0), dtype=np.float32)  # (F, C, kh, kw)
    for module in (*ran, *model.modules()):
        if isinstance(module, nn.Conv2d):  # the first one
            filters = module.weight.detach().float().numpy().copy()
            break
    return Portrait(run_id=record.run_id, images=shown, filters=filters, stages=stages), said


def _take(dataset: Dataset, chosen: NDArray[np.int64]) -> Dataset:
    """Some images of the pool; the test set is left out of it altogether."""
    return dataclasses.replace(
        dataset,
        pool_images=dataset.pool_images[chosen],
        pool_labels=dataset.pool_labels[chosen],
        test_images=dataset.pool_images[:0],
        test_labels=dataset.pool_labels[:0],
    )


def _watch(model: nn.Module, images: Tensor, ran: list[nn.Module]) -> tuple[StageMaps, ...]:
    """What the leaf modules of a net make of images; those that ran are appended to `ran`, in order."""
    stages: dict[str, StageMaps] = {}

    def watch(name: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            ran.append(module)
            if name not in stages and is_shown(module, output, len(images)):
                assert isinstance(output, torch.Tensor)  # noqa: S101 - as just found
                stages[name] = _make_stage(name, module, output)  # now: what follows may change it in place

        module.register_forward_hook(hook)

    for name, module in leaf_layers(model):
        watch(name, module)
    with torch.no_grad():  # not inference mode: a net may take gradients within its forward
        model(images)
    return tuple(stages.values())


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


def portray(
    requests: Sequence[RunRequest], *, metadata: DatasetMetadata, workplace: Workplace, store: Store
) -> Iterator[Note]:
    """Keep images of a dataset and one portrait a cohort, where the store lacks them; it takes about a second.

    What is damaged there is lacking. A cohort's portrait is of its good run with the smallest seed that has weights.

    Yields:
        A line for each thing that could not be painted; the runs are stored all the same.
    """
    architectures = {request.id: request.architecture for request in requests}
    records = sorted(store.runs.counted(architectures).values(), key=lambda record: record.seed)
    run_ids = [record.run_id for record in records]
    store.artifacts.forget_damaged(metadata.data_hash, run_ids)
    portrayed = store.artifacts.portrayed(run_ids)
    done = {record.cohort for record in records if record.run_id in portrayed}
    lacking: dict[str, RunRecord] = {}
    for record in records:
        has_weights = record.status == "ok" and record.checkpoint and (workplace.results / record.checkpoint).is_file()
        if has_weights and record.cohort not in done:
            lacking.setdefault(record.cohort, record)
    has_pictures = store.artifacts.has_pictures(metadata.data_hash)
    if has_pictures and not lacking:
        return
    try:
        dataset = load_decoded(metadata.name, workplace.data_dir, expected_hash=metadata.data_hash)
    except BenchError as fault:
        yield Note(text=f"The report goes without new pictures: {fault}")
        return
    if not has_pictures:
        store.artifacts.add_pictures(metadata.data_hash, take_pictures(dataset))
    few = _take(dataset, choose_samples(dataset))
    for record in lacking.values():
        architecture = architectures[record.request_id]
        try:
            portrait, said = _paint_apart(record, architecture, few, workplace.results)
        except (Exception, SystemExit) as fault:  # noqa: BLE001 - the runs are stored; a picture must not hide them
            said = f"{architecture.name}: no picture of its insides ({first_line(fault)}); its runs are stored."
        else:
            store.artifacts.add_portrait(portrait)
        if said:
            yield Note(text=said)


def _paint_apart(record: RunRecord, architecture: Architecture, few: Dataset, results: Path) -> tuple[Portrait, str]:
    """`paint` in a process of its own, where that can load the net."""
    if not architecture.can_be_sent:
        return paint(record, architecture, few, results)
    try:
        answer = call_apart(paint, record, architecture, few, results, limit_seconds=_SECONDS)
    except DiedError as death:
        raise ArchitectureError(f"its process {death}") from death
    if answer.fault is not None:
        raise answer.fault
    painted: tuple[Portrait, str] = answer.value
    return painted


def take_pictures(dataset: Dataset) -> DataPictures:
    """The images of a dataset that reports show."""
    chosen = choose_samples(dataset)
    return DataPictures(
        test=dataset.test_images,
        samples=dataset.pool_images[chosen],
        sample_labels=dataset.pool_labels[chosen].astype(np.uint8),
        sample_indices=chosen.astype(np.int32),
    )
