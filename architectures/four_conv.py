"""The 4-conv net: small kernels, no padding, two convolutions before each pool.

Source: the 4-conv project.

Idea: four cheap 3×3 convolutions of 4 to 32 channels see enough of a digit that a tiny classifier suffices.

Shape after each stage, for images (N, 1, 28, 28):

    Conv 1→4, 3×3, ReLU      (N, 4, 26, 26)
    Conv 4→8, 3×3, ReLU      (N, 8, 24, 24)
    MaxPool 2                (N, 8, 12, 12)
    Conv 8→16, 3×3, ReLU     (N, 16, 10, 10)
    Conv 16→32, 3×3, ReLU    (N, 32, 8, 8)
    MaxPool 2                (N, 32, 4, 4)
    Flatten                  (N, 512)
    Linear 512→20, ReLU      (N, 20)
    Linear 20→10             (N, 10) logits

Counts: 16,614 parameters = 40 + 296 + 1,168 + 4,640 + 10,260 + 210, as the source says;
610,776 MACs = 24,336 + 165,888 + 115,200 + 294,912 + 10,240 + 200.

On other images: the first convolution takes their channels and the last layer has their classes. Two convolutions take
4 off each side and a pool halves it, rounded down, so that a side s ends as ((s - 4) // 2 - 4) // 2: 28 as 4, 32 as 5,
and one below 16 as nothing. Of C channels, H×W maps and K classes the parameters are 36·C + 4 + 6,104 + (640·H·W + 20)
+ 21·K; CIFAR-10 gives 22,446 = 112 + 6,104 + 16,020 + 210.

Printed by the source: all of it but one ReLU. Completion: the ReLU after the second convolution.
Recipe printed: batch 100, 1 epoch, cross-entropy on logits. The optimizer is unstated; of the three completions (Adam
1e-3, Adam 1e-2, SGD 0.1 with momentum 0.9) the first is the primary one and stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from bench.spec import Architecture, Budget, MisfitError, Recipe

if TYPE_CHECKING:
    from torch import Tensor


class FourConvNet(nn.Module):
    """Two times two unpadded 3×3 convolutions and a pool, then two linear layers."""

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
            nn.Conv2d(channels, 4, kernel_size=3),
            nn.ReLU(),
            nn.Conv2d(4, 8, kernel_size=3),
            nn.ReLU(),  # completion: not printed
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, kernel_size=3),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * height * width, 20), nn.ReLU(), nn.Linear(20, classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28), or what the net was fitted to."""
        features = self.features(images)  # (N, 32, 4, 4)
        logits: Tensor = self.classifier(features)
        return logits


CONV16K = Architecture(
    name="conv16k",
    build=FourConvNet,
    summary="Four unpadded 3×3 convolutions of 4 to 32 channels in two blocks, then a 20-unit layer.",
    source="the 4-conv project",
    params=16_614,
    macs=610_776,
    recipe=Recipe(optimizer="adam", lr=1e-3, batch_size=100, schedule="constant"),
    budget=Budget(epochs=1),
)
