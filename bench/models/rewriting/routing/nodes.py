"""Values that are not computed yet, how they come from one another, and the chains of layers that compute them.

    Node ──parent──► Node ──parent──► Node with a value: the plain tensor that went into the first layer

A node that somebody else may still ask for (it is still seen, or two layers took it) gets a value of its own: the chain
is cut there, so that no layer runs twice.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from bench.core.errors import PendingError
from bench.models.rewriting.kernels.chain import Chain
from bench.models.rewriting.torch_internals import is_autocast_enabled, state_of, version

if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from bench.models.rewriting.kernels.stages import Layer

Key = tuple[Any, ...]
"""The layers since a plain tensor: what is called as a function by value, modules by `id` or, in `Chains`, by path."""


_MOST_CHAINS = 512
"""Enough for any net; one that copies its layers in every pass would fill the memory."""


class Chains:
    """The chains of one net, each made once, and what of it is looked up in every pass. A copy of a net has its own."""

    def __init__(self, lone: frozenset[Key] = frozenset()) -> None:
        """Nothing is made yet.

        Args:
            lone: Layers, modules by path, after which only the next layer asks for the value, though a variable may
                hold it for longer.
        """
        self._lone = lone
        self._made: dict[Key, Chain] = {}
        self._of_model: tuple[tuple[nn.Module, ...], frozenset[Key]] | None = None

    def __reduce__(self) -> tuple[type[Chains], tuple[frozenset[Key]]]:
        return Chains, (self._lone,)

    def look_up(self, model: nn.Module) -> tuple[tuple[nn.Module, ...], frozenset[Key]]:
        """All modules of the net, and the lone values with the `id` of each module."""
        if self._of_model is None:
            paths = {path: id(module) for path, module in model.named_modules(remove_duplicate=False)}
            lone = (tuple(paths[step] if isinstance(step, str) else step for step in key) for key in self._lone)
            self._of_model = (*model.modules(),), frozenset(lone)
        return self._of_model

    def find(self, layers: Sequence[Layer]) -> Chain:
        """The chain of these layers."""
        key = tuple(map(name_of, layers))
        if key not in self._made:
            if len(self._made) >= _MOST_CHAINS:
                self._made.clear()
            self._made[key] = Chain(layers)
        return self._made[key]


class Run:
    """One forward pass of one net.

    Attributes:
        chains: Those of the net.
        grad: Whether gradients were on when it began; layers called otherwise run as printed.
        lone: Keys of the values that only the next layer asks for.
        made: Nodes that somebody may see, the oldest first.
        norms: Batch norms that have not run.
    """

    __slots__ = ("chains", "grad", "lone", "made", "norms")

    def __init__(self, chains: Chains, lone: frozenset[Key]) -> None:
        self.chains, self.lone = chains, lone
        self.grad = torch.is_grad_enabled()
        self.made: list[weakref.ref[Any]] = []
        self.norms: dict[Node, None] = {}

    def settle_norm(self, norm: nn.Module) -> None:
        """Compute what a norm still has to give before it is called again: running statistics have an order."""
        for node in [node for node in self.norms if node.layer is norm]:
            node.settle()

    def settle(self) -> int:
        """Compute all that somebody may still ask for and all that changes running statistics.

        Returns:
            How many values are still seen.
        """
        seen = [pending for pending in (reference() for reference in self.made) if pending is not None]
        for pending in seen:
            pending.node.settle()
        for node in [*self.norms]:
            node.settle()
        return len(seen)


class _Local(threading.local):
    run: Run | None = None


local = _Local()
"""The forward pass that runs in this thread."""


class Node:
    """A value, or how it comes from another one.

    Attributes:
        run: The forward pass that it is part of.
        shape: (N, C, H, W).
        layer: What makes it of `parent`.
        value: None until it is computed.
        seen: Refers to the tensor that stands for it, while that lives.
        key: Its layers since a plain tensor.
        children: How many layers took it.
        ran: Whether its layer has run.
        version: Of the value when it was computed.
    """

    __slots__ = (
        "_given",
        "_state",
        "children",
        "key",
        "layer",
        "parent",
        "ran",
        "run",
        "seen",
        "shape",
        "value",
        "version",
    )

    def __init__(
        self, run: Run, shape: Sequence[int], *, layer: Layer | None = None, parent: Node | None = None
    ) -> None:
        self.run, self.shape, self.layer, self.parent = run, shape, layer, parent
        self.value: Tensor | None = None
        self.seen: weakref.ref[Any] | None = None
        self.children, self.ran = 0, False
        self.key: Key = ()
        self._given = self.version = -1
        if layer is not None and parent is not None:
            parent.children += 1
            self._state = state_of(layer) if isinstance(layer, nn.Module) else None
            if run.lone:
                self.key = (*parent.key, name_of(layer)) if parent.value is None else (name_of(layer),)
            if parent.value is not None:
                self._given = version(parent.value)

    def settle(self) -> Tensor:
        """The value, computed with gradients and in the precision in which its layers were called."""
        if self.value is None:
            previous, local.run = local.run, None  # a chain may call its layers, which then answer at once
            try:
                with contextlib.ExitStack() as modes:
                    if torch.is_grad_enabled() is not self.run.grad:
                        modes.enter_context(torch.set_grad_enabled(self.run.grad))
                    if is_autocast_enabled():
                        modes.enter_context(torch.autocast("cpu", enabled=False))
                    self.compute()
            finally:
                local.run = previous
        if self.value is None:
            raise AssertionError("it was computed")
        return self.value

    def compute(self) -> None:
        """Run the layers since the last plain tensor, with the modes of torch as they are."""
        path, start = self._way()
        for node in path:
            node.check()
        if any(node.ran for node in path):
            self.value = _run_again(path, start)
        else:
            self.value = self.run.chains.find([node.layer for node in path if node.layer is not None])(start)
        self.version = version(self.value)
        for node in path:
            node.ran = True
            self.run.norms.pop(node, None)
        self.parent = None

    def _way(self) -> tuple[list[Node], Tensor]:
        """The nodes from a plain tensor to this one, and that tensor."""
        path = [self]
        for node in self._ancestors():
            if node.value is None and node.is_wanted():
                node.compute()
            if node.value is not None:
                return path[::-1], node.value
            path.append(node)
        raise AssertionError("every way begins at a plain tensor")

    def is_wanted(self) -> bool:
        """Whether somebody besides the layer that follows may ask for the value."""
        is_seen = self.seen is not None and self.seen() is not None
        return self.children > 1 or (is_seen and self.key not in self.run.lone)

    def _ancestors(self) -> Iterator[Node]:
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def check(self) -> None:
        """Raise PendingError where the layer would not run on what it was called with."""
        is_old = False
        if self.parent is not None and self.parent.value is not None:
            given = self._given if self._given >= 0 else self.parent.version
            is_old = given >= 0 and version(self.parent.value) != given
        if is_old or (isinstance(self.layer, nn.Module) and state_of(self.layer) != self._state):
            raise PendingError(
                "What a layer was given, or its weights, changed before its output was used; choose --engine torch."
            )


def root(run: Run, images: Tensor) -> Node:
    """A plain tensor (N, C, H, W) that goes into a first layer."""
    node = Node(run, images.shape)
    node.value = images
    return node


def name_of(layer: Layer) -> Any:
    """What tells a layer from others."""
    return id(layer) if isinstance(layer, nn.Module) else layer


def _run_again(path: Sequence[Node], images: Tensor) -> Tensor:
    """A value whose layers ran before and was not kept then; no norm counts the images twice."""
    for node in path:
        layer = node.layer
        if isinstance(layer, nn.BatchNorm2d) and node.ran and layer.training:
            images = functional.batch_norm(images, None, None, layer.weight, layer.bias, training=True, eps=layer.eps)
        elif layer is not None:
            images = layer(images)
    return images
