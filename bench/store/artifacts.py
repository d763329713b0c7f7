"""Pictures of data and portraits of nets: how a database keeps them, and which ones a study shows.

Both are NumPy's compressed archives behind a SHA-256 of their own: damage is found before anything is made of it. It
costs a report its pictures and no more: what is damaged counts as missing, is said, and is made again with the next
training.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from bench.core.errors import StoreError
from bench.core.pictures import DataPictures, Portrait, StageMaps
from bench.store.runs import chunks
from bench.store.schema import pictures, portraits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from bench.core.records import RunRecord

    Arrays = Mapping[str, NDArray[Any]]

_DIGEST_BYTES = 32
_PICTURE_TYPES = {"test": "u1", "samples": "u1", "sample_labels": "u1", "sample_indices": "<i4"}
_NO_IMAGE, _NO_NUMBER = np.zeros((0, 1, 1, 1), dtype=np.uint8), np.zeros(0, dtype=np.int32)
_NO_PICTURES = DataPictures(
    test=_NO_IMAGE, samples=_NO_IMAGE, sample_labels=np.zeros(0, dtype=np.uint8), sample_indices=_NO_NUMBER,
    damaged=True,
)  # fmt: skip
_NO_PORTRAIT = Portrait(
    run_id="", images=_NO_NUMBER, filters=np.zeros((0, 0, 0, 0), dtype=np.float32), stages=(), damaged=True
)


def pack_pictures(shown: DataPictures) -> bytes:
    """Pictures of a dataset as bytes; a fifth of their pixels' size for digits."""
    return _pack({name: _cast(getattr(shown, name), kind) for name, kind in _PICTURE_TYPES.items()})


def unpack_pictures(packed: bytes, *, data_hash: str) -> DataPictures:
    """The pictures that `pack_pictures` packed.

    Raises:
        StoreError: They are damaged.
    """
    arrays = _unpack(packed, what=f"the pictures of data {data_hash[:12]}")
    kept: dict[str, Any] = {name: arrays[name] for name in _PICTURE_TYPES}
    return DataPictures(**kept)


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
    """Pictures by data hash, of those that are stored; damaged ones are empty and say so."""
    return {
        row.data_hash: unpack_pictures(row.arrays, data_hash=row.data_hash) if is_sound(row.arrays) else _NO_PICTURES
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
    """One portrait of each cohort that has some: of its run with the smallest seed, in the order of the runs.

    A damaged one stands for its cohort, empty, only where no other does.
    """
    packed: dict[str, bytes] = {
        row.run_id: row.arrays
        for chunk in chunks(record.run_id for record in records)
        for row in connection.execute(sa.select(portraits).where(portraits.c.run_id.in_(chunk)))
    }
    chosen: dict[str, RunRecord] = {}
    for record in records:
        if record.run_id in packed:
            rival = chosen.setdefault(record.cohort, record)
            chosen[record.cohort] = min(rival, record, key=lambda run: (not is_sound(packed[run.run_id]), run.seed))
    return tuple(
        unpack_portrait(packed[record.run_id], run_id=record.run_id)
        if is_sound(packed[record.run_id])
        else dataclasses.replace(_NO_PORTRAIT, run_id=record.run_id)
        for record in chosen.values()
    )


def forget_damaged(connection: sa.Connection, *, data_hash: str, run_ids: Iterable[str]) -> None:
    """Delete what is damaged of the pictures of a dataset and of these runs' portraits, so that it is made again.

    Args:
        connection: The database, in a transaction that writes.
        data_hash: Of the dataset.
        run_ids: The runs.
    """
    for column, keys in ((pictures.c.data_hash, [data_hash]), (portraits.c.run_id, run_ids)):
        for chunk in chunks(keys):
            rows = connection.execute(sa.select(column, column.table.c.arrays).where(column.in_(chunk))).all()
            damaged = [key for key, packed in rows if not is_sound(packed)]
            connection.execute(sa.delete(column.table).where(column.in_(damaged)))


def is_sound(packed: bytes) -> bool:
    """Whether packed pictures or a portrait are as they were packed."""
    return hashlib.sha256(packed[_DIGEST_BYTES:]).digest() == packed[:_DIGEST_BYTES]


def _cast(array: NDArray[Any], kind: str) -> NDArray[Any]:
    """The array in its kept type, which must be of the same kind."""
    return np.asarray(array).astype(kind, casting="same_kind")


def _pack(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    content = stream.getvalue()
    return hashlib.sha256(content).digest() + content


def _unpack(packed: bytes, *, what: str) -> dict[str, NDArray[Any]]:
    if not is_sound(packed):
        raise StoreError(f"Damaged in the store: {what}; run its training command again to have them anew.")
    with np.load(io.BytesIO(packed[_DIGEST_BYTES:]), allow_pickle=False) as arrays:
        return dict(arrays)
