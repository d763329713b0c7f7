"""The net of lenet21k taught with wrong labels: a planted difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from architectures.lenet import LeNet
from bench.spec import Architecture

if TYPE_CHECKING:
    from torch import Tensor

WRONG_LABELS = 0.25
"""Share of the images of a step whose logits are judged by another image's label."""


class Mistaught(LeNet):
    """The net of `lenet21k`; while it trains, some images stand before the loss in another's place."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28)."""
        logits = super().forward(images)
        if not self.training:
            return logits
        order = torch.arange(len(logits))
        wrong = torch.rand(len(logits)) < WRONG_LABELS  # the run's own dropout stream: the same in every repetition
        order[wrong] = order[wrong].roll(1)
        return logits[order]


HANDICAPPED = Architecture(
    name="mistaught", build=Mistaught, summary="lenet21k with one label in four wrong", source="a planted difference"
)
