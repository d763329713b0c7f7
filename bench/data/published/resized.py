"""Published datasets brought to another height and width, so that nets made for other images can be tried on them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bench.data.arrays import Dataset, ImageArrays, content_hash, describe_dataset
from bench.data.kept.made import make_once
from bench.data.own.parts import check_bytes

if TYPE_CHECKING:
    from bench.core.reading import ReadingOptions


def resize(dataset: Dataset, reading: ReadingOptions) -> Dataset:
    """A dataset whose images have the size that is asked for, in memory that processes share.

    Args:
        dataset: As it was published.
        reading: The size, and how images come to it.

    Raises:
        DataError: The cache cannot keep it.
    """
    metadata, size = dataset.metadata, reading.image_size
    if size is None or size == metadata.image_shape[1:]:
        return dataset
    name, shape = reading.rename(metadata.name), (metadata.image_shape[0], *size)
    check_bytes(metadata.pool_images + metadata.test_images, shape, of=f"Images of {metadata.name}")
    key = hashlib.sha256(f"{name} of {dataset.metadata.data_hash}\n".encode()).hexdigest()[:32]
    return make_once(key, lambda: _resized(dataset, name, reading))


def _resized(dataset: Dataset, name: str, reading: ReadingOptions) -> Dataset:
    from bench.data.own.fitting import describe_fit, fit_array  # noqa: PLC0415 - Pillow takes a moment to import

    metadata = dataset.metadata
    size = reading.image_size or metadata.image_shape[1:]
    arrays = ImageArrays.of_parts(
        (fit_array(dataset.pool_images, size, reading.fit), dataset.pool_labels),
        (fit_array(dataset.test_images, size, reading.fit), dataset.test_labels),
    )
    described = describe_dataset(
        name,
        arrays,
        classes=metadata.classes,
        validation_images=metadata.validation_images,
        found_hash=content_hash(arrays),
        origin=metadata.origin,
        note=f"{metadata.note} {describe_fit(size, reading.fit)}".strip(),
    )
    return Dataset(metadata=described, **arrays.by_name())
