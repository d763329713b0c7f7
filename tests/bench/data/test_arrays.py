"""Whole arrays that no net can be trained on, refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.arrays import ImageArrays, check_arrays


def arrays_of(classes: int) -> ImageArrays:
    """Two images of each class."""
    images, labels = np.zeros((2 * classes, 1, 2, 2), np.uint8), np.repeat(np.arange(classes), 2)
    return ImageArrays(pool_images=images, pool_labels=labels, test_images=images, test_labels=labels)


def test_more_classes_than_a_byte_tells_apart_are_refused() -> None:
    check_arrays(arrays_of(256), classes=256, origin="here")
    with pytest.raises(DataError) as refused:
        check_arrays(arrays_of(1_000), classes=1_000, origin="./my_images")
    assert str(refused.value) == (
        "./my_images: 1,000 classes are more than the 256 that can be told apart here; leave some out, or join them."
    )
