"""What pictures of a report are made from: images of the data, and what a fitted net makes of some of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataPictures:
    """Images of one dataset, as pixels from 0 to 255."""

    test: NDArray[np.uint8]  # the whole test set, (T, C, H, W)
    samples: NDArray[np.uint8]  # of the training pool, (K, C, H, W): the first ones of each class, class after class
    sample_labels: NDArray[np.uint8]  # (K,)
    sample_indices: NDArray[np.int32]  # where they stand in the pool, (K,)
    damaged: bool = False  # whether what was stored is damaged; then there is no image


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageMaps:
    """Feature maps after one layer of a net.

    Attributes:
        maps: Activations of some images, (K, C, H, W) uint8, of the first 32 channels at most: of each image, scaled so
            that 0 is the lowest value kept and 255 the highest; a flat output (K, F) is (K, F, 1, 1).
    """

    layer: str  # path of the module in the net
    kind: str  # its class
    maps: NDArray[np.uint8]
    lows: NDArray[np.float32]  # what 0 stands for, (K,)
    highs: NDArray[np.float32]  # what 255 stands for, (K,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Portrait:
    """What one fitted net looks like inside; one run stands for an architecture under a condition."""

    run_id: str
    images: NDArray[np.int32]  # which of `DataPictures.samples` were shown, (K,)
    filters: NDArray[np.float32]  # weights of the first convolution, (F, C, kh, kw); empty (0, 0, 0, 0) without one
    stages: tuple[StageMaps, ...]  # in order of execution; none when the net does not let itself be watched
    damaged: bool = False  # whether what was stored is damaged; then there is no filter and no stage
