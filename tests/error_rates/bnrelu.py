"""A net that now and then collapses: `bn25k` with a ReLU behind its 13 hidden units, whose accuracies are skewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from bench.spec import Architecture

if TYPE_CHECKING:
    from torch import Tensor


class BnRelu(nn.Module):
    """Two convolutions with BatchNorm, 13 hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * 7 * 7, 13), nn.ReLU(), nn.Dropout(0.25), nn.Linear(13, 10)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28)."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


BNRELU = Architecture(
    name="bnrelu",
    build=BnRelu,
    summary="BatchNorm, ReLU behind 13 hidden units: collapses on some seeds",
    source="bn25k of architectures/batchnorm.py, changed",
)
