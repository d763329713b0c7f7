"""Reads IDX files, raw or `.gz`, the format of MNIST and its relatives.

An IDX file is two zero bytes, one byte for the type of value (8 unsigned byte, 12 int32), one for the number of
dimensions, each dimension as a big-endian uint32, then the values in C order, big-endian
(LeCun, Cortes and Burges, "The MNIST database of handwritten digits").
"""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import DataError, reason
from bench.system.files import open_regular
from bench.system.text import printable

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

UNSIGNED_BYTE = 0x08
INT32 = 0x0C
_DTYPES: dict[int, np.dtype[Any]] = {UNSIGNED_BYTE: np.dtype(np.uint8), INT32: np.dtype(">i4")}
_CODES = (*_DTYPES, 0x09, 0x0B, 0x0D, 0x0E)
"""Of every type that the format has: signed bytes, int16, float32 and float64 besides."""
_MOST_BYTES = 1 << 31
"""Forty times MNIST's training images."""
_MOST_ITEMS = 10_000_000
"""A label becomes eight bytes."""
_CHUNK_BYTES = 1 << 20


def read_idx(path: Path, *, code: int, dimensions: int) -> npt.NDArray[Any]:
    """Read one IDX file into a writable array; a name that ends in `.gz` is decompressed in memory.

    Args:
        path: The file.
        code: Type of its values: `UNSIGNED_BYTE` or `INT32`.
        dimensions: How many dimensions it must have: 3 for images (N, H, W), 1 for labels (N,).

    Raises:
        DataError: The file cannot be read, is no such IDX file, is shorter or longer than it declares, or declares more
            than any dataset has: a small compressed file can hold terabytes.
    """
    with _explained(path), open_regular(path) as file:
        compressed = path.suffix == ".gz"
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=file) if compressed else file
        shape = _read_shape(path, stream, code=code, dimensions=dimensions)
        expected = math.prod(shape) * _DTYPES[code].itemsize
        if not compressed and (follow := os.fstat(file.fileno()).st_size - file.tell()) != expected:
            raise _wrong_length(path, shape, expected, follow)
        if expected > _MOST_BYTES or shape[0] > _MOST_ITEMS:
            raise DataError(
                f"'{_show(path)}' is too large: its header declares {_spell(shape)} values, {expected} bytes, and at "
                f"most {_MOST_ITEMS:,} items in {_MOST_BYTES:,} bytes are read; fetch it again."
            )
        content = bytearray(expected)  # an array over it is writable without a copy
        if (follow := _fill(content, stream)) != expected:
            raise _wrong_length(path, shape, expected, follow)
        if stream.read(1):  # it also takes gzip to the end, where it holds all of it against its checksum
            raise _wrong_length(path, shape, expected, "more")
    values: npt.NDArray[Any] = np.frombuffer(content, dtype=_DTYPES[code])
    return values.reshape(shape).astype(values.dtype.newbyteorder("="), copy=False)


def find_idx(path: Path) -> tuple[int, tuple[int, ...]] | None:
    """Type of the values and shape of a file that begins as an IDX file of one to four dimensions does.

    None where it is something else; a name that ends in `.gz` is decompressed.

    Raises:
        DataError: It begins so and ends within its header, or cannot be read at all.
    """
    with _explained(path), open_regular(path) as file, contextlib.suppress(gzip.BadGzipFile, zlib.error, EOFError):
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        head = stream.read(4)
        if len(head) < 4 or head[:2] != bytes(2) or head[2] not in _CODES or not 1 <= head[3] <= 4:
            return None
        sides = stream.read(4 * head[3])
        if len(sides) < 4 * head[3]:
            raise DataError(f"'{_show(path)}' is truncated: it ends within its IDX header; fetch it again.")
        return head[2], struct.unpack(f">{head[3]}I", sides)
    return None


def _read_shape(path: Path, stream: io.BufferedIOBase, *, code: int, dimensions: int) -> tuple[int, ...]:
    """The shape that the header declares; nothing of its size is read yet, so that a bomb does not go off."""
    header = stream.read(4 + 4 * dimensions)
    magic = (code << 8) | dimensions
    found = int.from_bytes(header[:4], "big")
    if len(header) < 4 + 4 * dimensions:
        raise DataError(
            f"'{_show(path)}' is truncated: {len(header)} bytes are too few for an IDX header; fetch it again."
        )
    if found != magic:
        raise DataError(
            f"'{_show(path)}' has magic number 0x{found:08x}, not 0x{magic:08x}: no such IDX file; fetch it again."
        )
    return struct.unpack_from(f">{dimensions}I", header, 4)


def _fill(content: bytearray, stream: io.BufferedIOBase) -> int:
    view, filled = memoryview(content), 0
    while filled < len(content) and (chunk := stream.read(min(_CHUNK_BYTES, len(content) - filled))):
        view[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    return filled


def _wrong_length(path: Path, shape: tuple[int, ...], expected: int, follow: int | str) -> DataError:
    fault = "is truncated" if isinstance(follow, int) and follow < expected else "is too long"
    return DataError(
        f"'{_show(path)}' {fault}: its header declares {_spell(shape)} values, {expected} bytes, but {follow} follow; "
        "fetch it again."
    )


def _spell(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns what a file cannot give into a DataError of one line."""
    try:
        yield
    except IsADirectoryError:
        raise DataError(f"'{_show(path)}' is a directory where an IDX file was expected; put the file there.") from None
    except EOFError:
        raise DataError(
            f"'{_show(path)}' is truncated: its compressed stream ends too early; fetch it again."
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"'{_show(path)}' is corrupted: {error}; fetch it again.") from None
    except MemoryError:
        raise DataError(
            f"'{_show(path)}' does not fit into this machine's memory; free some, or fetch it again."
        ) from None
    except OSError as error:
        raise DataError(f"Cannot read '{_show(path)}': {reason(error)}. Check the file and its permissions.") from None


def _show(path: Path) -> str:
    """A path on one line."""
    return printable(str(path))
