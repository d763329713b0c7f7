"""Images and labels as whole arrays: what is checked, counted, hashed and said of them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import DataError
from bench.core.metadata import DatasetMetadata
from bench.data.splits import check_splittable
from bench.system.text import first_ones, listing

if TYPE_CHECKING:
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Labels = npt.NDArray[np.int64]

MOST_CLASSES = 256
"""What a byte tells apart: so much is stored of each answer."""
_CHUNK_IMAGES = 2_000


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageArrays:
    """A dataset without its name.

    Attributes:
        pool_images: Training pool, (N, C, H, W) uint8.
        pool_labels: Its classes, (N,) int64.
        test_images: Test set, (M, C, H, W) uint8.
        test_labels: Its classes, (M,) int64.
        pool_groups: Numbers of the groups whose images stay on one side of every split, (N,) int64; None without.
        pool_validation: Which images of the pool every seed validates on, (N,) bool; None where each seed has a split
            of its own.
    """

    pool_images: Images
    pool_labels: Labels
    test_images: Images
    test_labels: Labels
    pool_groups: Labels | None = None
    pool_validation: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of_parts(cls, pool: tuple[Images, Labels], test: tuple[Images, Labels]) -> ImageArrays:
        """Images and labels of the training pool and of the test set."""
        return ImageArrays(pool_images=pool[0], pool_labels=pool[1], test_images=test[0], test_labels=test[1])

    def by_name(self) -> dict[str, npt.NDArray[Any]]:
        """Each array that is there under its name, in the order of the content hash."""
        arrays = {field.name: getattr(self, field.name) for field in dataclasses.fields(ImageArrays)}
        return {name: array for name, array in arrays.items() if array is not None}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Dataset(ImageArrays):
    """A dataset in memory, verified, with what is known of it."""

    metadata: DatasetMetadata


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Images of the training pool, (N, C, H, W) uint8, their classes, and what is known of the whole dataset."""

    metadata: DatasetMetadata
    images: Images
    labels: Labels


def check_arrays(arrays: ImageArrays, *, classes: int, origin: str) -> None:
    """Hold a dataset, read from `origin`, against what every dataset must be.

    Raises:
        DataError: There are too many classes, a part is empty, images and labels differ in number, a label is out of
            range, or training and test images differ in shape.
    """
    if classes > MOST_CLASSES:
        raise DataError(
            f"{origin}: {classes:,} classes are more than the {MOST_CLASSES} that can be told apart here; leave some "
            "out, or join them."
        )
    pool, test = (arrays.pool_images, arrays.pool_labels), (arrays.test_images, arrays.test_labels)
    for part, (images, labels) in (("training", pool), ("test", test)):
        if len(images) != len(labels):
            counts = f"{len(images)} {part} images but {len(labels)} labels"
            raise DataError(f"{origin}: {counts}; take both files from the same source.")
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
    for name, array in arrays.by_name().items():
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name} {plain.dtype.str} {plain.shape}\n".encode())
        digest.update(plain.data)
    return digest.hexdigest()


def channel_statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of each channel, pixels in [0, 1], exact up to float64.

    Pixels are counted by value first, so that the sums are integers and the order of the images cannot matter.
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


def describe_dataset(
    name: str,
    arrays: ImageArrays,
    *,
    classes: tuple[str, ...],
    validation_images: int,
    found_hash: str,
    origin: str,
    note: str = "",
) -> DatasetMetadata:
    """The metadata of a dataset as it was loaded.

    Args:
        name: What people call it.
        arrays: Its images and labels.
        classes: Class names in label order.
        validation_images: Of the pool, that each seed's split sets aside.
        found_hash: What `content_hash` found.
        origin: Where it was read from, for people.
        note: What a reader must know of it, in sentences; classes without an image are added.

    Raises:
        DataError: A channel has one value everywhere, so that it cannot be standardised, or a class has too few images
            to be split into training and validation images.
    """
    channels, height, width = arrays.pool_images.shape[1:]
    mean, deviation = channel_statistics(arrays.pool_images)
    if min(deviation) == 0:
        which = f"channel {deviation.index(0)} of the training images" if channels > 1 else "the training images"
        raise DataError(
            f"All pixels of {which} in '{origin}' are the same, so that they cannot be standardised; fetch them again."
        )
    if arrays.pool_validation is None:
        try:
            check_splittable(arrays.pool_labels, validation_images=validation_images, names=classes)
        except DataError as fault:
            raise DataError(f"'{origin}': {fault}") from None
    return DatasetMetadata(
        name=name,
        data_hash=found_hash,
        pool_images=len(arrays.pool_images),
        test_images=len(arrays.test_images),
        validation_images=validation_images,
        image_shape=(channels, height, width),
        classes=classes,
        mean=mean,
        deviation=deviation,
        origin=origin,
        note=" ".join(filter(None, [note, *_absent_classes(arrays, classes)])),
    )


def _absent_classes(arrays: ImageArrays, classes: tuple[str, ...]) -> list[str]:
    """A sentence for each part that lacks classes."""
    notes = []
    parts = [("training", arrays.pool_labels), ("test", arrays.test_labels)]
    if arrays.pool_validation is not None:
        parts.append(("validation", arrays.pool_labels[arrays.pool_validation]))
    for part, labels in parts:
        present = set(np.unique(labels).tolist())
        absent = [name for label, name in enumerate(classes) if label not in present]
        if absent:
            notes.append(f"No {part} image is of class {listing(first_ones(absent))}.")
    return notes
