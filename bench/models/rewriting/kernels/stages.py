"""What the kernels can do: single layers, and the stages that layers in a row make."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from bench.models.rewriting.torch_internals import is_heard

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

    @classmethod
    def of(cls, kernel_size: object, stride: object, padding: object, dilation: object) -> MaxPool | None:
        """The pool as torch's arguments tell it; None where the kernels have none such."""
        kernel, step, edge = map(pair, (kernel_size, stride, padding))
        if kernel is None or step is None or edge is None or pair(dilation) != (1, 1):
            return None
        return cls(kernel, step, edge)

    def reach(self, sides: Sequence[int]) -> tuple[int, int]:
        """Height and width of what it gives for images of these sides."""
        return slide(sides, self.kernel, self.stride, self.padding)

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
        return type(layer) in _KNOWN and not is_heard(layer) and _KNOWN[type(layer)](layer)
    return isinstance(layer, Relu) or layer.fits


def pool_of(layer: nn.MaxPool2d) -> MaxPool | None:
    """The numbers of an `nn.MaxPool2d`; None where the kernels have none such."""
    if layer.ceil_mode or layer.return_indices:
        return None
    return MaxPool.of(layer.kernel_size, layer.stride, layer.padding, layer.dilation)


def slide(
    sides: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[int, int]:
    """Height and width of what a window gives that slides over images of these sides."""
    height = (sides[0] + 2 * padding[0] - kernel[0]) // stride[0] + 1
    return height, (sides[1] + 2 * padding[1] - kernel[1]) // stride[1] + 1


def pair(value: object) -> tuple[int, int] | None:
    """Two numbers in any way that torch takes; None for anything else."""
    if type(value) is int:
        return value, value
    if isinstance(value, tuple | list) and 1 <= len(value) <= 2 and all(type(item) is int for item in value):
        return value[0], value[-1]
    return None


def _knows_convolution(layer: nn.Conv2d) -> bool:
    if layer.padding_mode != "zeros" or layer.groups != 1 or layer.dilation != (1, 1):
        return False
    numbers = [layer.kernel_size, layer.stride, layer.padding]
    pairs = [number for number in numbers if isinstance(number, tuple) and pair(number) is not None]
    if len(pairs) < len(numbers):
        return False
    if any(
        not 1 <= size <= 7 or step not in (1, 2) or not 0 <= pad < size for size, step, pad in zip(*pairs, strict=True)
    ):
        return False
    shape = (layer.out_channels, layer.in_channels, *layer.kernel_size)
    is_own = _is_plain(layer.weight, shape) and (layer.bias is None or _is_plain(layer.bias, shape[:1]))
    return is_own and layer.weight.numel() <= _MOST_WEIGHTS


def _knows_norm(layer: nn.BatchNorm2d) -> bool:
    values = layer.weight, layer.bias, layer.running_mean, layer.running_var
    if (values[0] is None) != (values[1] is None) or (values[2] is None) != (values[3] is None):
        return False
    has_statistics = values[2] is not None
    is_usual = type(layer.momentum) is float and layer.track_running_stats == has_statistics
    return is_usual and all(value is None or _is_plain(value, (layer.num_features,)) for value in values)


def _knows_pool(layer: nn.MaxPool2d) -> bool:
    pool = pool_of(layer)
    return pool is not None and pool.fits


_KNOWN: dict[type[nn.Module], Callable[..., bool]] = {
    nn.Conv2d: _knows_convolution,
    nn.BatchNorm2d: _knows_norm,
    nn.MaxPool2d: _knows_pool,
    nn.ReLU: lambda _layer: True,
}


def _is_plain(value: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether a parameter is what the kernels read: dense float32 of this shape on a CPU."""
    is_dense = value.dtype is torch.float32 and value.is_cpu and value.layout is torch.strided
    return is_dense and value.shape == shape and value.is_contiguous()


def fits(images: Tensor) -> bool:
    """Whether the kernels can take images as they are: a batch of float32 on a CPU, outside autocast and transforms."""
    if type(images) is not torch.Tensor or images.dtype is not torch.float32 or images.dim() != 4:
        return False
    dense = images.is_cpu and images.layout is torch.strided and images.shape[0] > 0 and not images.is_neg()
    return dense and not torch.is_autocast_enabled("cpu") and torch._C._functorch.peek_interpreter_stack() is None  # noqa: SLF001
