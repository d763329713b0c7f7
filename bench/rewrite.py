"""Rewrites a net for speed without changing what it computes. Architectures stay as their sources print them."""

from __future__ import annotations

import torch
from torch import nn

LAYOUT = "channels_last, ReLU after MaxPool"
"""What `rewrite_for_speed` does, stored with every run."""


def rewrite_for_speed(model: nn.Module) -> nn.Module:
    """Lay weights out channels-last and move ReLUs behind the MaxPools that follow them, in place.

    max(relu(x)) = relu(max(x)), forward and backward, and the ReLU then touches a quarter of the values. Only
    neighbours inside one `nn.Sequential` are swapped; the names of parameters stay as they are.

    Args:
        model: A net as its architecture builds it.

    Returns:
        The same object.
    """
    for stages in [module for module in model.modules() if type(module) is nn.Sequential]:
        for first, second in zip(range(len(stages)), range(1, len(stages)), strict=False):
            relu, pool = stages[first], stages[second]
            if type(relu) is nn.ReLU and type(pool) is nn.MaxPool2d and not pool.return_indices:
                stages[first], stages[second] = pool, relu
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
