"""Reads IDX files, raw or `.gz`, the format of MNIST and its relatives.

An IDX file is two zero bytes, one byte for the type of value (8 unsigned byte, 12 int32), one for the number of
dimensions, each dimension as a big-endian uint32, then the values in C order, big-endian
(LeCun, Cortes and Burges, "The MNIST database of handwritten digits").
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

UNSIGNED_BYTE = 0x08
INT32 = 0x0C
_DTYPES: dict[int, np.dtype[Any]] = {UNSIGNED_BYTE: np.dtype(np.uint8), INT32: np.dtype(">i4")}


def read_idx(path: Path, *, code: int, dimensions: int) -> npt.NDArray[Any]:
    """Read one IDX file into a writable array; a name that ends in `.gz` is decompressed in memory.

    Args:
        path: The file.
        code: Type of its values: `UNSIGNED_BYTE` or `INT32`.
        dimensions: How many dimensions it must have: 3 for images (N, H, W), 1 for labels (N,).

    Returns:
        The values, uint8 or int32, in the shape that the file declares.

    Raises:
        DataError: The file cannot be read, is no such IDX file, or is shorter or longer than it declares.
    """
    content = _read_bytes(path)
    magic = (code << 8) | dimensions
    found = int.from_bytes(content[:4], "big")
    if len(content) < 4 + 4 * dimensions:
        raise DataError(f"'{path}' is truncated: {len(content)} bytes are too few for an IDX header; fetch it again.")
    if found != magic:
        raise DataError(
            f"'{path}' has magic number 0x{found:08x}, not 0x{magic:08x}: no such IDX file; fetch it again."
        )
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    start, expected = 4 + 4 * dimensions, math.prod(shape) * _DTYPES[code].itemsize
    if len(content) - start != expected:
        fault = "is truncated" if len(content) - start < expected else "is too long"
        size = "×".join(map(str, shape))
        raise DataError(
            f"'{path}' {fault}: its header declares {size} values, {expected} bytes, "
            f"but {len(content) - start} follow; fetch it again."
        )
    values: npt.NDArray[Any] = np.frombuffer(content, dtype=_DTYPES[code], offset=start)
    return values.reshape(shape).astype(values.dtype.newbyteorder("="), copy=False)


def _read_bytes(path: Path) -> bytearray:
    """The content of a file, decompressed; a bytearray, so that an array over it is writable without a copy."""
    try:
        if path.suffix != ".gz":
            return bytearray(path.read_bytes())
        with gzip.open(path) as stream:
            return bytearray(stream.read())
    except IsADirectoryError:
        raise DataError(f"'{path}' is a directory where an IDX file was expected; put the file there.") from None
    except EOFError:
        raise DataError(f"'{path}' is truncated: its compressed stream ends too early; fetch it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"'{path}' is corrupted: {error}; fetch it again.") from None
    except OSError as error:
        raise DataError(f"Cannot read '{path}': {error.strerror}. Check the file and its permissions.") from None
