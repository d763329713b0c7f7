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

On other images: the first convolution takes their channels and the last layer has their classes. A convolution takes 4
off each side and a pool halves it, rounded down, so that a side s ends as ((s - 4) // 2 - 4) // 2: 28 as 4, 32 as 5,
and one below 16 as nothing. Of C channels, H×W maps and K classes the parameters are 250·C + 10 + 5,020 + (1,000·H·W +
50) + 51·K; CIFAR-10 gives 31,340 = 760 + 5,020 + 25,050 + 510.

Printed by the source: all of it. Its layer table lists every ReLU and none stands between the two linear layers, so
none is built there. Recipe printed: batch 64. Optimizer and rate are unstated and no completion is declared: Adam at a
constant 1e-3 is this suite's own choice. The number of epochs is unstated too: no budget is declared, so that of the
comparison applies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from bench.spec import Architecture, MisfitError, Recipe

if TYPE_CHECKING:
    from torch import Tensor


class LeNet(nn.Module):
    """Two 5×5 convolutions, each with ReLU and a pool, then two linear layers with nothing between them."""

    def __init__(self, *, input_shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10) -> None:
        """Build the net.

        Args:
            input_shape: Channels, height, width.
            classes: How many.
        """
        super().__init__()
        channels, *sides = input_shape
        height, width = (((side - 4) // 2 - 4) // 2 for side in sides)
        if height < 1 or width < 1:
            raise MisfitError("after the second pool nothing is left, as of all below 16×16")
        self.features = nn.Sequential(
            nn.Conv2d(channels, 10, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(10, 20, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(20 * height * width, 50), nn.Linear(50, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28), or what the net was fitted to."""
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
