"""Rewrites a net for speed without changing what it computes. Architectures stay as their sources print them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

CHANNELS_LAST = "channels_last, ReLU after MaxPool"
BLOCKED = "oneDNN blocked, ReLU after MaxPool"

_BLOCK = 16
"""Channels that oneDNN's blocked layout keeps together (one 512-bit vector of float32)."""


def rewrite_for_speed(model: nn.Module, device: str) -> str:
    """Run ReLUs behind the MaxPools that follow them and choose the memory layout, in place.

    max(relu(x)) = relu(max(x)), forward and backward, and the ReLU then touches a quarter of the values. Stages keep
    their places and names: only how an `nn.Sequential` is run as a whole changes, so a net that indexes, slices or
    names its stages does what it did. The layout follows from the net alone, never from a measurement, so that a
    request gives the same bits on every day.

    Args:
        model: A net as its architecture builds it.
        device: Kind of device that it will run on.

    Returns:
        What was chosen, for the run's record: `BLOCKED` or `CHANNELS_LAST`.
    """
    has_blocks = device == "cpu" and torch.backends.mkldnn.is_available()
    layout = CHANNELS_LAST
    for stages in [module for module in model.modules() if type(module) is nn.Sequential]:
        blocked = has_blocks and _suits_blocks(stages)
        stages.__class__ = BlockedStages if blocked else DenseStages
        layout = BLOCKED if blocked else layout
    if layout == CHANNELS_LAST:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return layout


class DenseStages(nn.Sequential):
    """An `nn.Sequential` that runs a ReLU after the MaxPool that follows it."""

    def forward(self, images: Tensor) -> Tensor:
        """Output of the last stage."""
        for stage in _in_order(self):
            images = stage(images)
        return images


class BlockedStages(nn.Sequential):
    """The same, its convolutions and what follows them in oneDNN's blocked layout.

    MaxPool, BatchNorm and their backward passes are up to twice as fast there. The dense layout comes back before the
    first stage that does not know it, and at the end.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Dense images (N, C, H, W) to the dense output of the last stage."""
        for stage in _in_order(self):
            if images.is_mkldnn and not _knows_blocks(stage):
                images = images.to_dense()
            elif isinstance(stage, nn.Conv2d) and not images.is_mkldnn and _knows_blocks(stage):
                images = images.to_mkldnn()
            images = stage(images)
        return images.to_dense() if images.is_mkldnn else images


def _in_order(stages: nn.Sequential) -> list[nn.Module]:
    """The stages as they are run: each ReLU behind the MaxPool that follows it, unless somebody listens to either."""
    order = list(stages)
    for place, (relu, pool) in enumerate(itertools.pairwise(stages)):
        if type(relu) is nn.ReLU and type(pool) is nn.MaxPool2d and not pool.return_indices:
            if relu._forward_hooks or pool._forward_hooks or relu._forward_pre_hooks or pool._forward_pre_hooks:  # noqa: SLF001
                continue
            order[place], order[place + 1] = pool, relu
    return order


def _suits_blocks(stages: nn.Sequential) -> bool:
    """Whether blocks pay: a pool or a norm stands beside the convolutions, and less than half of a block is filler."""
    known = [stage for stage in stages if _knows_blocks(stage)]
    channels = [stage.out_channels for stage in known if isinstance(stage, nn.Conv2d)]
    filled = [-(-count // _BLOCK) * _BLOCK < 2 * count for count in channels]
    return bool(channels) and all(filled) and any(isinstance(s, nn.MaxPool2d | nn.BatchNorm2d) for s in known)


def _knows_blocks(stage: nn.Module) -> bool:
    """Whether oneDNN has the stage forward and backward in its blocked layout."""
    if type(stage) is nn.Conv2d:
        plain = stage.padding_mode == "zeros" and not isinstance(stage.padding, str)
        return plain and stage.weight.dtype == torch.float32
    if type(stage) is nn.BatchNorm2d:
        has_backward = stage.training or not torch.is_grad_enabled()
        return stage.affine and stage.track_running_stats and stage.momentum is not None and has_backward
    if type(stage) is nn.MaxPool2d:
        return stage.dilation in (1, (1, 1)) and not stage.ceil_mode and not stage.return_indices
    return type(stage) is nn.ReLU and not stage.inplace
