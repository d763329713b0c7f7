"""The preflight: a net that cannot be run is refused in one line that says why, and how to run another is chosen."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.core.errors import ArchitectureError, MisfitError, UnfitError, first_line
from bench.data.catalogue import DATASETS
from bench.data.tensors import standardise
from bench.models.build import build_model, take_logits
from bench.models.counts import count_architecture
from bench.models.determinism import fixed_arithmetic
from bench.models.doctor.checks.declared import find_wrong_counts
from bench.models.doctor.checks.shapes import explain
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
_SQUEEZE = "squeeze() drops a batch of one as well: write flatten(1) in its place"


def check(architecture: Architecture, sample: Sample, *, device: str, engine: str = "torch") -> ArchitectureMetadata:
    """Build the net, try it on images in both modes and take steps, and count it.

    Nothing of the process is left changed, and no random stream moves. The sample is of the dataset that it shall be
    trained on, on a kind of device, as the engine ("torch" or "lanes") will run it.

    Raises:
        MisfitError: The net cannot take the images or the classes of the dataset.
        ArchitectureError: It cannot be built or run, returns something else than logits, has nothing to train, shares
            weights between runs, or has other counts than its file declares.
    """
    check_fit(architecture, sample.metadata)
    file, images = architecture.file, standardise(sample.images, sample.metadata)
    kept = kept_surroundings(file, who=f"{architecture.name} ({file.name}): ") if file else contextlib.nullcontext()
    with kept:
        with fixed_arithmetic("cpu"):
            run_fitted(architecture, images)
            with _blamed(architecture, "counting its operations"):
                metadata = count_architecture(architecture)
        _check_counts(architecture, metadata)
        blamed = functools.partial(_blamed, architecture, fix="fix its file")
        try:
            proof = prove(architecture, sample, device=device, engine=engine, blamed=blamed)
            return dataclasses.replace(metadata, proof=proof)
        except UnfitError as fault:
            raise _refusal(architecture, f"{fault}.") from fault


def run_fitted(architecture: Architecture, images: Tensor) -> None:
    """Build a net and run it on few of the images, (N, C, H, W) with more than `IMAGES`, in both modes.

    Raises:
        MisfitError: It fails on these and runs on the images that it is declared for.
        ArchitectureError: It fails, or returns something else than logits.
    """
    try:
        _run(architecture, images)
    except MisfitError:
        raise
    except ArchitectureError as fault:
        if architecture.fitted_from is None or not _runs(architecture.fitted(*architecture.fitted_from), len(images)):
            raise
        shape, classes = architecture.fitted_from
        takes = f"{architecture.name} takes {_spell(shape)} images in {classes} classes"
        but = f"cannot take {_spell(architecture.input_shape)} images in {architecture.classes}"
        raise MisfitError(f"{takes} and {but}: {fault}") from fault.__cause__


def _runs(architecture: Architecture, images: int) -> bool:
    try:
        _run(architecture, torch.randn((images, *architecture.input_shape), generator=torch.Generator()))
    except ArchitectureError:
        return False
    return True


def _run(architecture: Architecture, images: Tensor) -> None:
    model = _build(architecture)
    try:
        _check_logits(architecture, model, images[:IMAGES], training=True)
    except MisfitError:
        raise
    except ArchitectureError:  # no run trains on so few: partial batches are dropped
        if not _trains_on(architecture, model, images):
            raise
    _check_logits(architecture, model, images[:IMAGES], training=False)
    _check_logits(architecture, model, images[:1], training=False)  # what is counted and timed


def _trains_on(architecture: Architecture, model: nn.Module, images: Tensor) -> bool:
    try:
        _check_logits(architecture, model, images, training=True)
    except ArchitectureError:
        return False
    return True


def _refusal(architecture: Architecture, fault: str, *, line: str = "", check: str = "runs") -> ArchitectureError:
    place = f" ({architecture.file.name}{line})" if architecture.file else ""
    return ArchitectureError(f"{architecture.name}{place}: {fault}", check=check)


@contextlib.contextmanager
def _blamed(architecture: Architecture, doing: str, *, fix: str = "", check: str = "runs") -> Iterator[None]:
    """Turn what the net raises into one line that names the file, its innermost line and the way out."""
    try:
        yield
    except BaseException as error:
        if not is_own_fault(architecture.file, error):
            raise
        if isinstance(error, MisfitError) and (architecture.fitted_from or architecture.undeclared):
            raise _misfit(architecture, error) from error
        line = line_in(architecture.file, error) if architecture.file else ""
        if isinstance(error, SystemExit):
            fix = "take exit() out of it"
        fix = "leave it out" if architecture.library else fix or "fix its forward"
        text = f"{doing} raised {first_line(error)}; {fix}."
        raise _refusal(architecture, text, line=line, check=check) from error


def _misfit(architecture: Architecture, why: MisfitError) -> MisfitError:
    """What a net says of images that it cannot be fitted to, in whole words."""
    _, height, width = architecture.input_shape
    fix = "choose a --dataset of other images, or leave this architecture out"
    return MisfitError(f"{architecture.name} cannot take {height}×{width} images: {first_line(why)}; {fix}.")


def _spell(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def check_fit(architecture: Architecture, dataset: DatasetMetadata) -> None:
    """Raises MisfitError when a net takes other images or classes than those of a dataset."""
    takes = (architecture.input_shape, architecture.classes)
    has = (dataset.image_shape, len(dataset.classes))
    if takes != has:
        taken, there = _spell(architecture.input_shape), _spell(dataset.image_shape)
        raise MisfitError(
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


def _check_logits(architecture: Architecture, model: nn.Module, images: Tensor, *, training: bool) -> None:
    number, shape = len(images), tuple(images.shape)
    expected = (number, architecture.classes)
    mode, check = "training" if training else "eval", "batch-size" if number == 1 else "shapes"
    doing = f"a batch of shape {shape} in {mode} mode"
    trace = functools.partial(_trace, architecture, model, training=training)
    try:
        with torch.set_grad_enabled(training):
            model.train(training)
            output = model(images.clone())
    except BaseException as error:
        fix = ""
        if is_own_fault(architecture.file, error):
            fix = _other_images(architecture, model) or trace()
        with _blamed(architecture, doing, fix=fix, check="batch-size" if number == 1 else "runs"):
            raise
    logits = take_logits(output) if training else output
    if output is None:
        text = f"in {mode} mode its forward returned nothing; end it with `return logits`."
        raise _refusal(architecture, text, check="logits")
    if not isinstance(logits, Tensor) or (logits is not output and tuple(logits.shape) != expected):
        fault = f"in {mode} mode the net returned a {type(output).__name__}, expected logits as one tensor of shape"
        raise _refusal(architecture, f"{fault} {expected}: return those alone.", check="logits")
    if tuple(logits.shape) != expected:
        fault = f"logits have shape {tuple(logits.shape)} for a batch of shape {shape}, expected {expected}"
        if logits.dim() == 0 or not logits.is_floating_point():
            ends = "one number, as a loss" if logits.dim() == 0 else "whole numbers, as after an argmax"
            raise _refusal(architecture, f"its forward returns {ends}; return the logits {expected}.", check="logits")
        squeezed = number == 1 and tuple(logits.shape) == expected[1:]
        raise _refusal(architecture, f"{fault}; {_SQUEEZE if squeezed else trace() or _TRACE}.", check=check)
    if training and not logits.requires_grad and any(parameter.requires_grad for parameter in model.parameters()):
        fault = "in training mode its logits have no gradient, as under torch.no_grad or after detach, argmax or .data"
        text = f"{fault}, so nothing would be trained; compute them with gradients."
        raise _refusal(architecture, text, check="unused-parameters")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        text = "the net has no parameter that can be trained; add one or set requires_grad."
        raise _refusal(architecture, text, check="unused-parameters")


def _trace(architecture: Architecture, model: nn.Module, *, training: bool) -> str:
    """What shapes tell of a net that cannot be run, in words; empty where they tell nothing."""
    with contextlib.suppress(Exception):  # whatever it is, the net's own fault is said
        found = explain(
            model,
            input_shape=architecture.input_shape,
            classes=architecture.classes,
            training=training,
            file=architecture.file,
        )
        return found.message if found else ""
    return ""


def _check_counts(architecture: Architecture, metadata: ArchitectureMetadata) -> None:
    if wrong := find_wrong_counts(architecture, params=metadata.params, macs=metadata.macs):
        raise _refusal(architecture, f"{wrong}; correct the declaration or the net.", check="counts")
