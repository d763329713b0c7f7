"""What of a net would reach beyond one run, or beyond its optimizer: found by building it twice and taking a step."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.core.errors import UnfitError
from bench.models.state import read_plain, same
from bench.system.text import first_ones, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_WAY_OUT = "make what it is built of inside build or __init__, not at module level or as a default argument"


@contextlib.contextmanager
def refuse_sharing(model: nn.Module, twin: nn.Module) -> Iterator[None]:
    """Refuse two fresh builds that share what is trained, or what a step of `model` in this context changes.

    Raises:
        UnfitError: They do.
    """
    theirs = {_address(value) for value in [*twin.parameters(), *twin.buffers()]}
    registered = [*model.named_parameters(), *model.named_buffers()]
    shared = {name: value for name, value in registered if _address(value) in theirs and value.numel()}
    if trained := [name for name, value in shared.items() if value.requires_grad]:
        raise UnfitError(_sharing(trained))
    values = {name: value.detach().clone() for name, value in shared.items()}
    of_twin = {id(module) for module in twin.modules()}
    modules = {name: module for name, module in model.named_modules() if id(module) in of_twin}
    plain = _read_own(modules)
    yield
    changed = [name for name, value in shared.items() if not torch.equal(value, values[name])]
    changed += [name for name, value in _read_own(modules).items() if not same(value, plain.get(name))]
    if changed:
        raise UnfitError(_sharing(changed))


def _read_own(modules: Mapping[str, nn.Module]) -> dict[str, Any]:
    """Plain attributes of modules, without those of their children, which are in the mapping themselves."""
    return {
        f"{name}.{path}".lstrip("."): value
        for name, module in modules.items()
        for path, value in read_plain(module).items()
        if "." not in path
    }


def refuse_new_parameters(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """Refuse by UnfitError a net whose step made parameters, by name: the optimizer is made before."""
    new = [name for name, value in after.items() if value is not before.get(name)]
    if new:
        raise UnfitError(say_new_parameters(new))


def say_new_parameters(names: Sequence[str]) -> str:
    """What is wrong with a net whose forward makes parameters of these names, and the way out."""
    return (
        f"its forward makes {listing(first_ones([*names]))}, which are never trained, as the optimizer is made before: "
        "make layers in __init__, or use torch's lazy ones (nn.LazyLinear, nn.LazyConv2d)"
    )


def _sharing(names: list[str]) -> str:
    return f"its builds share {listing(first_ones(names))}: seeds would go on from each other's values; {_WAY_OUT}"


def _address(value: Tensor) -> int:
    return value.untyped_storage().data_ptr() if value.layout == torch.strided else id(value)
