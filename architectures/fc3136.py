"""The 3136-FC nets: two padded 3×3 convolutions and one wide linear layer that holds most parameters.

Sources: the 3136-FC dropout project (fc3136) and the flatten-bug project (fc3136d2).

Idea: keep 7×7 maps of 64 channels, flatten them to 3136 features, and let dropout tame the 401,536-parameter layer.

Shape after each stage, for images (N, 1, 28, 28):

    Conv 1→32, 3×3, pad 1, ReLU     (N, 32, 28, 28)
    MaxPool 2                       (N, 32, 14, 14)
    Conv 32→64, 3×3, pad 1, ReLU    (N, 64, 14, 14)
    MaxPool 2                       (N, 64, 7, 7)
    Dropout 0.25, fc3136d2 only     (N, 64, 7, 7)
    Flatten                         (N, 3136)
    Linear 3136→128, ReLU           (N, 128)
    Dropout 0.5, fc3136d2 0.25      (N, 128)
    Linear 128→10                   (N, 10) logits

Counts, of both: 421,642 parameters = 320 + 18,496 + 401,536 + 1,290;
4,241,152 MACs = 225,792 + 3,612,672 + 401,408 + 1,280.

On other images: the first convolution takes their channels and the last layer has their classes. The convolutions keep
the sides and each pool halves them, rounded down, so that a side s ends as s // 4: 28 as 7, 32 as 8, and one below 4 as
nothing. Of C channels, H×W maps and K classes the parameters are 288·C + 32 + 18,496 + (8,192·H·W + 128) + 129·K;
CIFAR-10 gives 545,098 = 896 + 18,496 + 524,416 + 1,290. The names stay: 3136 features there are only where the maps
are 7×7.

fc3136, of the dropout project. Printed: the whole net; Adam, at most 20 epochs, early stopping with patience 3 and the
best checkpoint, both on TEST accuracy: here they look at validation. Of the completions for the unstated batch (64,
128) the first is the primary one and stands here. The rate is unstated and no completion is declared: a constant 1e-3
is this suite's choice.

fc3136d2, of the flatten-bug project. Printed: the channels, the order of the stages, dropout at two places (one
module used twice, so one rate; two modules of one rate do the same), batch 64, 5 epochs. The printed code pools once
and fails on its own view.
Completions, primary: 3×3 kernels with padding 1, a pool after each convolution, 128 hidden units, dropout 0.25, Adam
1e-3 (constant).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from bench.spec import Architecture, Budget, MisfitError, Range, Recipe

if TYPE_CHECKING:
    from torch import Tensor


KNOBS = {"dropout": Range(low=0.0, high=0.5)}
"""For `--tune-architecture`: the rate of every dropout."""


class FC3136(nn.Module):
    """Two 3×3 convolutions with pooling, a 128-unit layer with dropout, logits."""

    def __init__(
        self,
        *,
        dropout: float,
        dropout_on_maps: bool = False,
        input_shape: tuple[int, int, int] = (1, 28, 28),
        classes: int = 10,
    ) -> None:
        """Build the net.

        Args:
            dropout: Share of values that dropout zeroes.
            dropout_on_maps: Drop values of the last feature maps too, at the same rate.
            input_shape: Channels, height, width.
            classes: How many.
        """
        super().__init__()
        channels, *sides = input_shape
        height, width = (side // 2 // 2 for side in sides)
        if height < 1 or width < 1:
            raise MisfitError("after the second pool nothing is left, as of all below 4×4")
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        if dropout_on_maps:
            self.features.append(nn.Dropout(dropout))
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * height * width, 128),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(128, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28), or what the net was fitted to."""
        features = self.features(images)  # (N, 64, 7, 7)
        logits: Tensor = self.classifier(features)
        return logits


FC3136_ONE_DROPOUT = Architecture(
    name="fc3136",
    build=partial(FC3136, dropout=0.5),
    summary="Two padded 3×3 convolutions, 3136 features into 128 units, dropout 0.5 before the logits.",
    source="the 3136-FC dropout project",
    params=421_642,
    macs=4_241_152,
    knobs=KNOBS,
    recipe=Recipe(optimizer="adam", lr=1e-3, batch_size=64, schedule="constant", patience=3, keep="best"),
    budget=Budget(epochs=20),
)

FC3136D2 = Architecture(
    name="fc3136d2",
    build=partial(FC3136, dropout=0.25, dropout_on_maps=True),
    summary="fc3136 with dropout 0.25 at two places: on the last feature maps and before the logits.",
    source="the flatten-bug project",
    params=421_642,
    macs=4_241_152,
    knobs=KNOBS,
    recipe=Recipe(optimizer="adam", lr=1e-3, batch_size=64, schedule="constant"),
    budget=Budget(epochs=5),
    variant_of="fc3136",
)
