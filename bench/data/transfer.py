"""Datasets that a client sends to workers: kept in the cache under their content hash, believed only when it agrees."""

from __future__ import annotations

import contextlib
import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import reason
from bench.data.arrays import ImageArrays, content_hash
from bench.data.directories import cache_directory
from bench.system.files import open_regular, write_atomically

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.arrays import Dataset

ORIGIN = "sent by the client"


def pack(dataset: Dataset) -> bytes:
    """The arrays of a dataset as one file."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **dataset.by_name())
    return stream.getvalue()


def keep(content: bytes, data_hash: str) -> str:
    """Put what `pack` made where `read` finds it; why it could not, empty when it could."""
    path = _path(data_hash)
    try:
        write_atomically(path, content)
    except OSError as fault:
        return f"{path.parent} cannot be written ({reason(fault)})"
    return ""


def read(data_hash: str) -> ImageArrays | None:
    """The arrays of a content hash; None where they were not sent, or are damaged."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, EOFError, MemoryError, zipfile.BadZipFile):
        with open_regular(_path(data_hash)) as file, np.load(file, allow_pickle=False) as found:
            arrays = ImageArrays(**found)
        if content_hash(arrays) == data_hash:
            return arrays
    return None


def _path(data_hash: str) -> Path:
    return cache_directory() / "sent" / f"{data_hash}.npz"
