"""A net in functional style, as PyTorch's MNIST example writes it: no `nn.Sequential` to be found in it.

Shape after each stage, for images (N, 1, 28, 28):

    Conv 1→32, 3×3, ReLU     (N, 32, 26, 26)
    Conv 32→64, 3×3, ReLU    (N, 64, 24, 24)
    MaxPool 2, dropout 0.25  (N, 64, 12, 12)
    Flatten                  (N, 9216)
    Linear 9216→128, ReLU    (N, 128), dropout 0.5
    Linear 128→10            (N, 10) logits

Counts: 1,199,882 parameters = 320 + 18,496 + 1,179,776 + 1,290;
11,992,448 MACs = 194,688 + 10,616,832 + 1,179,648 + 1,280.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from bench.spec import Architecture

if TYPE_CHECKING:
    from torch import Tensor


class FunctionalNet(nn.Module):
    """Two unpadded convolutions, one pool and two linear layers, the rest of it functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.dropout1, self.dropout2 = nn.Dropout(0.25), nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(9216, 128), nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 1, 28, 28) to logits (N, 10)."""
        maps = torch.relu(self.conv1(images))  # (N, 32, 26, 26)
        maps = torch.relu(self.conv2(maps))  # (N, 64, 24, 24)
        maps = self.dropout1(functional.max_pool2d(maps, 2))  # (N, 64, 12, 12)
        features = torch.relu(self.fc1(torch.flatten(maps, 1)))  # (N, 128)
        logits: Tensor = self.fc2(self.dropout2(features))
        return logits


ARCHITECTURE = Architecture(
    name="functional",
    build=FunctionalNet,
    summary="3×3 convolutions 1→32→64, one pool and two linear layers, in functional style",
    source="after PyTorch's MNIST example",
)
