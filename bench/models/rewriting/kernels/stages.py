"""What the kernels can do: single layers, and the stages that layers in a row make."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.module import _has_any_global_hook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

_MOST_WEIGHTS = 128 * 128 * 9
"""Of a convolution: with more, channels fill oneDNN's vectors and the kernels' sums leave the cache."""


@dataclasses.dataclass(frozen=True)
class Relu:
    """A ReLU that is no module."""

    def __call__(self, images: Tensor) -> Tensor:
        """As torch runs it."""
        return functional.relu(images)


@dataclasses.dataclass(frozen=True)
class MaxPool:
    """A max pool, each number one of height and one of width."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    @property
    def fits(self) -> bool:
        """Whether torch would take it, and the kernels."""
        pairs = zip(self.kernel, self.stride, self.padding, strict=True)
        return all(size >= 1 and step >= 1 and 0 <= 2 * pad <= size for size, step, pad in pairs)

    def __call__(self, images: Tensor) -> Tensor:
        """As torch runs it."""
        return functional.max_pool2d(images, self.kernel, self.stride, self.padding)


Layer = nn.Module | Relu | MaxPool


@dataclasses.dataclass(frozen=True)
class Stage:
    """What the kernels do in one pass over a block of images, in this order; each part may be missing."""

    conv: nn.Conv2d | None = None
    norm: nn.BatchNorm2d | None = None
    relu: bool = False
    pool: MaxPool | None = None

    def extended(self, layer: Layer) -> Stage | None:
        """The stage with a layer behind it; None where that begins another stage."""
        if isinstance(layer, nn.Conv2d):
            return None if self != Stage() else Stage(conv=layer)
        if isinstance(layer, nn.BatchNorm2d):
            return None if self.norm or self.relu or self.pool else dataclasses.replace(self, norm=layer)
        if isinstance(layer, Relu | nn.ReLU):
            return dataclasses.replace(self, relu=True)  # behind a pool too: max(relu(x)) = relu(max(x))
        pool = layer if isinstance(layer, MaxPool) else pool_of(layer)  # type: ignore[arg-type]
        return None if self.pool else dataclasses.replace(self, pool=pool)


def make_stages(layers: Sequence[Layer]) -> tuple[Stage, ...]:
    """Group layers, each of which the kernels know, as they are run."""
    stages = [Stage()]
    for layer in layers:
        extended = stages[-1].extended(layer)
        if extended is None:
            stages.append(Stage().extended(layer) or Stage())
        else:
            stages[-1] = extended
    return tuple(stages)


def knows(layer: Layer) -> bool:
    """Whether the kernels can run a layer as it is now: of such a kind, plain float32, and nobody listens to it."""
    if isinstance(layer, nn.Module):
        return type(layer) in _KNOWN and not _is_heard(layer) and _KNOWN[type(layer)](layer)
    return isinstance(layer, Relu) or layer.fits


def pool_of(layer: nn.MaxPool2d) -> MaxPool:
    """The numbers of an `nn.MaxPool2d`."""
    return MaxPool(*map(_pair, (layer.kernel_size, layer.stride, layer.padding)))


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value[0], value[1]) if isinstance(value, tuple) else (value, value)


def _is_heard(module: nn.Module) -> bool:
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks  # noqa: SLF001
    return any(hooks) or bool(_has_any_global_hook())


def _knows_convolution(layer: nn.Conv2d) -> bool:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str) or layer.groups != 1 or layer.dilation != (1, 1):
        return False
    numbers = zip(layer.kernel_size, layer.stride, layer.padding, strict=True)
    if any(size > 7 or step not in (1, 2) or pad >= size for size, step, pad in numbers):
        return False
    return layer.weight.numel() <= _MOST_WEIGHTS and _is_plain(layer.weight) and _is_plain(layer.bias)


def _knows_norm(layer: nn.BatchNorm2d) -> bool:
    if layer.momentum is None or (layer.running_mean is None) != (layer.running_var is None):
        return False
    return _is_plain(layer.weight) and _is_plain(layer.running_mean)


def _knows_pool(layer: nn.MaxPool2d) -> bool:
    is_plain = layer.dilation in (1, (1, 1)) and not layer.ceil_mode and not layer.return_indices
    return is_plain and pool_of(layer).fits


_KNOWN: dict[type[nn.Module], Callable[..., bool]] = {
    nn.Conv2d: _knows_convolution,
    nn.BatchNorm2d: _knows_norm,
    nn.MaxPool2d: _knows_pool,
    nn.ReLU: lambda _layer: True,
}


def _is_plain(value: Tensor | None) -> bool:
    """Whether a parameter is what the kernels read: dense float32 on a CPU."""
    if value is None:
        return True
    return value.dtype is torch.float32 and value.is_cpu and value.layout is torch.strided and value.is_contiguous()


def fits(images: Tensor) -> bool:
    """Whether the kernels can take images as they are: a batch of float32 on a CPU, outside autocast and transforms."""
    if type(images) is not torch.Tensor or images.dtype is not torch.float32 or images.dim() != 4:
        return False
    dense = images.is_cpu and images.layout is torch.strided and images.shape[0] > 0 and not images.is_neg()
    return dense and not torch.is_autocast_enabled("cpu") and torch._C._functorch.peek_interpreter_stack() is None  # noqa: SLF001
