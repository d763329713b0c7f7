"""What the 4-conv project claims (D1–D5), and the two defects that its text describes.

Idea: re-run its one epoch under each completion of the unstated optimizer, and build what it calls wrong.

    conv16k-softmax    conv16k with a softmax behind its last layer, (N, 10) that add up to 1, not logits
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from architectures.four_conv import FourConvNet
from bench.spec import Architecture, Arm, Case, Claim, Recipe

if TYPE_CHECKING:
    from torch import Tensor

D = "the 4-conv project (D)"


class SoftmaxNet(FourConvNet):
    """conv16k that gives probabilities where the loss wants logits."""

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (N, 10) of images (N, 1, 28, 28)."""
        return super().forward(images).softmax(dim=1)


class TooFewFeatures(FourConvNet):
    """conv16k whose first linear layer expects 320 features where 512 arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(320, 20), nn.ReLU(), nn.Linear(20, 10))


NETS = [
    Architecture(
        name="conv16k-softmax",
        build=SoftmaxNet,
        summary="conv16k with a softmax before the loss, for claim D3.",
        source="a defect that the 4-conv project describes",
        variant_of="conv16k",
    )
]

ADAM = Recipe(optimizer="adam", lr=1e-3, batch_size=100, schedule="constant")
ADAM_FAST = Recipe(optimizer="adam", lr=1e-2, batch_size=100, schedule="constant")
SGD = Recipe(optimizer="sgd", lr=0.1, momentum=0.9, batch_size=100, schedule="constant")
NET = (Case(label="conv16k", arm=Arm(net="conv16k")),)
CASES = (
    Case(label="Adam 1e-3", arm=Arm(net="conv16k", recipe=ADAM)),
    Case(label="Adam 1e-2", arm=Arm(net="conv16k", recipe=ADAM_FAST)),
    Case(label="SGD 0.1, momentum 0.9", arm=Arm(net="conv16k", recipe=SGD)),
)

CLAIMS = [
    Claim(id="D1a", source=D, text="16,614 parameters", rule="count", quantity="parameters", claimed=("16,614",),
          cases=NET),
    Claim(id="D1b", source=D, text="40 + 296 + 1,168 + 4,640 + 10,260 + 210 of them in the six layers", rule="count",
          quantity="layer_parameters", claimed=("40", "296", "1,168", "4,640", "10,260", "210"), cases=NET),
    Claim(id="D2", source=D, text="97.39 % test accuracy after 1 epoch", rule="value", claimed=("97.39 %",),
          cases=CASES, protocol="as_claimed"),
    Claim(id="D3a", source=D, text="a softmax before cross-entropy is wrong: it is caught", rule="defect",
          defect="SoftmaxNet", claimed=("as after a softmax",)),
    Claim(id="D3b", source=D, text="the loss wants logits: they train better than probabilities", rule="better",
          protocol="as_claimed",
          cases=(Case(label="logits against a softmax", arm=Arm(net="conv16k", recipe=ADAM),
                      against=Arm(net="conv16k-softmax", recipe=ADAM)),)),
    Claim(id="D4", source=D, text="a first linear layer that expects 320 features where 512 arrive fails",
          rule="defect", defect="TooFewFeatures", claimed=("512 and 320x20",)),
    Claim(id="D5", source=D, text="loss at batches 1, 101, 201, 301, 401, 501 of epoch 1", rule="series",
          quantity="batch_loss", at=(1, 101, 201, 301, 401, 501),
          claimed=("2.305", "0.144", "0.158", "0.107", "0.082", "0.092"), cases=CASES, protocol="as_claimed"),
]  # fmt: skip
