"""Gives logits twice in training mode, as nets with auxiliary heads do."""

import torch
from torch import Tensor, nn

from bench.spec import Architecture


class Auxiliary(nn.Module):
    """Two heads on one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.other = nn.Linear(784, 16), nn.Linear(16, 10), nn.Linear(16, 10)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits, and those of the other head in training mode."""
        features = torch.relu(self.body(images.flatten(1)))
        logits: Tensor = self.head(features)
        return (logits, self.other(features)) if self.training else logits


ARCHITECTURE = Architecture(name="auxiliary", build=Auxiliary)
