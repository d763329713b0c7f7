"""Reads CIFAR-10 and CIFAR-100 as their authors publish them: pickled batches in a folder or in an archive."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.core.errors import DataError, reason
from bench.data.arrays import ImageArrays
from bench.data.directories import list_directory
from bench.data.readers.pickled import MOST_BYTES, read_batch
from bench.system.files import open_regular, read_regular
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from bench.data.arrays import Images, Labels

_PIXELS = 3 * 32 * 32
_MOST_UNPACKED_BYTES = 1 << 29
"""Of the archive; those that were published hold 186 MB."""


class _Publication(NamedTuple):
    """How one of the two was published.

    Attributes:
        name: What people call it.
        folder: What the archive unpacks to.
        archive: As it is downloaded.
        training: The batches to train on.
        test: The batch to test on.
        labels_key: What the labels are called in a batch.
        most_bytes: Of a batch.
    """

    name: str
    folder: str
    archive: str
    training: tuple[str, ...]
    test: str
    labels_key: str
    most_bytes: int


_CIFAR10 = _Publication(
    name="CIFAR-10",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    training=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    labels_key="labels",
    most_bytes=MOST_BYTES,
)
_CIFAR100 = _Publication(
    name="CIFAR-100",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    training=("train",),
    test="test",
    labels_key="fine_labels",
    most_bytes=256 << 20,  # the published one has 155 MB
)


def read_cifar10(directory: Path) -> tuple[ImageArrays, str] | None:
    """Read CIFAR-10 from a directory that holds the folder of batches, the archive, or the batches themselves.

    Returns:
        Arrays with images (N, 3, 32, 32), and where they were read from; None when nothing of CIFAR-10 is there.

    Raises:
        DataError: A batch is missing, cannot be read or is no batch.
    """
    return _read(_CIFAR10, directory, itself=_CIFAR10.test in list_directory(directory, missing_ok=True))


def read_cifar100(directory: Path) -> tuple[ImageArrays, str] | None:
    """Read CIFAR-100 with its 100 fine labels from a directory that holds its folder, its archive, or its batches.

    Those are called `train` and `test`, as other things may be: they are taken for CIFAR-100's where both are files and
    `meta` is beside them.

    Returns:
        Arrays with images (N, 3, 32, 32), and where they were read from; None when nothing of CIFAR-100 is there.

    Raises:
        DataError: A batch is missing, cannot be read or is no batch.
    """
    return _read(_CIFAR100, directory, itself=all((directory / name).is_file() for name in ("train", "test", "meta")))


def _read(publication: _Publication, directory: Path, *, itself: bool) -> tuple[ImageArrays, str] | None:
    names = list_directory(directory, missing_ok=True)
    if publication.folder in names or itself:
        folder = directory / publication.folder if publication.folder in names else directory
        most = publication.most_bytes
        return _read_all(publication, lambda name: read_regular(folder / name, most_bytes=most), folder), str(folder)
    if publication.archive not in names:
        return None
    archive = directory / publication.archive
    contents = _unpack(publication, archive)
    return _read_all(publication, contents.__getitem__, archive), str(archive)


def _unpack(publication: _Publication, archive: Path) -> dict[str, bytes]:
    contents = {}
    try:
        with open_regular(archive) as file:
            stream = _Bounded(gzip.GzipFile(fileobj=file))
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    name = member.name.rpartition("/")[2]
                    wanted = name in (*publication.training, publication.test) and member.isfile()
                    if wanted and (content := tar.extractfile(member)) is not None:
                        contents[name] = content.read(publication.most_bytes + 1)
            while stream.read(1 << 20):  # to the end, where gzip holds all of it against its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, MemoryError, RecursionError) as error:
        why = reason(error) if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"Cannot read the archive '{archive}': {why}. Fetch it again.") from None
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


def _read_all(publication: _Publication, read: Callable[[str], bytes], origin: Path) -> ImageArrays:
    training = [_read_batch(publication, read, name, origin) for name in publication.training]
    test_images, test_labels = _read_batch(publication, read, publication.test, origin)
    return ImageArrays(
        pool_images=np.concatenate([images for images, _ in training]),
        pool_labels=np.concatenate([labels for _, labels in training]),
        test_images=test_images,
        test_labels=test_labels,
    )


def _read_batch(
    publication: _Publication, read: Callable[[str], bytes], name: str, origin: Path
) -> tuple[Images, Labels]:
    """Images (N, 3, 32, 32) and labels (N,) of one batch."""
    whole = publication.name
    try:
        content = read(name)
    except (KeyError, FileNotFoundError):
        needed = f"{', '.join(publication.training)} and {publication.test}"
        raise DataError(f"'{origin}' has no '{name}'; {whole} needs {needed}.") from None
    except OSError as error:
        raise DataError(f"Cannot read '{name}' in '{origin}': {reason(error)}. Check it and its permissions.") from None
    try:
        images, labels = read_batch(content, labels_key=publication.labels_key, most_bytes=publication.most_bytes)
        images = images.reshape(-1, _PIXELS)  # red, green, blue planes of 32×32 in a row
    except Exception as error:  # noqa: BLE001 - a damaged pickle can raise anything
        why = printable(str(error) or type(error).__name__)
        raise DataError(f"'{name}' in '{origin}' is no {whole} batch ({why}); fetch it again.") from None
    if images.dtype != np.uint8 or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"'{name}' in '{origin}' holds {images.dtype} images and {labels.dtype} labels, not uint8 and integers; "
            "fetch it again."
        )
    return images.reshape(-1, 3, 32, 32), labels.astype(np.int64)
