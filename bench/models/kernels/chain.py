"""A stand-in: layers run by torch, one after the other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Relu:
    """max(0, x)."""


@dataclasses.dataclass(frozen=True)
class MaxPool:
    """The largest of each window; rows and columns."""

    kernel: Pair
    stride: Pair
    padding: Pair


Layer = nn.Module | Relu | MaxPool


def knows(layer: nn.Module) -> bool:
    """Whether the kernels can run this module."""
    if type(layer) is nn.Conv2d:
        plain = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        return plain and layer.groups == 1 and layer.dilation == (1, 1)
    if type(layer) is nn.BatchNorm2d:
        return layer.affine and layer.track_running_stats and layer.momentum is not None
    if type(layer) is nn.MaxPool2d:
        return layer.dilation in (1, (1, 1)) and not layer.ceil_mode and not layer.return_indices
    return type(layer) is nn.ReLU


class Chain:
    """Consecutive layers."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    def pays(self) -> bool:
        """Whether there is a convolution."""
        return any(isinstance(layer, nn.Conv2d) for layer in self.layers)

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in and out."""
        for layer in self.layers:
            if isinstance(layer, Relu):
                images = torch.relu(images)
            elif isinstance(layer, MaxPool):
                images = functional.max_pool2d(images, layer.kernel, layer.stride, layer.padding)
            else:
                images = layer(images)
        return images
