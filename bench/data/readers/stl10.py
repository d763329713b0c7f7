"""Reads STL-10 as its authors publish it: bytes of 96×96 images, column after column of each colour, and of labels.

Images are turned so that rows come first, and labels, from 1 on in the files, begin at 0; both as in torchvision. The
unlabelled images are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError, reason
from bench.data.arrays import ImageArrays
from bench.data.directories import find_published, list_directory
from bench.system.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.arrays import Images, Labels

FOLDER = "stl10_binary"
ARCHIVE = "stl10_binary.tar.gz"
_FILES = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin")
_SHAPE = (3, 96, 96)
_PIXELS = 3 * 96 * 96
_MOST_BYTES = 1 << 30
"""Of a file; those that were published have 221 MB."""


def read_stl10(directory: Path) -> tuple[ImageArrays, str] | None:
    """Read STL-10 from a directory that holds its folder, or its files themselves.

    Returns:
        Arrays with images (N, 3, 96, 96), and where they were read from; None when nothing of STL-10 is there.

    Raises:
        DataError: A file is missing, cannot be read or has another size, or the archive was not unpacked.
    """
    folder = find_published((directory / FOLDER, directory), _FILES, name="STL-10")
    if folder is not None:
        return ImageArrays.of_parts(_read_pair(folder, *_FILES[:2]), _read_pair(folder, *_FILES[2:])), str(folder)
    if ARCHIVE in list_directory(directory, missing_ok=True):
        raise DataError(f"'{directory}' holds {ARCHIVE}, which is not unpacked; run tar xf on it there.")
    return None


def _read_pair(folder: Path, images_name: str, labels_name: str) -> tuple[Images, Labels]:
    """Images (N, 3, 96, 96) and labels (N,)."""
    images, labels = (_read_bytes(folder / name) for name in (images_name, labels_name))
    if len(images) != _PIXELS * len(labels):
        raise DataError(
            f"'{folder / images_name}' has {len(images):,} bytes, not the {_PIXELS * len(labels):,} of the "
            f"{len(labels):,} images that {labels_name} has labels of; fetch both again."
        )
    turned = images.reshape(-1, *_SHAPE).swapaxes(2, 3)  # (N, 3, W, H) → (N, 3, H, W)
    return np.ascontiguousarray(turned), labels.astype(np.int64) - 1


def _read_bytes(path: Path) -> Images:
    try:
        return np.frombuffer(read_regular(path, most_bytes=_MOST_BYTES), dtype=np.uint8)
    except OSError as fault:
        raise DataError(f"Cannot read '{path}': {reason(fault)}. Check it and its permissions.") from None
