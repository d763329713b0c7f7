"""What of a net would reach beyond one run, or beyond its optimizer: found by building it twice and taking a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.core.errors import UnfitError
from bench.models.state import read_plain, same

if TYPE_CHECKING:
    from collections.abc import Mapping

_WAY_OUT = "make what it is built of inside build or __init__, not at module level or as a default argument"


class Sharing:
    """What two builds of one architecture share, and what it was before a step."""

    def __init__(self, model: nn.Module, twin: nn.Module) -> None:
        """Look at two fresh builds, of which `model` will take a step.

        Raises:
            UnfitError: They share parameters that are trained.
        """
        theirs = {_address(value) for value in [*twin.parameters(), *twin.buffers()]}
        registered = [*model.named_parameters(), *model.named_buffers()]
        self._shared = {name: value for name, value in registered if _address(value) in theirs and value.numel()}
        if trained := [name for name, value in self._shared.items() if value.requires_grad]:
            raise UnfitError(_sharing(trained))
        self._before = {name: value.detach().clone() for name, value in self._shared.items()}
        modules = {id(module) for module in twin.modules()}
        self._modules = {name: module for name, module in model.named_modules() if id(module) in modules}
        self._plain = self._read()

    def refuse_changed(self) -> None:
        """Look again after the step; UnfitError when it changed what the two share."""
        changed = [name for name, value in self._shared.items() if not torch.equal(value, self._before[name])]
        plain = self._read()
        changed += [name for name, value in plain.items() if not same(value, self._plain.get(name))]
        if changed:
            raise UnfitError(_sharing(changed))

    def _read(self) -> dict[str, Any]:
        return {
            f"{name}.{path}".lstrip("."): value
            for name, module in self._modules.items()
            for path, value in read_plain(module).items()
            if "." not in path  # its children are in the mapping themselves
        }


def refuse_new_parameters(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """Refuse by UnfitError a net whose step made parameters, by name: the optimizer is made before."""
    new = [name for name, value in after.items() if value is not before.get(name)]
    if new:
        raise UnfitError(
            f"its forward makes {_listed(new)}, which would never be trained, as the optimizer is made before; make "
            "layers in __init__, or use torch's lazy ones (nn.LazyLinear, nn.LazyConv2d)"
        )


def find_hidden(model: nn.Module, images: Tensor) -> int:
    """How many trainable parameters take part in a training step on images (N, C, H, W) without being registered."""
    registered = {id(parameter) for parameter in model.parameters()}
    model.train()
    with torch.enable_grad():
        waiting = [model(images.clone()).grad_fn]
    seen, hidden = set[Any](), dict[int, int]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, nn.Parameter) and id(leaf) not in registered:
            hidden[id(leaf)] = leaf.numel()
        waiting += [following for following, _ in node.next_functions]
    return sum(hidden.values())


def _sharing(names: list[str]) -> str:
    return f"its builds share {_listed(names)}: seeds would go on from each other's values; {_WAY_OUT}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _address(value: Tensor) -> int:
    return value.untyped_storage().data_ptr() if value.layout == torch.strided else id(value)
