"""Finds and reads a dataset in a directory: torchvision's layout, flat files, or train/ and test/; raw or `.gz`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError
from bench.data.arrays import ImageArrays
from bench.data.directories import list_directory
from bench.data.readers import stl10, svhn, usps
from bench.data.readers.cifar import read_cifar10, read_cifar100
from bench.data.readers.emnist import turn_upright
from bench.data.readers.idx import INT32, UNSIGNED_BYTE, read_idx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bench.data.arrays import Images, Labels
    from bench.data.catalogue import CatalogueEntry


def read_dataset(entry: CatalogueEntry, directory: Path) -> tuple[ImageArrays, str] | None:
    """Read a dataset from a directory that may be missing: the arrays and where they lay; None when nothing is there.

    Raises:
        DataError: Some of its files are there but not all, or one of them cannot be read or is damaged.
    """
    if entry.source == "idx":
        return _read_idx_files(entry, directory)
    if entry.source == "emnist":
        found = _read_idx_files(entry, directory)
        first_label = 1 if entry.name == "emnist-letters" else 0
        return None if found is None else (turn_upright(found[0], first_label=first_label), found[1])
    return _READERS[entry.source](directory)


def _read_idx_files(entry: CatalogueEntry, directory: Path) -> tuple[ImageArrays, str] | None:
    for folders in _layouts(entry, directory):
        found = [_find(folder, name) for folder, name in zip(folders, entry.files, strict=True)]
        paths = [path for path in found if path is not None]
        if len(paths) == len(found):
            train_images, train_labels, test_images, test_labels = paths
            arrays = ImageArrays(
                pool_images=_read_images(train_images),
                pool_labels=_read_labels(train_labels),
                test_images=_read_images(test_images),
                test_labels=_read_labels(test_labels),
            )
            return arrays, str(paths[0].parent)
        if paths:
            absent = next(name for name, path in zip(entry.files, found, strict=True) if path is None)
            raise DataError(
                f"'{paths[0].parent}' has {paths[0].name} but no {absent} or {absent}.gz; put all "
                f"{len(entry.files)} files of {entry.name} there, or take them away."
            )
    return None


_READERS: Mapping[str, Callable[[Path], tuple[ImageArrays, str] | None]] = {
    "cifar10": read_cifar10,
    "cifar100": read_cifar100,
    "stl10": stl10.read_stl10,
    "svhn": svhn.read_svhn,
    "usps": usps.read_usps,
}
_LOOKED_FOR = {
    "cifar10": "cifar-10-batches-py/ or cifar-10-python.tar.gz",
    "cifar100": "cifar-100-python/ or cifar-100-python.tar.gz",
    "stl10": f"{stl10.FOLDER}/",
    "svhn": f"{svhn.TRAINING} and {svhn.TEST}, there or in {svhn.FOLDER}",
    "usps": f"{usps.TRAINING} and {usps.TEST}, there or in {usps.FOLDER}",
}


def what_is_looked_for(entry: CatalogueEntry) -> str:
    """The files that make `read_dataset` find a dataset, for messages."""
    if entry.source in _LOOKED_FOR:
        return _LOOKED_FOR[entry.source]
    return f"{entry.files[0]}[.gz] and its three companions, there or in {entry.torchvision_class}/raw"


def _layouts(entry: CatalogueEntry, directory: Path) -> tuple[tuple[Path, ...], ...]:
    """For each layout, the folder of each of the four files."""
    train, test = directory / "train", directory / "test"
    own = directory / entry.torchvision_class / "raw"
    return ((own,) * 4, (directory,) * 4, (train, train, test, test))


def _find(folder: Path, name: str) -> Path | None:
    """A file by its name, raw before `.gz`; some copies write `.idx3-ubyte` for `-idx3-ubyte`."""
    names = list_directory(folder, missing_ok=True)
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = (spelling + ending for ending in ("", ".gz") for spelling in spellings)
    return next((folder / candidate for candidate in candidates if candidate in names), None)


def _read_images(path: Path) -> Images:
    images: Images = read_idx(path, code=UNSIGNED_BYTE, dimensions=3)
    return images[:, None]  # (N, 1, H, W)


def _read_labels(path: Path) -> Labels:
    """Labels of an IDX file; of QMNIST's eight columns the first is the class, as in torchvision."""
    if "idx2-int" in path.name:
        columns = read_idx(path, code=INT32, dimensions=2)  # (N, 8)
        if columns.shape[1] == 0:
            raise DataError(f"'{path}' has no column of labels; fetch it again.")
        return columns[:, 0].astype(np.int64)
    return read_idx(path, code=UNSIGNED_BYTE, dimensions=1).astype(np.int64)
