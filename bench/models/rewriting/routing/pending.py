"""A tensor whose values come when they are asked for: what a net's forward sees of a node (`nodes.py`).

Known layers take it further without computing anything. Whatever else touches it is given a plain tensor, for which all
layers since the last plain one run in one go; so the printed forward decides everything, as it always did.
"""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from bench.core.errors import PendingError
from bench.models.rewriting.kernels.stages import Layer, MaxPool, Relu
from bench.models.rewriting.routing.nodes import Node, local
from bench.models.rewriting.torch_internals import make_subclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Pending(torch.Tensor):
    """Stands for a node. To torch's own code it is empty and wants a gradient, so what gets past here fails loudly."""

    node: Node

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = _ANSWERS.get(func)
        if answer is not None and args and type(args[0]) is cls:
            found = answer(*args, **(kwargs or {}))
            if found is not NotImplemented:
                return found
        return touch(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise PendingError(f"{func} was given a value that is not computed yet; choose --engine torch.")


_EMPTY = torch.empty(0)


def show(node: Node) -> Pending:
    """The tensor that stands for a node."""
    pending = make_subclass(Pending, _EMPTY, True)  # noqa: FBT003 - torch has no name for it
    pending.node = node
    node.seen = weakref.ref(pending)
    node.run.made.append(node.seen)
    return pending


def plain(value: Any) -> Any:
    """The same with plain tensors; within tuples, lists and dicts too."""
    kind = type(value)
    if kind is Pending:
        return value.node.settle()
    if kind is tuple or kind is list:
        return kind(map(plain, value))
    return {key: plain(item) for key, item in value.items()} if kind is dict else value


def holds_pending(value: Any) -> bool:
    """Whether `plain` would change anything."""
    return next(_find(value), None) is not None


def touch(func: Any, args: Any, kwargs: Any) -> Any:
    """Call anything with plain tensors. Before it changes one in place, whatever may hang on that is computed."""
    if _changes_values(getattr(func, "__name__", "")) or kwargs.get("out") is not None:
        for run in {pending.node.run for pending in _find([args, kwargs])}:
            run.settle()
    return func(*plain(args), **plain(kwargs))


def _changes_values(name: str) -> bool:
    if name.endswith("__"):
        return name.startswith("__i") or name in ("__set__", "__setitem__", "__delete__", "__setstate__")
    return name.endswith("_")


def _find(value: Any) -> Iterator[Pending]:
    if type(value) is Pending:
        yield value
    elif type(value) in (tuple, list, dict):
        for item in value.values() if type(value) is dict else value:
            yield from _find(item)


def extend(pending: Any, layer: Layer, shape: Sequence[int], *, in_place: bool = False) -> Any:
    """What a layer makes of a pending value, (N, C, H, W); `NotImplemented` where the layer has to run as printed.

    In place, the same object stands for the new value: whoever holds it sees that, as printed.
    """
    run = local.run
    if type(pending) is not Pending or run is None or torch.is_grad_enabled() is not run.grad:
        return NotImplemented
    node = pending.node
    if node.run is not run or node.value is not None:
        return NotImplemented
    following = Node(run, shape, layer=layer, parent=node)
    if type(layer) is nn.BatchNorm2d:
        run.norms[following] = None
    if not in_place:
        return show(following)
    following.seen, node.seen = node.seen, None
    pending.node = following
    return pending


def relu(images: Pending, inplace: bool = False) -> Any:  # noqa: FBT001, FBT002 - torch's own signature
    """As `functional.relu`; `NotImplemented` where it has to run as printed."""
    found = extend(images, _RELU, images.node.shape, in_place=inplace)
    return touch(torch.relu_, (images,), {}) if found is NotImplemented and inplace else found


_RELU = Relu()


def max_pool(
    images: Pending,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,  # noqa: FBT001, FBT002
    return_indices: bool = False,  # noqa: FBT001, FBT002
) -> Any:
    """As `functional.max_pool2d`; `NotImplemented` where it has to run as printed."""
    if ceil_mode or return_indices:
        return NotImplemented
    count, channels, *sides = images.node.shape
    try:
        found = _window(kernel_size, stride or kernel_size, padding, dilation, tuple(sides))
    except TypeError:  # what cannot be hashed is none of the usual ways to say it
        return NotImplemented
    if found is None:
        return NotImplemented
    pool, height, width = found
    return extend(images, pool, (count, channels, height, width))


@functools.lru_cache(maxsize=256, typed=True)
def _window(
    kernel_size: Any, stride: Any, padding: Any, dilation: Any, sides: tuple[int, int]
) -> tuple[MaxPool, int, int] | None:
    """A pool with height and width of what it gives; None where torch is to run it, or to say what is wrong."""
    pool = MaxPool.of(kernel_size, stride, padding, dilation)
    if pool is None or not pool.fits:
        return None
    height, width = pool.reach(sides)
    return (pool, height, width) if min(height, width) > 0 else None


def _size(images: Pending, dim: int | None = None) -> Any:
    shape = torch.Size(images.node.shape)
    return shape if dim is None else shape[dim]


_Tensor: Any = torch.Tensor  # the types of its attributes hide that they are descriptors
_ANSWERS: dict[Any, Callable[..., Any]] = {
    functional.relu: relu,
    torch.relu: relu,
    torch.Tensor.relu: relu,
    torch.relu_: lambda images: relu(images, inplace=True),
    torch.Tensor.relu_: lambda images: relu(images, inplace=True),
    functional.max_pool2d: max_pool,
    torch.max_pool2d: max_pool,
    _Tensor.shape.__get__: lambda images: torch.Size(images.node.shape),
    torch.Tensor.size: _size,
    torch.Tensor.dim: lambda _images: 4,
    _Tensor.ndim.__get__: lambda _images: 4,
    torch.Tensor.__len__: lambda images: images.node.shape[0],
    _Tensor.dtype.__get__: lambda _images: torch.float32,
    _Tensor.device.__get__: lambda _images: torch.device("cpu"),
}
"""What needs no values, by what torch calls it."""
