"""A chain that torch runs and that is noted, and nets to be routed beside their printed twins."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from bench.models.rewriting.kernels.stages import MaxPool, Relu
from bench.models.rewriting.routing.route import route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


def words(layers: Sequence[object]) -> str:
    """The kinds of layers: `conv relu pool`."""
    names = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm", nn.ReLU: "relu", nn.MaxPool2d: "pool", Relu: "relu"}
    return " ".join(names.get(type(layer), "pool") for layer in layers)


class NotingChain:
    """Stands for the kernels' chain."""

    ran: list[str] = []  # noqa: RUF012 - the fixture clears it

    def __init__(self, layers: Sequence[nn.Module | Relu | MaxPool]) -> None:
        self._layers = tuple(layers)

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in and out."""
        if any(isinstance(layer, nn.Conv2d) for layer in self._layers):  # else torch runs them
            self.ran.append(words(self._layers))
        for layer in self._layers:
            if isinstance(layer, Relu):
                images = torch.relu(images)
            elif isinstance(layer, MaxPool):
                images = functional.max_pool2d(images, layer.kernel, layer.stride, layer.padding)
            else:
                images = layer(images)
        return images


class Parts(nn.Module):
    """Layers for images (N, 1, 12, 12), all convolutions with padding."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.side = (nn.Conv2d(i, 4, 3, padding=1) for i in (1, 4, 4))
        self.norm, self.other = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.in_place = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 10)
        self.calls = 0
        self.kept: object = None


def parts(forward: Callable[..., object]) -> Parts:
    """A net of those parts with this forward, printed."""
    torch.manual_seed(0)
    net: Parts = type("Net", (Parts,), {"forward": forward, "__module__": __name__})()
    return net


def images(count: int = 6) -> Tensor:
    """(N, 1, 12, 12) noise."""
    return torch.randn(count, 1, 12, 12, generator=torch.Generator().manual_seed(1))


def both(forward: Callable[..., object]) -> tuple[Parts, Parts]:
    """A routed net and its printed twin."""
    printed = parts(forward)
    routed = copy.deepcopy(printed)
    route(routed)
    assert "forward" in vars(routed), "it was routed"
    return routed, printed


def assert_same_step(routed: nn.Module, printed: nn.Module, given: Tensor | None = None) -> None:
    """Two training steps and a pass in eval mode give the same bits of outputs and buffers, and the same gradients.

    These to 1e-6 of the largest one: a bias before a batch norm has none but rounding.
    """
    batch = images() if given is None else given
    for _ in range(2):
        outputs = []
        for net in (routed, printed):
            net.zero_grad()
            output = net(batch.clone())
            output.square().sum().backward()
            outputs.append(output)
        assert type(outputs[0]) is torch.Tensor
        assert torch.equal(*outputs)
        largest = max(
            (float(each.grad.abs().max()) for each in printed.parameters() if each.grad is not None), default=1.0
        )
        for (name, one), other in zip(routed.named_parameters(), printed.parameters(), strict=True):
            assert (one.grad is None) == (other.grad is None), name
            if one.grad is not None and other.grad is not None:
                torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6 * max(1.0, largest), msg=name)
        for (name, buffer), wanted in zip(routed.named_buffers(), printed.buffers(), strict=True):
            assert torch.equal(buffer, wanted), name
    with torch.no_grad():
        assert torch.equal(*(net.eval()(batch.clone()) for net in (routed, printed)))
    routed.train()
    printed.train()
