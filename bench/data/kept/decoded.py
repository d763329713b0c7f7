"""Datasets as one file that all processes of this machine map into memory: whoever needs one first decodes it.

The file is part of the cache: its name holds the content hash of the data, and it is believed only when its arrays have
that hash. Of published data it makes things faster and smaller, never possible: without it each process reads the files
for itself. One's own images reach workers by it alone.

It begins with a hash of its second line; that is JSON: what is known of the dataset, the catalogue's entry that this
follows from, and where each array begins, at a multiple of 64 bytes behind the two lines.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import mmap
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import reason
from bench.core.metadata import DatasetMetadata
from bench.data.arrays import Dataset, content_hash
from bench.data.catalogue import DATASETS
from bench.data.directories import cache_directory
from bench.system.files import hold_lock, open_regular, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

_PATIENCE_SECONDS = 60.0
"""How long a process waits for another one that decodes; after that it reads for itself."""
_LONGEST_WRITE_SECONDS = 3_600.0
_ALIGNMENT = 64
_MOST_HEADER_BYTES = 1 << 20
_DAMAGE = (OSError, ValueError, LookupError, TypeError, OverflowError, MemoryError)


def read_decoded(name: str, data_hash: str) -> Dataset | None:
    """The dataset of a name and content hash, mapped; None where there is no file of it, or where it is damaged."""
    return _read(_path(name, data_hash), name, data_hash)


def write_decoded(dataset: Dataset) -> None:
    """Keep a dataset for `read_decoded`.

    Raises:
        OSError: The cache cannot be written.
    """
    path = _path(dataset.metadata.name, dataset.metadata.data_hash)
    _remove_leftovers(path)
    write_atomically(path, *_pieces(dataset))


def pack(dataset: Dataset) -> bytes:
    """A dataset as its file, to be sent to another machine."""
    return b"".join(_pieces(dataset))


def keep(content: bytes, name: str, data_hash: str) -> str:
    """Put what `pack` made of a dataset where `read_decoded` finds it; why it could not, empty when it could."""
    path = _path(name, data_hash)
    try:
        write_atomically(path, content)
    except OSError as fault:
        return f"{path.parent} cannot be written ({reason(fault)})"
    return ""


@contextlib.contextmanager
def decode_alone(name: str, data_hash: str) -> Iterator[bool]:
    """Decode what `read_decoded` lacks, alone; False where there are no locks, or another process takes long."""
    path = _path(name, data_hash)
    with hold_lock(path.with_name(f"{path.name}.lock"), patience_seconds=_PATIENCE_SECONDS) as is_alone:
        yield is_alone


def _path(name: str, data_hash: str) -> Path:
    """One's own images are told by their hash alone: what they are called may hold what no file's name can."""
    return cache_directory() / "decoded" / f"{name if name in DATASETS else 'own'}-{data_hash[:32]}"


def _remove_leftovers(path: Path) -> None:
    """What writers that were killed have left half written: others may write at this moment, but none for an hour."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _LONGEST_WRITE_SECONDS:
                leftover.unlink()


def _pieces(dataset: Dataset) -> Iterator[bytes | memoryview]:
    """A dataset as what is written, one piece after the other."""
    places, end = [], 0
    arrays = {name: np.ascontiguousarray(array) for name, array in dataset.by_name().items()}
    for name, array in arrays.items():
        start = end + -end % _ALIGNMENT
        places.append({"name": name, "type": array.dtype.str, "shape": array.shape, "start": start})
        end = start + array.nbytes
    known = {"entry": _entry(dataset.metadata.name), "metadata": dataclasses.asdict(dataset.metadata)}
    header = json.dumps(known | {"arrays": places}).encode()
    head = hashlib.sha256(header).hexdigest().encode() + b"\n" + header + b"\n"
    yield head + bytes(-len(head) % _ALIGNMENT)
    end = 0
    for array in arrays.values():
        yield bytes(-end % _ALIGNMENT)
        yield array.reshape(-1).view(np.uint8).data
        end += -end % _ALIGNMENT + array.nbytes


def _read(path: Path, name: str, expected_hash: str) -> Dataset | None:
    with contextlib.suppress(*_DAMAGE), open_regular(path) as file:
        seal, header = file.readline(_ALIGNMENT + 1).strip(), file.readline(_MOST_HEADER_BYTES)
        if hashlib.sha256(header.rstrip(b"\n")).hexdigest().encode() != seal:
            return None
        base = file.tell() + -file.tell() % _ALIGNMENT
        # Copied only where it is written to, which nobody does: torch takes no arrays that may not be changed.
        content = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), np.uint8)
        found = json.loads(header)
        arrays = {place["name"]: _array(content, base, place) for place in found["arrays"]}
        dataset = Dataset(metadata=read_metadata(found["metadata"] | {"name": name}), **arrays)
        is_current = found["entry"] == _entry(name)
        if is_current and expected_hash == dataset.metadata.data_hash == content_hash(dataset):
            return dataset
    return None


def read_metadata(facts: Mapping[str, Any]) -> DatasetMetadata:
    """What was known of a dataset when it was written as JSON; TypeError where it is not that."""
    known: dict[str, Any] = {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
    return DatasetMetadata(**known)


def _array(content: npt.NDArray[np.uint8], base: int, place: Mapping[str, Any]) -> npt.NDArray[Any]:
    kind, shape, start = np.dtype(place["type"]), tuple(place["shape"]), base + place["start"]
    values: npt.NDArray[Any] = content[start : start + kind.itemsize * int(np.prod(shape))].view(kind).reshape(shape)
    return values


def _entry(name: str) -> str:
    """What the catalogue says of a dataset, in this version of it; empty where it has none of that name."""
    return repr(DATASETS.get(name, ""))
