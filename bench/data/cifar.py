"""Reads CIFAR-10 as its authors publish it: pickled batches in a folder or in a tar.gz, straight into memory."""

from __future__ import annotations

import _codecs
import gzip
import io
import pickle
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy._core import multiarray, numeric

from bench.data.arrays import ImageArrays
from bench.data.directories import list_directory
from bench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.data.arrays import Images, Labels

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
_TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
_PIXELS = 3 * 32 * 32

_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _codecs.encode,
} | {
    (f"numpy.{core}.{module.__name__.rpartition('.')[2]}", name): getattr(module, name)
    for core in ("core", "_core")
    for module, name in ((multiarray, "_reconstruct"), (multiarray, "scalar"), (numeric, "_frombuffer"))
}
"""All that a pickled array needs. Anything else in a batch is refused: a pickle can run any code that it names."""


class _BatchUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no CIFAR-10 batch does")
        return _ALLOWED[module, name]


def read_cifar10(directory: Path) -> tuple[ImageArrays, str] | None:
    """Read CIFAR-10 from a directory, if it lies there.

    Args:
        directory: Holds the folder of batches, the archive, or the batches themselves.

    Returns:
        Arrays with images (N, 3, 32, 32), and where they were read from; None when nothing of CIFAR-10 is there.

    Raises:
        DataError: A batch is missing, cannot be read or is no batch.
    """
    names = list_directory(directory, missing_ok=True)
    if FOLDER in names or _TEST in names:
        folder = directory / FOLDER if FOLDER in names else directory
        return _read_all(lambda name: (folder / name).read_bytes(), str(folder)), str(folder)
    if ARCHIVE not in names:
        return None
    archive = directory / ARCHIVE
    contents = _unpack(archive)
    return _read_all(contents.__getitem__, str(archive)), str(archive)


def _unpack(archive: Path) -> dict[str, bytes]:
    """The files of the archive by name."""
    contents = {}
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                if member.isfile() and (content := tar.extractfile(member)) is not None:
                    contents[member.name.rpartition("/")[2]] = content.read()
            stream.read()  # to the end, where gzip holds all of it against its checksum
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(f"Cannot read the archive '{archive}': {error}. Fetch it again.") from None
    return contents


def _read_all(read: Callable[[str], bytes], origin: str) -> ImageArrays:
    training = [_read_batch(read, name, origin) for name in _TRAINING]
    test_images, test_labels = _read_batch(read, _TEST, origin)
    return ImageArrays(
        pool_images=np.concatenate([images for images, _ in training]),
        pool_labels=np.concatenate([labels for _, labels in training]),
        test_images=test_images,
        test_labels=test_labels,
    )


def _read_batch(read: Callable[[str], bytes], name: str, origin: str) -> tuple[Images, Labels]:
    """Images (N, 3, 32, 32) and labels (N,) of one batch."""
    try:
        content = read(name)
    except (KeyError, FileNotFoundError):
        raise DataError(f"'{origin}' has no '{name}'; CIFAR-10 needs {', '.join(_TRAINING)} and {_TEST}.") from None
    except OSError as error:
        raise DataError(
            f"Cannot read '{name}' in '{origin}': {error.strerror}. Check it and its permissions."
        ) from None
    try:
        batch = _BatchUnpickler(io.BytesIO(content), encoding="latin1").load()
        entries = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
        images = np.array(entries["data"]).reshape(-1, _PIXELS)  # red, green, blue planes of 32×32 in a row
        labels = np.asarray(entries["labels"])
    except Exception as error:  # noqa: BLE001 - a damaged pickle can raise anything
        raise DataError(f"'{name}' in '{origin}' is no CIFAR-10 batch ({error}); fetch it again.") from None
    if images.dtype != np.uint8 or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"'{name}' in '{origin}' holds {images.dtype} images and {labels.dtype} labels, not uint8 and integers; "
            "fetch it again."
        )
    return images.reshape(-1, 3, 32, 32), labels.astype(np.int64)
