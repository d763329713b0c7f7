"""Shapes traced through a net on two batch sizes: which layer gets what it does not expect, and where images mix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from bench.core.errors import first_line
from bench.core.metadata import Finding
from bench.models.doctor.trace import call_layer, find_module, trace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.models.doctor.trace import Operation, Shape, Trace

BATCHES = (3, 5)
"""No multiples of each other, and seldom the size of anything else in a net."""
_BATCH = 64
"""Of how many images the words speak."""
_RESHAPES = ("view", "reshape", "flatten", "unflatten", "squeeze", "view_as", "reshape_as")
_Norm = nn.modules.batchnorm._NormBase  # noqa: SLF001 - the common bases have no other names
_Convolution = nn.modules.conv._ConvNd  # noqa: SLF001


class _Wanted(NamedTuple):
    """What a layer takes and what has arrived: how many of what, and how to make it take that."""

    takes: int
    got: int
    what: str
    fix: str


def explain(
    model: nn.Module, *, input_shape: tuple[int, int, int], classes: int, training: bool, file: Path | None
) -> Finding | None:
    """Why a net cannot take images of a shape, or gives no logits for them; None where shapes do not tell."""
    few, more = (trace(model, torch.zeros(n, *input_shape), training=training, file=file) for n in BATCHES)
    failed = few if few.error is not None else more
    if failed.error is not None:
        return _explain_failure(model, failed, more if failed is few else few)
    if few.output is None or more.output is None:
        return None
    factor = more.output[0] / more.images if more.output else 0
    if few.output and few.output[0] == factor * few.images and factor not in (0, 1):
        return _explain_rows(few, factor)
    if few.output == (few.images, few.output[-1]) and few.output[-1] != classes:
        return _explain_logits(model, few, few.output[-1], classes)
    return None


def _explain_rows(seen: Trace, factor: float) -> Finding | None:
    """Which reshape makes other numbers of rows of the images, as the last one that does."""
    rows = round(factor * seen.images)
    folds = [
        operation
        for operation in seen.operations
        if operation.name in _RESHAPES and operation.inputs[0][:1] == (seen.images,) and operation.outputs[0]
        if operation.outputs[0][0] == rows
    ]
    if not folds:
        return None
    fold = folds[-1]
    into, features = math.prod(fold.outputs[0][1:]), fold.values // seen.images
    pool = "pool once more or " if factor == 4 and _is_even(fold.inputs[0]) else ""
    return _error(
        f"this {fold.name} turns {_BATCH} images into {round(factor * _BATCH)} rows: {_spell_features(fold)} arrive at "
        f"a reshape to {into:,}; {pool}flatten from dimension 1, as x.flatten(1), and let the next layer take "
        f"{features:,}",
        fold,
    )


def _explain_logits(model: nn.Module, seen: Trace, given: int, classes: int) -> Finding:
    last = seen.operations[-1] if seen.operations else None
    layer = last.layer if last else ""
    module = find_module(model, layer)
    fix = f": make it nn.Linear({module.in_features}, {classes})" if isinstance(module, nn.Linear) else ""
    who = call_layer(model, layer) or "the net"
    message = f"{who} gives {given} logits an image, and there are {classes} classes{fix}"
    return Finding(level="error", check="logits", layer=layer, message=message, place=last.place if last else "")


def _explain_failure(model: nn.Module, seen: Trace, again: Trace) -> Finding | None:
    """What a layer or an operation was given that it cannot take."""
    module, who = find_module(model, seen.layer), call_layer(model, seen.layer) or "the net"
    arrived = seen.failed.inputs[0] if seen.failed and seen.failed.name == "linear" else seen.arrived
    if text := _explain_rank(module, arrived, who):
        return _error(text, seen.failed, layer=seen.layer)
    wanted = _find_wanted(module, arrived)
    if wanted is not None and wanted.takes != wanted.got:
        theirs = _find_wanted(module, again.arrived) if again.layer == seen.layer else None
        if theirs is not None and theirs.got * seen.images == wanted.got * again.images:
            return _explain_fold(seen)
        verb = "arrives" if wanted.got == 1 else "arrive"
        origin = _find_origin(seen, arrived)
        return _error(
            f"{who} expects {_count(wanted.takes, wanted.what)}, {wanted.got:,} {verb}{origin}: {wanted.fix}",
            seen.failed,
            layer=seen.layer,
        )
    if (text := _explain_small_maps(module, seen, who)) or (text := _explain_reshape(seen)):
        return _error(text, seen.failed, layer=seen.layer)
    if seen.failed is not None and len(seen.failed.inputs) > 1:
        shapes = " and ".join(map(_spell, seen.failed.inputs[:2]))
        why = first_line(seen.error).rstrip(".") if seen.error else ""
        return _error(f"{seen.failed.name} of {shapes} fails ({why}); make their shapes fit", seen.failed)
    return None


def _explain_fold(seen: Trace) -> Finding | None:
    folds = [
        each
        for each in seen.operations
        if each.name in _RESHAPES and each.inputs[0][:1] == (seen.images,) and each.outputs[0][:1] != (seen.images,)
    ]
    if not folds:
        return None
    of = folds[-1]
    return _error(
        f"this {of.name} folds the batch into the features: {_BATCH} images of {_spell_features(of)} come out in "
        f"{'one row' if len(of.outputs[0]) == 1 else 'other rows'}; flatten from dimension 1, as x.flatten(1)",
        of,
    )


def _explain_reshape(seen: Trace) -> str:
    """Why a reshape fails: it asks for other features than arrive, or was written for one batch."""
    failed = seen.failed
    if failed is None or failed.name not in _RESHAPES or not failed.sizes or not failed.inputs[0]:
        return ""
    first, *rest = failed.sizes
    wanted, features = math.prod(rest), failed.values / seen.images
    if first in (-1, seen.images) and rest and -1 not in rest and wanted != features:
        return (
            f"this {failed.name} asks for {wanted:,} features an image, {features:,.0f} arrive "
            f"({_spell(failed.inputs[0][1:])}): write x.flatten(1), and let the next layer take {features:,.0f}"
        )
    if first > 1 and first != seen.images:
        return (
            f"this {failed.name} is written for a batch of {first:,} and fails on {seen.images} images: write "
            "x.flatten(1), or x.shape[0] in place of the number"
        )
    return ""


def _explain_rank(module: nn.Module, arrived: Shape, who: str) -> str:
    """A batch norm of rows that is given maps, or one of maps that is given rows."""
    takes_maps = isinstance(module, nn.BatchNorm2d)
    if not takes_maps and not isinstance(module, nn.BatchNorm1d):
        return ""
    if len(arrived) not in (2, 4) or takes_maps == (len(arrived) == 4):
        return ""
    what, kind = ("rows", "BatchNorm1d") if takes_maps else (f"maps ({_spell(arrived[1:])})", "BatchNorm2d")
    return f"{who} is a {type(module).__name__}, and {what} arrive: make it nn.{kind}({arrived[1]})"


def _explain_small_maps(module: nn.Module, seen: Trace, who: str) -> str:
    """A convolution or a pool whose kernel is larger than the maps that arrive."""
    kernel = getattr(module, "kernel_size", None)
    if kernel is None or not isinstance(module, _Convolution | nn.MaxPool2d | nn.AvgPool2d):
        return ""
    kernel = kernel if isinstance(kernel, tuple) else (kernel,) * 2
    padding = getattr(module, "padding", 0)
    padding = padding if isinstance(padding, tuple) else (padding if isinstance(padding, int) else 0,) * len(kernel)
    sides = seen.arrived[-len(kernel) :]
    if not any(side + 2 * pad < size for side, pad, size in zip(sides, padding, kernel, strict=False)):
        return ""
    return f"maps of {_spell(sides)} arrive at {who}, whose kernel is {_spell(kernel)}: pool less before it, or pad"


def _find_wanted(module: nn.Module, arrived: Shape) -> _Wanted | None:
    """What a layer of a known kind takes; None of any other, or where nothing of that rank arrived."""
    if not arrived:
        return None
    got = arrived[-1]
    if isinstance(module, nn.Linear):
        fix = f"make it nn.Linear({got}, {module.out_features}), or bring {module.in_features:,} to it"
        if len(arrived) > 3 or (len(arrived) > 2 and math.prod(arrived[1:]) == module.in_features):
            all_of = math.prod(arrived[1:])
            then = "" if all_of == module.in_features else f", and make it nn.Linear({all_of}, {module.out_features})"
            fix = f"flatten what goes into it, as by nn.Flatten() or x.flatten(1){then}"
        return _Wanted(module.in_features, got, "feature", fix)
    if isinstance(module, _Convolution) and len(arrived) > len(module.kernel_size):
        got, kind = arrived[-len(module.kernel_size) - 1], type(module).__name__
        fix = f"make it nn.{kind}({got}, {module.out_channels}, …), or bring {module.in_channels:,} to it"
        return _Wanted(module.in_channels, got, "channel", fix)
    if isinstance(module, _Norm | nn.GroupNorm) and len(arrived) > 1:
        takes = module.num_channels if isinstance(module, nn.GroupNorm) else module.num_features
        return _Wanted(takes, arrived[1], "channel", f"let it have {arrived[1]:,}")
    if isinstance(module, nn.LayerNorm | nn.RNNBase):
        takes = module.input_size if isinstance(module, nn.RNNBase) else module.normalized_shape[-1]
        return _Wanted(takes, got, "feature", f"let it take {got:,}")
    return None


def _find_origin(seen: Trace, arrived: Shape) -> str:
    """` (32×4×4 = 512)`: the maps that the last reshape made features of; empty where there was none."""
    made: Iterator[Operation] = (
        each for each in reversed(seen.operations) if each.name in _RESHAPES and each.outputs[0] == arrived
    )
    last = next(made, None)
    if last is None or len(last.inputs[0]) < 3 or last.inputs[0][:1] != (seen.images,):
        return ""
    return f" ({_spell(last.inputs[0][1:])} = {last.values // seen.images:,})"


def _error(message: str, operation: Operation | None, *, layer: str | None = None) -> Finding:
    of = layer if layer is not None else operation.layer if operation else ""
    return Finding(level="error", check="shapes", layer=of, message=message, place=operation.place if operation else "")


def _spell_features(operation: Operation) -> str:
    """`64×14×14 = 12,544 features`, of one image."""
    sizes = operation.inputs[0][1:]
    total = f"{math.prod(sizes):,} features"
    return f"{_spell(sizes)} = {total}" if len(sizes) > 1 else total


def _is_even(shape: Shape) -> bool:
    return len(shape) == 4 and shape[2] % 2 == 0 and shape[3] % 2 == 0


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _spell(shape: Shape) -> str:
    return "×".join(map(str, shape))
