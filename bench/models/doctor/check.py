"""Checks of an architecture before any training: a net that cannot work is refused in one line that says why."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench.core.errors import ArchitectureError, UnfitError, first_line
from bench.data.catalogue import DATASETS
from bench.models.build import build_model
from bench.models.counts import count_architecture
from bench.models.determinism import fixed_arithmetic
from bench.models.doctor.proof import prove
from bench.models.process_state import kept_surroundings
from bench.system.python_file import is_own_fault, line_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureMetadata, DatasetMetadata
    from bench.data.datasets import Sample

IMAGES = 2
"""Images in the trial batch: more than one, so that a net that mixes images up is seen."""
_TRACE = "trace the shapes in its forward"
_OF_SHAPES = ("shape", "size", "dimension", "channels")
"""Words of errors that shapes make."""
_SQUEEZE = "squeeze() drops a batch of one as well: write flatten(1) in its place"


def check(architecture: Architecture, sample: Sample, *, device: str, engine: str = "torch") -> ArchitectureMetadata:
    """Build the net, try it on batches of zeros in both modes and on images in training, and count it.

    Nothing of the process is left changed, and no random stream moves. The sample is of the dataset that it shall be
    trained on, on a kind of device, as the engine ("torch" or "lanes") will run it.

    Raises:
        ArchitectureError: The net does not fit the dataset, cannot be built or run, returns something else than logits,
            has nothing to train, shares weights between runs, or has other counts than its file declares.
    """
    _check_fit(architecture, sample.metadata)
    file = architecture.file
    kept = kept_surroundings(file, who=f"{architecture.name} ({file.name}): ") if file else contextlib.nullcontext()
    with kept:
        with fixed_arithmetic("cpu"):
            model = _build(architecture)
            for training in (True, False):
                _check_logits(architecture, model, images=IMAGES, training=training)
            _check_logits(architecture, model, images=1, training=False)  # what is counted and timed
            with _blamed(architecture, "counting its operations"):
                metadata = count_architecture(architecture)
        _check_counts(architecture, metadata)
        blamed = functools.partial(_blamed, architecture, fix="fix its file")
        try:
            proof = prove(architecture, sample, device=device, engine=engine, blamed=blamed)
            return dataclasses.replace(metadata, proof=proof)
        except UnfitError as fault:
            raise _refusal(architecture, f"{fault}.") from fault


def _refusal(architecture: Architecture, fault: str, *, line: str = "") -> ArchitectureError:
    place = f" ({architecture.file.name}{line})" if architecture.file else ""
    return ArchitectureError(f"{architecture.name}{place}: {fault}")


@contextlib.contextmanager
def _blamed(architecture: Architecture, doing: str, *, fix: str = "") -> Iterator[None]:
    """Turn what the net raises into one line that names the file, its innermost line and the way out."""
    try:
        yield
    except BaseException as error:
        if not is_own_fault(architecture.file, error):
            raise
        line = line_in(architecture.file, error) if architecture.file else ""
        fix = fix or (_TRACE if any(word in first_line(error).lower() for word in _OF_SHAPES) else "fix its forward")
        raise _refusal(architecture, f"{doing} raised {first_line(error)}; {fix}.", line=line) from error


def _check_fit(architecture: Architecture, dataset: DatasetMetadata) -> None:
    takes = (architecture.input_shape, architecture.classes)
    has = (dataset.image_shape, len(dataset.classes))
    if takes != has:
        taken, there = ("×".join(map(str, shape)) for shape in (architecture.input_shape, dataset.image_shape))
        raise ArchitectureError(
            f"{architecture.name} takes {taken} images in {takes[1]} classes; {dataset.name} has {there} in {has[1]}; "
            f"{_dataset_for(*takes)}, or leave this architecture out."
        )


def _dataset_for(image_shape: tuple[int, ...], classes: int) -> str:
    """Which dataset to choose for such images in so many classes, as the end of a sentence."""
    found = [of.name for of in DATASETS.values() if (of.image_shape, len(of.classes)) == (tuple(image_shape), classes)]
    return f"choose --dataset {found[0]}" if found else "choose a --dataset of such images"


def _other_images(architecture: Architecture, model: nn.Module) -> str:
    """What to do where the first layer takes other images than are declared; empty where it does not, or may not."""
    channels, height, width = architecture.input_shape
    declared = f"{channels}×{height}×{width}"
    layer = next((module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)), None)
    fix = "declare input_shape=(channels, height, width), and choose a --dataset of such images"
    if isinstance(layer, nn.Conv2d) and layer.in_channels not in (0, channels):  # 0 until a lazy one has run
        return f"its first convolution takes {layer.in_channels} channels, not those of {declared} images: {fix}"
    if isinstance(layer, nn.Linear) and layer.in_features > channels * height * width:
        values = f"{layer.in_features:,} values, where a {declared} image has {channels * height * width:,}"
        return f"its first linear layer takes {values}: {fix}"
    return ""


def _build(architecture: Architecture) -> nn.Module:
    with _blamed(architecture, "building the net", fix="fix its file"):
        model: object = build_model(architecture, 0)
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise _refusal(architecture, f"build returned a {kind}, expected a torch.nn.Module; fix its file.")
    return model.cpu()


def _check_logits(architecture: Architecture, model: nn.Module, *, images: int, training: bool) -> None:
    shape, expected = (images, *architecture.input_shape), (images, architecture.classes)
    mode = "training" if training else "eval"
    doing = f"a batch of shape {shape} in {mode} mode"
    with _blamed(architecture, doing, fix=_other_images(architecture, model)), torch.set_grad_enabled(training):
        model.train(training)
        logits = model(torch.zeros(shape, dtype=torch.float32))
    if not isinstance(logits, torch.Tensor):
        fault = f"in {mode} mode the net returned a {type(logits).__name__}"
        raise _refusal(architecture, f"{fault}, expected logits as one tensor of shape {expected}: return those alone.")
    if tuple(logits.shape) != expected:
        fault = f"logits have shape {tuple(logits.shape)} for a batch of shape {shape}, expected {expected}"
        squeezed = images == 1 and tuple(logits.shape) == expected[1:]
        raise _refusal(architecture, f"{fault}; {_SQUEEZE if squeezed else _TRACE}.")
    if training and not logits.requires_grad and any(parameter.requires_grad for parameter in model.parameters()):
        fault = "in training mode its logits have no gradient, as under torch.no_grad or after detach, argmax or .data"
        raise _refusal(architecture, f"{fault}, so nothing would be trained; compute them with gradients.")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise _refusal(architecture, "the net has no parameter that can be trained; add one or set requires_grad.")


def _check_counts(architecture: Architecture, metadata: ArchitectureMetadata) -> None:
    pairs = [("params", architecture.params, metadata.params), ("macs", architecture.macs, metadata.macs)]
    wrong = [
        f"{name}={declared:_} is declared, the net has {counted:_}"
        for name, declared, counted in pairs
        if declared not in (None, counted)
    ]
    if wrong:
        raise _refusal(architecture, f"{'; '.join(wrong)}; correct the declaration or the net.")
