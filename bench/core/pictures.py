"""Images that a file of people declares as a dataset, and what pictures of a report are made from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from bench.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageData:
    """A dataset as a Python file declares it: `DATASET = ImageData(images=…, labels=…)`.

    Attributes:
        images: To train on, (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels: uint8, or floats from 0 to 1
            or from 0 to 255.
        labels: A whole number or a name each, (N,), or one-hot rows (N, K).
        test_images: To be looked at once; without them a fifth of the others is set aside.
        test_labels: Their labels.
        validation_images: To validate on, for every seed; without them each seed has a split of its own.
        validation_labels: Their labels.
        groups: What each of `images` shares with others, N names or numbers: images of a group stay on one side of a
            split.
        classes: What the labels 0, 1, … are called; without them, names or numbers call themselves.
        load: A function without arguments that returns all this, instead of all this: for data that is made or fetched.

    Raises:
        DataError: Images come without labels, or something beside a function.
    """

    images: Any = None
    labels: Any = None
    test_images: Any = None
    test_labels: Any = None
    validation_images: Any = None
    validation_labels: Any = None
    groups: Sequence[object] | None = None
    classes: Sequence[str] | None = None
    load: Callable[[], ImageData] | None = None

    def __post_init__(self) -> None:
        given = [field.name for field in dataclasses.fields(self) if getattr(self, field.name) is not None]
        if self.load is not None:
            if len(given) > 1 or not callable(self.load):
                beside = next((name for name in given if name != "load"), f"'{self.load}', which is no function")
                raise DataError(f"ImageData(load=…) has {beside} too; give a function that returns it all, or arrays.")
            return
        for part in ("", "test_", "validation_"):
            lacking = {f"{part}images", f"{part}labels"} - {*given}
            if len(lacking) == 1 or (lacking and not part):
                raise DataError(
                    f"ImageData has no {' and no '.join(sorted(lacking))}; images and labels come together."
                )


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
