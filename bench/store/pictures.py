"""Pictures of data and portraits of nets: how a database keeps them, and which ones a study shows.

Both are NumPy's compressed archives behind a SHA-256 of their own: damage is found before anything is made of it.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from bench.errors import StoreError
from bench.pictures import DataPictures, Portrait, StageMaps
from bench.store.queries import chunks
from bench.store.schema import pictures, portraits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from bench.records import RunRecord

    Arrays = Mapping[str, NDArray[Any]]

_DIGEST_BYTES = 32
_PICTURE_TYPES = {"test": "u1", "samples": "u1", "sample_labels": "u1", "sample_indices": "<i4"}


def pack_pictures(shown: DataPictures) -> bytes:
    """Pictures of a dataset as bytes; a fifth of their pixels' size for digits."""
    return _pack({name: _cast(getattr(shown, name), kind) for name, kind in _PICTURE_TYPES.items()})


def unpack_pictures(packed: bytes, *, data_hash: str) -> DataPictures:
    """The pictures that `pack_pictures` packed.

    Raises:
        StoreError: They are damaged.
    """
    arrays = _unpack(packed, what=f"the pictures of data {data_hash[:12]}")
    return DataPictures(**{name: arrays[name] for name in _PICTURE_TYPES})


def pack_portrait(portrait: Portrait) -> bytes:
    """A portrait as bytes, without its run."""
    stages = portrait.stages
    maps = {f"maps{number}": _cast(stage.maps, "u1") for number, stage in enumerate(stages)}
    shape = (len(stages), len(portrait.images))
    scales = {
        name: _cast(np.reshape([getattr(stage, name) for stage in stages], shape), "<f4") for name in ("lows", "highs")
    }
    names = {name: np.array([getattr(stage, name) for stage in stages], dtype=np.str_) for name in ("layer", "kind")}
    images, filters = _cast(portrait.images, "<i4"), _cast(portrait.filters, "<f4")
    return _pack({"images": images, "filters": filters} | names | scales | maps)


def unpack_portrait(packed: bytes, *, run_id: str) -> Portrait:
    """The portrait that `pack_portrait` packed.

    Raises:
        StoreError: It is damaged.
    """
    arrays = _unpack(packed, what=f"the portrait of run '{run_id}'")
    stages = tuple(
        StageMaps(
            layer=str(arrays["layer"][number]),
            kind=str(arrays["kind"][number]),
            maps=arrays[f"maps{number}"],
            lows=arrays["lows"][number],
            highs=arrays["highs"][number],
        )
        for number in range(len(arrays["layer"]))
    )
    return Portrait(run_id=run_id, images=arrays["images"], filters=arrays["filters"], stages=stages)


def read_pictures(connection: sa.Connection, hashes: Iterable[str]) -> dict[str, DataPictures]:
    """Pictures by data hash, of those that are stored."""
    return {
        row.data_hash: unpack_pictures(row.arrays, data_hash=row.data_hash)
        for chunk in chunks(hashes)
        for row in connection.execute(sa.select(pictures).where(pictures.c.data_hash.in_(chunk)))
    }


def read_portrayed(connection: sa.Connection, run_ids: Iterable[str]) -> set[str]:
    """Which of these runs have a portrait."""
    return {
        run_id
        for chunk in chunks(run_ids)
        for run_id in connection.scalars(sa.select(portraits.c.run_id).where(portraits.c.run_id.in_(chunk)))
    }


def read_portraits(connection: sa.Connection, records: Sequence[RunRecord]) -> tuple[Portrait, ...]:
    """One portrait of each cohort that has some: of its run with the smallest seed, in the order of the runs."""
    portrayed = read_portrayed(connection, [record.run_id for record in records])
    chosen: dict[str, RunRecord] = {}
    for record in records:
        if record.run_id in portrayed:
            rival = chosen.setdefault(record.cohort, record)
            chosen[record.cohort] = min(rival, record, key=lambda run: run.seed)
    wanted = [record.run_id for record in chosen.values()]
    found = {
        row.run_id: unpack_portrait(row.arrays, run_id=row.run_id)
        for chunk in chunks(wanted)
        for row in connection.execute(sa.select(portraits).where(portraits.c.run_id.in_(chunk)))
    }
    return tuple(found[run_id] for run_id in wanted)


def _cast(array: NDArray[Any], kind: str) -> NDArray[Any]:
    """The array in its kept type, which must be of the same kind."""
    return np.asarray(array).astype(kind, casting="same_kind")


def _pack(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    content = stream.getvalue()
    return hashlib.sha256(content).digest() + content


def _unpack(packed: bytes, *, what: str) -> dict[str, NDArray[Any]]:
    digest, content = packed[:_DIGEST_BYTES], packed[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise StoreError(f"Damaged in the store: {what}; restore a copy of it, or name another one with --results.")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
