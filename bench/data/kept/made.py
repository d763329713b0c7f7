"""Datasets that are made of others' files once, and from then on found by a key: a hash of what they are made of.

Beside the decoded images (`bench.data.kept.decoded`) the cache keeps, for each key, which images that came to.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from bench.core.errors import DataError, reason
from bench.data.directories import cache_directory
from bench.data.kept.decoded import decode_alone, read_decoded, read_metadata, write_decoded
from bench.system.files import hold_lock, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.core.metadata import DatasetMetadata
    from bench.data.arrays import Dataset


_PATIENCE_SECONDS = 600.0
"""How long a command waits for another one that reads the same files; after that it reads for itself."""


def make_once(key: str | None, make: Callable[[], Dataset]) -> Dataset:
    """The dataset of a key, in memory that processes share.

    Args:
        key: A hash of what it is made of and how; None where nobody can tell, so that it is made each time.
        make: Makes it.

    Raises:
        DataError: The cache cannot keep it, where workers look for it.
    """
    if key is None:
        return _keep(make(), None)
    if (found := _find(key)) is not None:
        return found
    with hold_lock(_index(key).with_suffix(".lock"), patience_seconds=_PATIENCE_SECONDS):
        return _find(key) or _keep(make(), key)  # another command may have made it meanwhile


def _keep(dataset: Dataset, key: str | None) -> Dataset:
    """The dataset as other processes will find it."""
    metadata = dataset.metadata
    try:
        with decode_alone(metadata.name, metadata.data_hash):
            if read_decoded(metadata.name, metadata.data_hash) is None:
                write_decoded(dataset)
        if key is not None:
            write_atomically(_index(key), json.dumps(dataclasses.asdict(metadata)).encode())
    except OSError as fault:
        raise DataError(
            f"The images of '{metadata.origin}' cannot be kept in '{cache_directory()}', where workers look for them "
            f"({reason(fault)}); free it, or name another folder by BENCH_CACHE_DIR."
        ) from None
    return _with_metadata(read_decoded(metadata.name, metadata.data_hash) or dataset, metadata)


def _find(key: str) -> Dataset | None:
    """What was made before; None where it was not, or where it is damaged."""
    try:
        metadata = read_metadata(json.loads(_index(key).read_bytes()))
        dataset = read_decoded(metadata.name, metadata.data_hash)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return None if dataset is None else _with_metadata(dataset, metadata)


def _with_metadata(dataset: Dataset, metadata: DatasetMetadata) -> Dataset:
    """The same images, whatever files another reading took them from."""
    return dataclasses.replace(dataset, metadata=metadata)


def _index(key: str) -> Path:
    return cache_directory() / "own" / f"{key}.json"
