"""Images and labels as whole arrays: what is checked, counted and hashed on them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Labels = npt.NDArray[np.int64]

_CHUNK_IMAGES = 2_000


class ImageArrays(NamedTuple):
    """A dataset without its name.

    Attributes:
        pool_images: Training pool, (N, C, H, W) uint8.
        pool_labels: Its classes, (N,) int64.
        test_images: Test set, (M, C, H, W) uint8.
        test_labels: Its classes, (M,) int64.
    """

    pool_images: Images
    pool_labels: Labels
    test_images: Images
    test_labels: Labels


def check_arrays(arrays: ImageArrays, *, classes: int, origin: str) -> None:
    """Hold a dataset against what every dataset must be.

    Args:
        arrays: The dataset.
        classes: Number of classes; labels run from 0 to one below.
        origin: Where it was read from, for the message.

    Raises:
        DataError: A part is empty, images and labels differ in number, a label is out of range, or training and test
            images differ in shape.
    """
    for part, images, labels in (
        ("training", arrays.pool_images, arrays.pool_labels),
        ("test", arrays.test_images, arrays.test_labels),
    ):
        if len(images) != len(labels):
            raise DataError(
                f"{origin}: {len(images)} {part} images but {len(labels)} labels; take both files from the same source."
            )
        if images.size == 0:
            raise DataError(f"{origin}: the {part} images have shape {images.shape}, none at all; fetch them again.")
        outside = np.flatnonzero((labels < 0) | (labels >= classes))
        if len(outside):
            raise DataError(
                f"{origin}: {part} label {labels[outside[0]]} of image {outside[0]} is out of range; "
                f"labels run from 0 to {classes - 1}. Fetch the label file again."
            )
    if arrays.pool_images.shape[1:] != arrays.test_images.shape[1:]:
        raise DataError(
            f"{origin}: training images have shape {arrays.pool_images.shape[1:]}, test images "
            f"{arrays.test_images.shape[1:]}; take both from the same source."
        )


def content_hash(arrays: ImageArrays) -> str:
    """SHA-256 over name, type, shape and bytes of each array: the same data in any file layout has the same hash."""
    digest = hashlib.sha256()
    parts: dict[str, npt.NDArray[Any]] = arrays._asdict()
    for name, array in parts.items():
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name} {plain.dtype.str} {plain.shape}\n".encode())
        digest.update(plain.data)
    return digest.hexdigest()


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of each channel, pixels in [0, 1], exact up to float64.

    Pixels are counted by value first, so that the sums are integers and the order of the images cannot matter.

    Args:
        images: (N, C, H, W) uint8.

    Returns:
        Means and deviations, one value a channel.
    """
    means, deviations = [], []
    values = np.arange(256, dtype=np.float64) / 255
    for channel in range(images.shape[1]):
        counts = np.zeros(256, dtype=np.int64)
        for start in range(0, len(images), _CHUNK_IMAGES):
            counts += np.bincount(images[start : start + _CHUNK_IMAGES, channel].ravel(), minlength=256)
        share = counts / counts.sum()
        mean = float(share @ values)
        means.append(mean)
        deviations.append(float(np.sqrt(share @ (values - mean) ** 2)))
    return tuple(means), tuple(deviations)
