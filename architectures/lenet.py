"""The LeNet-like net: two unpadded 5×5 convolutions and two linear layers.

Source: the LeNet-like project.

Idea: LeCun's plan of 1998 (convolve, pool, convolve, pool, classify) with ReLU and max pooling.

Shape after each stage, for images (N, 1, 28, 28):

    Conv 1→10, 5×5, ReLU     (N, 10, 24, 24)
    MaxPool 2                (N, 10, 12, 12)
    Conv 10→20, 5×5, ReLU    (N, 20, 8, 8)
    MaxPool 2                (N, 20, 4, 4)
    Flatten                  (N, 320)
    Linear 320→50            (N, 50)
    Linear 50→10             (N, 10) logits

Counts: 21,840 parameters = 260 + 5,020 + 16,050 + 510 (claim B1);
480,500 MACs = 144,000 + 320,000 + 16,000 + 500. With the biases, as torchinfo counts, that is 487,600 an image and
31.21 M for a batch of 64 (claim B2).

Printed by the source: all of it. Its layer table lists every ReLU and none stands between the two linear layers, so
none is built there. Recipe printed: batch 64. Optimizer and rate are unstated and no completion is declared: Adam at a
constant 1e-3 is this suite's own choice. The number of epochs is unstated too: no budget is declared, so that of the
comparison applies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from bench.spec import Architecture, Recipe

if TYPE_CHECKING:
    from torch import Tensor


class LeNet(nn.Module):
    """Two 5×5 convolutions, each with ReLU and a pool, then two linear layers with nothing between them."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 10, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(10, 20, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(320, 50), nn.Linear(50, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28)."""
        features = self.features(images)  # (N, 20, 4, 4)
        logits: Tensor = self.classifier(features)
        return logits


LENET21K = Architecture(
    name="lenet21k",
    build=LeNet,
    summary="Two unpadded 5×5 convolutions with pooling, then two linear layers without a ReLU between them.",
    source="the LeNet-like project",
    params=21_840,
    macs=480_500,
    recipe=Recipe(optimizer="adam", lr=1e-3, batch_size=64, schedule="constant"),
)
