"""Reads CIFAR-10 as its authors publish it: pickled batches in a folder or in a tar.gz, straight into memory."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from bench.data.arrays import ImageArrays
from bench.data.directories import list_directory
from bench.data.pickled import MOST_BYTES, read_batch
from bench.errors import DataError
from bench.files import open_regular, read_regular
from bench.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from bench.data.arrays import Images, Labels

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
_TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
_PIXELS = 3 * 32 * 32
_MOST_UNPACKED_BYTES = 1 << 29
"""Of the archive; the published one holds 186 MB."""


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
        return _read_all(lambda name: read_regular(folder / name, most_bytes=MOST_BYTES), str(folder)), str(folder)
    if ARCHIVE not in names:
        return None
    archive = directory / ARCHIVE
    contents = _unpack(archive)
    return _read_all(contents.__getitem__, str(archive)), str(archive)


def _unpack(archive: Path) -> dict[str, bytes]:
    """The batches of the archive by name."""
    contents = {}
    try:
        with open_regular(archive) as file:
            stream = _Bounded(gzip.GzipFile(fileobj=file))
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    name = member.name.rpartition("/")[2]
                    wanted = name in (*_TRAINING, _TEST) and member.isfile()
                    if wanted and (content := tar.extractfile(member)) is not None:
                        contents[name] = content.read(MOST_BYTES + 1)
            while stream.read(1 << 20):  # to the end, where gzip holds all of it against its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, MemoryError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"Cannot read the archive '{archive}': {said}. Fetch it again.") from None
    return contents


class _Bounded(io.RawIOBase):
    """What is read of a compressed stream, up to a limit: a small file can hold terabytes."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream, self._left = stream, _MOST_UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {_MOST_UNPACKED_BYTES:,} bytes")
        return count


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
        images, labels = read_batch(content)
        images = images.reshape(-1, _PIXELS)  # red, green, blue planes of 32×32 in a row
    except Exception as error:  # noqa: BLE001 - a damaged pickle can raise anything
        said = printable(str(error) or type(error).__name__)
        raise DataError(f"'{name}' in '{origin}' is no CIFAR-10 batch ({said}); fetch it again.") from None
    if images.dtype != np.uint8 or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"'{name}' in '{origin}' holds {images.dtype} images and {labels.dtype} labels, not uint8 and integers; "
            "fetch it again."
        )
    return images.reshape(-1, 3, 32, 32), labels.astype(np.int64)
