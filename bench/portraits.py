"""Paints the insides of fitted nets for reports, which know no torch."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bench.data.datasets import Dataset
from bench.errors import ArchitectureError, StoreError, first_line
from bench.files import read_regular
from bench.nets.fingerprint import architecture_hash
from bench.pictures import Portrait, StageMaps
from bench.seeds import Stream, derive_seed
from bench.training.arithmetic import fixed_arithmetic
from bench.training.building import build_model
from bench.training.generators import seed_generators
from bench.training.tensors import to_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from bench.records import RunRecord
    from bench.spec import Architecture

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
        model = _load_model(record, architecture, results)
        seed_generators(derive_seed(record.seed, Stream.DROPOUT, architecture=architecture.name))  # some draw in eval
        ran: list[nn.Module] = []
        stages: tuple[StageMaps, ...] = ()
        try:
            stages = _watch(model, _standardise(dataset, chosen[shown]), ran)
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


def _standardise(dataset: Dataset, chosen: NDArray[np.int64]) -> Tensor:
    """Images of the pool as nets are trained on them, (K, C, H, W); the test set is left out of it altogether."""
    images, labels = dataset.pool_images[chosen], dataset.pool_labels[chosen]
    few = Dataset(
        facts=dataset.facts, pool_images=images, pool_labels=labels, test_images=images[:0], test_labels=labels[:0]
    )
    return to_device(few, torch.device("cpu"), with_test=False).pool


def _load_model(record: RunRecord, architecture: Architecture, results: Path) -> nn.Module:
    """The printed net with the run's final weights, in eval mode."""
    if architecture_hash(architecture) != record.architecture_hash:
        raise ArchitectureError(f"The file of '{architecture.name}' was edited since it was trained; run it again.")
    path = results / record.checkpoint
    try:
        content = read_regular(path)
    except OSError as fault:
        raise StoreError(f"Weights '{path}' cannot be read ({fault.strerror}); fix that and run again.") from fault
    if hashlib.sha256(content).hexdigest() != record.checkpoint_hash:
        raise StoreError(f"Weights '{path}' are not those that were stored; train the run again with --fresh.")
    model = build_model(architecture, record.seed).cpu()
    model.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    model.eval()  # a net's own eval() may return nothing
    return model


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
