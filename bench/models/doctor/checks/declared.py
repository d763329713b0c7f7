"""What a net is made of: types and devices of its parameters, and the counts that its file declares."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

import torch

from bench.core.metadata import find_products
from bench.models.counts import count_macs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from bench.core.architecture import Architecture
    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject

_SINGLE = (torch.float32, torch.complex64)


def check_precision(subject: Subject) -> Iterator[Finding]:
    """Trained parameters of another type than float32, which another engine, Adam or a checkpoint would round."""
    odd: dict[torch.dtype, list[str]] = collections.defaultdict(list)
    for name, parameter in subject.model.named_parameters():
        if parameter.requires_grad and parameter.dtype not in _SINGLE:
            odd[parameter.dtype].append(name)
    for dtype, names in odd.items():
        kind = str(dtype).removeprefix("torch.")
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield subject.error(
            "precision",
            f"{names[0]}{more} {'are' if more else 'is'} {kind}, trained beside nets of float32: take .double(), "
            ".half(), dtype= or set_default_dtype out; torch.autocast within forward is the way to compute in less",
            layer=names[0].rpartition(".")[0],
        )


def find_stray(model: nn.Module) -> str:
    """A parameter or buffer that lies on another device than the first parameter, in words; empty without one."""
    values = [*model.named_parameters(), *model.named_buffers()]
    if not values:
        return ""
    home = values[0][1].device
    stray = next(((name, value.device) for name, value in values if value.device != home), None)
    if stray is None:
        return ""
    return f"{stray[0]} is made on {stray[1]} and {values[0][0]} on {home}: leave device= out, the engine moves the net"


def check_counts(subject: Subject) -> Iterator[Finding]:
    """Declared parameters and MACs that are not those of the net."""
    architecture, model = subject.architecture, subject.model
    params, macs = sum(parameter.numel() for parameter in model.parameters()), architecture.macs
    if macs is not None:
        with subject.alone():
            count = count_macs(model, torch.zeros(1, *architecture.input_shape))
        if macs < count.total or not find_products(count.uncounted_operations):  # else more is done than is counted
            macs = count.total
    if wrong := find_wrong_counts(architecture, params=params, macs=macs):
        yield subject.error("counts", f"{wrong}: correct the declaration or the net")


def find_wrong_counts(architecture: Architecture, *, params: int | None, macs: int | None) -> str:
    """Which declared numbers are not those counted, in words; empty where all are."""
    pairs = (("params", architecture.params, params), ("macs", architecture.macs, macs))
    return "; ".join(
        f"{name}={declared:_} is declared, the net has {counted:_}"
        for name, declared, counted in pairs
        if declared not in (None, counted)
    )
