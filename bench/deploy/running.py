"""What runs a trained net, and what it says of a net's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.data.arrays import Images


class Layer(NamedTuple):
    """What a layer made of one image.

    Attributes:
        path: Of the layer within its net.
        kind: Its class.
        values: (C, H, W), or (F,) of a linear one.
    """

    path: str
    kind: str
    values: NDArray[np.float32]


class Runner(Protocol):
    """What runs a net. Several threads may use it at once."""

    def run(self, images: Images) -> NDArray[np.float32]:
        """Logits (N, classes) of pixels (N, C, H, W)."""

    def look(self, image: Images) -> list[Layer]:
        """What each layer makes of one image (C, H, W)."""
