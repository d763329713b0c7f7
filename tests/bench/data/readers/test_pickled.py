"""Pickled batches that numpy wrote, read without numpy's own unpickling; hostile ones are in test_cifar.py."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from bench.data.readers.pickled import read_batch


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "labels", [[3, 1, 4], np.array([3, 1, 4]), np.array([3, 1, 4], dtype=">i2"), list(np.array([3, 1, 4]))]
)
def test_what_numpy_pickles_is_read_as_numpy_reads_it(protocol: int, labels: Any) -> None:
    pixels = np.arange(3 * 3072).reshape(3, 3072).astype(np.uint8)
    for data in (pixels, np.asfortranarray(pixels)):
        content = pickle.dumps({"data": data, "labels": labels}, protocol=protocol)
        images, found = read_batch(content)
        assert np.array_equal(images, pixels)
        assert images.flags.writeable
        assert found.tolist() == [3, 1, 4]
