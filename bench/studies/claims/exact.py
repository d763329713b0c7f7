"""What is exact about claims, without training: counts, torchinfo's sizes, and what a defect says when it is built.

Each runs in a process of its own, as nets do wherever they are tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from bench.core.architecture import Architecture
from bench.core.errors import ArchitectureError, DiedError, first_line
from bench.models.build import build_model
from bench.models.counts import count_architecture, summarise
from bench.models.doctor.checks.outputs import find_end
from bench.models.doctor.trial import LIMIT_SECONDS
from bench.models.loading import find_declared
from bench.system.process import call_apart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BATCH = 64
"""Images for which torchinfo counts, and that a defect is given: those of the sources."""


def measure(net: Architecture, quantity: str) -> tuple[float, ...]:
    """An exact quantity of `bench.core.work.claims.quantity.COUNTS` of a net.

    Raises:
        ArchitectureError: The net cannot be built or counted.
    """
    found: tuple[float, ...] = _call(count, net, quantity)
    return found


def catch(file: Path, name: str) -> str:
    """What is said when a class or function of a file is built, run on a batch and given to the loss.

    The error that ends it, else what is odd about its outputs; empty where nothing is.

    Raises:
        ArchitectureError: The file cannot be loaded, or has nothing of that name.
    """
    said: str = _call(try_defect, file, name)
    return said


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        answer = call_apart(function, *arguments, limit_seconds=LIMIT_SECONDS)
    except DiedError as death:
        raise ArchitectureError(f"trying it {death}") from death
    if answer.fault is not None:
        raise ArchitectureError(str(answer.fault)) from answer.fault.__cause__
    return answer.value


def count(net: Architecture, quantity: str) -> tuple[float, ...]:
    """As `measure`, here."""
    if quantity.startswith("torchinfo"):
        return _ask_torchinfo(net, quantity)
    metadata = count_architecture(net)
    if quantity == "layer_parameters":
        return tuple(float(row.params) for row in metadata.layers if row.params)
    return (float(metadata.params if quantity == "parameters" else metadata.macs),)


def _ask_torchinfo(net: Architecture, quantity: str) -> tuple[float, ...]:
    """Multiply-adds, or MB of input, of forward and backward pass, of parameters and of all of it."""
    found = summarise(build_model(net, 0), net.input_shape, batch_size=BATCH)
    if quantity == "torchinfo_madds_batch_64":
        return (float(found.total_mult_adds),)
    parts = (found.total_input, found.total_output_bytes, found.total_param_bytes)
    return tuple(part / 1e6 for part in (*parts, sum(parts)))


def try_defect(file: Path, name: str) -> str:
    """As `catch`, here."""
    module, _ = find_declared(file, Architecture)
    build = vars(module).get(name)
    if build is None:
        raise ArchitectureError(f"{file} has no class or function '{name}', which a defect names; add it.")
    images = torch.randn(BATCH, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    try:
        model: nn.Module = build()
        outputs = model(images)
        functional.cross_entropy(outputs, torch.arange(BATCH) % 10)
    except Exception as fault:  # noqa: BLE001 - whatever it says is what was asked for
        return first_line(fault)
    end = find_end(outputs.detach().double())
    return end and f"its outputs are as after a {end}"
