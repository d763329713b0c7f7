"""Verified datasets as whole arrays: from disk, from the cache, downloaded, or embedded. Needs no torch."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError, DownloadError, UnknownNameError
from bench.core.reading import ReadingOptions
from bench.data.arrays import Dataset, ImageArrays, Sample, check_arrays, content_hash, describe_dataset
from bench.data.catalogue import AUTO, DATASETS, CatalogueEntry, check_dataset_name, is_path
from bench.data.directories import cache_directory, check_data_directory
from bench.data.kept.decoded import decode_alone, read_decoded, write_decoded
from bench.data.own.load import load_own, name_dataset
from bench.data.published.download import download
from bench.data.published.layouts import read_dataset, what_is_looked_for
from bench.data.published.resized import resize
from bench.data.readers import embedded

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.data.own.parts import Watch

__all__ = [
    "AUTO",
    "DATASETS",
    "Dataset",
    "Sample",
    "call_dataset",
    "check_dataset_name",
    "find_dataset",
    "load_dataset",
    "take_sample",
]


def find_dataset(
    name: str,
    data_dir: Path,
    *,
    reading: ReadingOptions | None = None,
    announce: Callable[[str], None] | None = None,
    watch: Watch = lambda _done, _of: None,
) -> Dataset:
    """Load the dataset that a user asked for.

    Its metadata carries the name that `auto` or a path came to, and workers load it by that name.

    Args:
        name: A name of `DATASETS`, `auto` for MNIST where it can be had, else mnist5k, or the path of images of one's
            own.
        data_dir: Where published datasets lie.
        reading: How images of one's own are read, and what size published ones are brought to.
        announce: Is told in a line of a download, before it begins.
        watch: Is told how many pictures of one's own are decoded, and of how many.

    Raises:
        UnknownNameError: Nobody knows the name.
        DataError: The dataset cannot be had, or what is there is damaged. `auto` does not pass over damaged files.
    """
    check_dataset_name(name)
    reading = reading or ReadingOptions()
    if is_path(name):
        return load_own(Path(name), reading, watch)
    if name != AUTO:
        return resize(load_dataset(name, data_dir, announce=announce), reading)
    return resize(_mnist_or_embedded(data_dir, announce), reading)


def call_dataset(name: str, reading: ReadingOptions) -> str:
    """What `find_dataset` calls what a user asked for; `auto` of `auto`, which is told by what is found."""
    return reading.rename(name_dataset(Path(name)) if is_path(name) else name)


def _mnist_or_embedded(data_dir: Path, announce: Callable[[str], None] | None) -> Dataset:
    try:
        return load_dataset("mnist", data_dir, announce=announce)
    except DownloadError:
        dataset = load_dataset("mnist5k", data_dir)
        note = (
            f"{dataset.metadata.note} They stand in for MNIST, which is not in '{data_dir}' and could not be "
            "downloaded; --dataset mnist says why."
        )
        return dataclasses.replace(dataset, metadata=dataclasses.replace(dataset.metadata, note=note))


def load_dataset(
    name: str,
    data_dir: Path,
    *,
    expected_hash: str | None = None,
    announce: Callable[[str], None] | None = None,
    may_download: bool = True,
) -> Dataset:
    """Load a dataset by name: from the data directory, else from the cache, else by a download into the cache.

    With a content hash, what is decoded here or was sent by a client comes first: it is what the study began with.

    Args:
        name: A name of `DATASETS`, or with a content hash what one's own images are called.
        data_dir: Where datasets lie; only read. It may be missing only when it is the default one.
        expected_hash: Content hash that the study began with.
        announce: Is told in a line of a download, before it begins.
        may_download: False to look on this machine only.

    Raises:
        UnknownNameError: No dataset has this name.
        DataError: The dataset cannot be had, is damaged, is another one, or is not what the study began with.
    """
    if expected_hash is not None and (kept := read_decoded(name, expected_hash)) is not None:
        return kept
    if name not in DATASETS:
        raise _is_gone(name, expected_hash)
    entry = DATASETS[name]
    check_data_directory(data_dir)
    arrays, origin = _obtain(entry, data_dir, announce, may_download=may_download)
    check_arrays(arrays, classes=len(entry.classes), origin=origin)
    found_hash = content_hash(arrays)
    for other in DATASETS.values():  # MNIST and its relatives share their file names
        if other.published_hash == found_hash and other.name != name:
            raise DataError(f"The files in '{origin}' are {other.name}, not {name}; say --dataset {other.name}.")
    if expected_hash not in {None, found_hash}:
        raise DataError(
            f"The data of {name} changed while the study ran: content hash {found_hash[:12]} in {origin}, "
            f"{str(expected_hash)[:12]} when it began. Put the old files back, or start the study again."
        )
    # Another size keeps the published share of validation images.
    validation_images = round(len(arrays.pool_images) * entry.validation_images / entry.pool_images)
    metadata = describe_dataset(
        name,
        arrays,
        classes=entry.classes,
        validation_images=validation_images,
        found_hash=found_hash,
        origin=origin,
        note=_note(entry, arrays, found_hash),
    )
    return Dataset(metadata=metadata, **arrays.by_name())


def _note(entry: CatalogueEntry, arrays: ImageArrays, found_hash: str) -> str:
    """How the data differs from what was published, else what the catalogue says of it."""
    sizes = (len(arrays.pool_images), len(arrays.test_images), arrays.pool_images.shape[1:])
    published_sizes = (entry.pool_images, entry.test_images, entry.image_shape)
    if sizes != published_sizes or entry.published_hash not in {None, found_hash}:
        return (
            f"These are not the published images of {entry.name} ({sizes[0]:,} for training and {sizes[1]:,} for test, "
            f"content hash {found_hash[:12]}): results do not compare with published ones."
        )
    return entry.note


def _is_gone(name: str, expected_hash: str | None) -> DataError | UnknownNameError:
    """Why data that is in no catalogue cannot be loaded: only what was decoded has a content hash."""
    if expected_hash is None:
        return UnknownNameError("dataset", name, DATASETS)
    return DataError(
        f"The decoded images of {name} are gone from '{cache_directory() / 'decoded'}'; run the command that trains on "
        "them again."
    )


def load_decoded(name: str, data_dir: Path, *, expected_hash: str) -> Dataset:
    """Load a dataset like `load_dataset`, its arrays in memory that all processes share where that can be had.

    Args:
        name: A name of `DATASETS`, or what one's own images are called.
        data_dir: Where datasets lie; not looked at where the data is decoded already.
        expected_hash: Content hash that the study began with.

    Raises:
        DataError: The data is not decoded yet, and `load_dataset` refuses it.
    """
    found = read_decoded(name, expected_hash)
    if found is not None:
        return found
    with decode_alone(name, expected_hash) as is_alone:
        if is_alone and (found := read_decoded(name, expected_hash)) is not None:  # another process was first
            return found
        dataset = load_dataset(name, data_dir, expected_hash=expected_hash)
        if is_alone:
            with contextlib.suppress(OSError):  # a full disk: memory of its own does as well
                write_decoded(dataset)
    return read_decoded(name, expected_hash) or dataset


def _obtain(
    entry: CatalogueEntry, data_dir: Path, announce: Callable[[str], None] | None, *, may_download: bool
) -> tuple[ImageArrays, str]:
    cache = cache_directory()
    if entry.source == "embedded":
        return embedded.read_embedded(entry.name, cache, published_hash=entry.published_hash)
    downloads = cache / "datasets"
    if found := read_dataset(entry, data_dir) or _read_cached(entry, downloads):
        return found
    if not may_download:
        raise DataError(f"No {entry.name} in '{data_dir}' (looked for {what_is_looked_for(entry)}).")
    if announce is not None:
        announce(f"{entry.name} is not in '{data_dir}'; downloading it to '{downloads}'.")
    try:
        download(entry, downloads)
    except DownloadError as error:
        raise DownloadError(
            f"No {entry.name} in '{data_dir}' (looked for {what_is_looked_for(entry)}), "
            f"and it could not be downloaded: {error}. "
            "Put the files there, name a mirror by BENCH_DATA_MIRROR, or use --dataset mnist5k."
        ) from None
    if found := _read_cached(entry, downloads):
        return found
    raise DataError(f"The download of {entry.name} left nothing in '{downloads}'; run the command again.")


def _read_cached(entry: CatalogueEntry, downloads: Path) -> tuple[ImageArrays, str] | None:
    try:
        return read_dataset(entry, downloads)
    except DataError as error:
        raise DataError(f"{error} The cache is damaged: delete '{downloads}' and run the command again.") from None


IMAGES = 32
"""Enough for every class of most datasets, few enough that a step of a large net takes a fraction of a second."""


def take_sample(dataset: Dataset) -> Sample:
    """Images from everywhere in the pool, evenly, since some pools are sorted by class."""
    chosen = np.linspace(0, len(dataset.pool_labels) - 1, IMAGES).round().astype(np.int64)
    return Sample(metadata=dataset.metadata, images=dataset.pool_images[chosen], labels=dataset.pool_labels[chosen])
