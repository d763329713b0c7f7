"""What pictures of a report are made from: images of the data, and what a fitted net makes of some of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataPictures:
    """Images of one dataset, as pixels from 0 to 255.

    Attributes:
        test: The whole test set, (T, C, H, W) uint8.
        samples: Images of the training pool, (K, C, H, W) uint8: the first ones of each class, class after class.
        sample_labels: Their classes, (K,) uint8.
        sample_indices: Where they stand in the pool, (K,) int32.
        damaged: Whether what was stored is damaged; then there is no image.
    """

    test: NDArray[np.uint8]
    samples: NDArray[np.uint8]
    sample_labels: NDArray[np.uint8]
    sample_indices: NDArray[np.int32]
    damaged: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageMaps:
    """Feature maps after one layer of a net.

    Attributes:
        layer: Path of the module in the net.
        kind: Its class.
        maps: Activations of some images, (K, C, H, W) uint8, of the first 32 channels at most: of each image, scaled so
            that 0 is the lowest value kept and 255 the highest; a flat output (K, F) is (K, F, 1, 1).
        lows: What 0 stands for, (K,) float32.
        highs: What 255 stands for, (K,) float32.
    """

    layer: str
    kind: str
    maps: NDArray[np.uint8]
    lows: NDArray[np.float32]
    highs: NDArray[np.float32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Portrait:
    """What one fitted net looks like inside; one run stands for an architecture under a condition.

    Attributes:
        run_id: The run.
        images: Which of `DataPictures.samples` were shown, (K,) int32.
        filters: Weights of the first convolution, (F, C, kh, kw) float32; empty (0, 0, 0, 0) without one.
        stages: Of each layer that is a module, in order of execution; none when the net does not let itself be watched.
        damaged: Whether what was stored is damaged; then there is no filter and no stage.
    """

    run_id: str
    images: NDArray[np.int32]
    filters: NDArray[np.float32]
    stages: tuple[StageMaps, ...]
    damaged: bool = False
