"""Nouns to what a database keeps, and back, without losing a bit; checksums find what was changed since.

Curves and predictions carry the checksums of their compression; pictures and portraits stand behind a SHA-256 of their
own, so that damage is found before anything is made of it. A run's row and every JSON object get a seal here. What an
older version stored has none and is believed.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import math
import re
import zlib
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from bench.core.errors import UnreadableError
from bench.core.pictures import DataPictures, Portrait, StageMaps
from bench.core.records import CurvePoint, Predictions, RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from _typeshed import DataclassInstance
    from numpy.typing import NDArray

Noun = TypeVar("Noun")

_NO_NUMBERS = (str, dict, list, tuple, type(None))
_SEALED = (
    *("request_id", "cohort", "architecture", "architecture_hash", "recipe_name", "recipe", "budget", "dataset"),
    *("data_hash", "protocol", "seed", "split_seed", "device", "torch_version", "engine_version", "status", "error"),
    *("params", "macs", "epochs", "epoch_kept", "steps", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    *("test_loss", "test_accuracy", "test_looks", "time_to_targets", "train_seconds", "evaluation_seconds"),
    *("wall_seconds", "train_images_per_second", "threads", "jobs", "layout", "checkpoint_bytes", "checkpoint_hash"),
    *("weights_hash", "initial_hash", "deterministic", "machine", "started_at", "finished_at"),
)
"""Columns of a run's row under its seal. Merging and pruning change the others; a new column comes under a new seal."""
_ROW_SEAL = "row_seal_1"
"""Where in the budget a row's seal is kept: a column of its own would change every store's schema, and thousands of
rows share the text of their environment, which is then read once."""
_SEAL = re.compile(r'"seal": "([0-9a-f]{16})"\}')
_SEAL_LENGTH = len('"seal": "0123456789abcdef"}')

_POINT_FIELDS = tuple(field.name for field in dataclasses.fields(CurvePoint))
_PREDICTION_TYPES = {"images": "<i4", "labels": "u1", "predicted": "u1", "confidence": "<f4", "true_probability": "<f4"}
_PICTURE_TYPES = {"test": "u1", "samples": "u1", "sample_labels": "u1", "sample_indices": "<i4"}
_DIGEST_BYTES = 32


def dump_json(value: object) -> str:
    """JSON of a value; an object's ends with a checksum of the text before it."""
    text = json.dumps(value, allow_nan=False)
    if not isinstance(value, dict):
        return text
    return f'{text[:-1]}{", " if value else ""}"seal": "{_digest(text)}"}}'


def load_json(text: str | bytes) -> Any:
    """What `dump_json` made text of.

    Raises:
        UnreadableError: It was changed.
    """
    if isinstance(text, bytes | bytearray | memoryview):  # what a server's driver gives
        text = bytes(text).decode()
    found = _SEAL.fullmatch(text[-_SEAL_LENGTH:]) if isinstance(text, str) else None
    body = text if found is None else f"{text[:-_SEAL_LENGTH].removesuffix(', ')}}}"
    if found is not None and _digest(body) != found[1]:
        raise UnreadableError(f"changed JSON: {body[:40]}…")
    try:
        return json.loads(body)
    except (ValueError, TypeError, RecursionError) as fault:
        raise UnreadableError(f"changed JSON: {fault}") from fault


def open_row(row: dict[str, Any]) -> dict[str, Any]:
    """A run's row without its seal.

    Raises:
        UnreadableError: It was changed.
    """
    budget = dict(row["budget"])
    seal = budget.pop(_ROW_SEAL, None)
    opened = row | {"budget": budget}
    if seal is not None and seal != _digest_row(opened):
        raise UnreadableError(f"run '{row['run_id']}' was changed")
    return opened


@contextlib.contextmanager
def unreadable(what: str) -> Iterator[None]:
    """Says what could not be made of stored bytes, whatever went wrong with it.

    Raises:
        UnreadableError: Something did.
    """
    try:
        yield
    except UnreadableError:
        raise
    except Exception as fault:
        raise UnreadableError(f"{what} cannot be read") from fault


def _digest_row(row: dict[str, Any]) -> str:
    """Of the values as they come back: numbers as floats, for a column of those makes one of an integer."""
    values = [row[name] for name in _SEALED]
    told = [value if isinstance(value, _NO_NUMBERS) else float(value) for value in values]
    return _digest(json.dumps(told, sort_keys=True, default=float))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_json(noun: DataclassInstance) -> dict[str, Any]:
    """A dataclass as JSON, which has no infinity: what was never reached becomes null."""
    return {name: _finite(value) for name, value in dataclasses.asdict(noun).items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def from_json(noun: type[Noun], stored: Any, what: str) -> Noun:
    """The dataclass that `to_json` wrote; what an older version lacks has its default.

    Raises:
        UnreadableError: It is none; the message says what it was to be.
    """
    kind: Any = noun
    with unreadable(what):
        made: Noun = _reader(kind)(stored)
        return made


@functools.cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of that type of its JSON; `_as_it_is` where they are the same."""
    parts = get_args(kind)
    if hasattr(kind, "__dataclass_fields__"):
        hints = get_type_hints(kind, localns=vars(collections.abc))  # which the nouns import for type checkers only
        readers = {name: read for name, hint in hints.items() if (read := _reader(hint)) is not _as_it_is}
        return lambda stored: kind(
            **(stored | {name: read(stored[name]) for name, read in readers.items() if name in stored})
        )
    if kind is float:
        return lambda stored: math.inf if stored is None else stored
    if NoneType in parts:
        read = _as_it_is if parts[0] is float else _reader(parts[0])
        return read if read is _as_it_is else lambda stored: None if stored is None else read(stored)
    if get_origin(kind) is tuple:
        read = _reader(parts[0])
        return tuple if read is _as_it_is else lambda stored: tuple(map(read, stored))
    if parts and parts[0] is int:  # a mapping
        read = _reader(parts[1])
        return lambda stored: {int(key): read(value) for key, value in stored.items()}
    return _as_it_is


def _as_it_is(stored: Any) -> Any:
    return stored


def pack_record(record: RunRecord) -> dict[str, Any]:
    """A row of the table of runs under its seal."""
    row: dict[str, Any] = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    row |= {name: dict(row[name]) for name in ("recipe", "budget", "environment")}
    row |= {name: _storable(row[name]) for name in ("error", "traceback")}
    row["machine"] = str(record.environment.get("machine", ""))
    row["time_to_targets"] = list(map(to_json, record.time_to_targets))
    return row | {"budget": row["budget"] | {_ROW_SEAL: _digest_row(row)}}


def unpack_record(row: dict[str, Any]) -> RunRecord:
    """The record that `pack_record` made a row of.

    Raises:
        UnreadableError: It was changed.
    """
    with unreadable(what := f"run '{row.get('run_id')}'"):
        fields = open_row(row)
        del fields["machine"], fields["superseded"]
    return from_json(RunRecord, fields, what)


def _storable(text: str) -> str:
    """Text that every database takes: PostgreSQL refuses a null character, UTF-8 half a surrogate pair."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def pack_curve(curve: Sequence[CurvePoint]) -> bytes:
    """Compressed JSON, one list a field; Python's JSON writes floats exactly, and NaN as NaN."""
    columns = {name: [getattr(point, name) for point in curve] for name in _POINT_FIELDS}
    if not any(columns["batch_losses"]):
        del columns["batch_losses"]
    return zlib.compress(json.dumps(columns).encode())


def unpack_curve(packed: bytes) -> tuple[CurvePoint, ...]:
    """The curve that `pack_curve` packed."""
    with unreadable("a learning curve"):
        columns = json.loads(zlib.decompress(packed))
        losses = columns.get("batch_losses")
        if losses is not None:
            columns["batch_losses"] = [None if of_epoch is None else tuple(of_epoch) for of_epoch in losses]
        rows = zip(*columns.values(), strict=True)
        return tuple(CurvePoint(**dict(zip(columns, row, strict=True))) for row in rows)


def pack_predictions(predictions: Predictions) -> bytes:
    """NumPy's compressed archive of little-endian arrays (N,), checksums included."""
    return _pack(_cast_fields(predictions, _PREDICTION_TYPES))


def unpack_predictions(packed: bytes, *, split: str) -> Predictions:
    """The predictions that `pack_predictions` packed."""
    with unreadable(f"{split} predictions"), np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return Predictions(split=split, **{name: arrays[name] for name in _PREDICTION_TYPES})


class OrderedPredictions(NamedTuple):
    """What reports need of the predictions of a split, in the order of the images."""

    predicted: NDArray[np.uint8]  # (N,)
    confidence: NDArray[np.float32]  # probability given to the predicted class, (N,)
    labels: NDArray[np.uint8]  # true class, (N,)


def unpack_ordered(packed: bytes) -> OrderedPredictions:
    """What reports need of packed predictions; quicker than all."""
    with unreadable("test predictions"), np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        order = np.argsort(arrays["images"], kind="stable")
        return OrderedPredictions(**{name: arrays[name][order] for name in OrderedPredictions._fields})


def pack_pictures(pictures: DataPictures) -> bytes:
    """Pictures of a dataset as bytes; a fifth of their pixels' size for digits."""
    return _with_digest(_cast_fields(pictures, _PICTURE_TYPES))


def unpack_pictures(packed: bytes) -> DataPictures:
    """The pictures that `pack_pictures` packed; none, and so marked, when they are damaged."""
    if not is_sound(packed):
        labels, indices = np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int32)
        none = labels.reshape(0, 1, 1, 1)
        return DataPictures(test=none, samples=none, sample_labels=labels, sample_indices=indices, damaged=True)
    arrays: dict[str, Any] = _without_digest(packed)
    return DataPictures(**{name: arrays[name] for name in _PICTURE_TYPES})


def pack_portrait(portrait: Portrait) -> bytes:
    """A portrait as bytes, without its run."""
    stages = portrait.stages
    shape = (len(stages), len(portrait.images))
    arrays = _cast_fields(portrait, {"images": "<i4", "filters": "<f4"})
    arrays |= {name: np.array([getattr(stage, name) for stage in stages], dtype=np.str_) for name in ("layer", "kind")}
    for name in ("lows", "highs"):
        arrays[name] = _cast(np.reshape([getattr(stage, name) for stage in stages], shape), "<f4")
    return _with_digest(arrays | {f"maps{number}": _cast(stage.maps, "u1") for number, stage in enumerate(stages)})


def unpack_portrait(packed: bytes, *, run_id: str) -> Portrait:
    """The portrait that `pack_portrait` packed; an empty one, and so marked, when it is damaged."""
    if not is_sound(packed):
        images, filters = np.zeros(0, dtype=np.int32), np.zeros((0, 0, 0, 0), dtype=np.float32)
        return Portrait(run_id=run_id, images=images, filters=filters, stages=(), damaged=True)
    arrays = _without_digest(packed)
    rows = zip(*(arrays[name] for name in ("layer", "kind", "lows", "highs")), strict=True)
    stages = tuple(
        StageMaps(layer=str(layer), kind=str(kind), maps=arrays[f"maps{number}"], lows=lows, highs=highs)
        for number, (layer, kind, lows, highs) in enumerate(rows)
    )
    return Portrait(run_id=run_id, images=arrays["images"], filters=arrays["filters"], stages=stages)


def is_sound(packed: bytes) -> bool:
    """Whether packed pictures or a portrait are as they were packed."""
    return hashlib.sha256(packed[_DIGEST_BYTES:]).digest() == packed[:_DIGEST_BYTES]


def _cast_fields(noun: object, types: dict[str, str]) -> dict[str, NDArray[Any]]:
    return {name: _cast(getattr(noun, name), kind) for name, kind in types.items()}


def _cast(array: NDArray[Any], kind: str) -> NDArray[Any]:
    """The array in its kept type, which must be of the same kind."""
    return np.asarray(array).astype(kind, casting="same_kind")


def _pack(arrays: dict[str, NDArray[Any]]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _with_digest(arrays: dict[str, NDArray[Any]]) -> bytes:
    content = _pack(arrays)
    return hashlib.sha256(content).digest() + content


def _without_digest(packed: bytes) -> dict[str, NDArray[Any]]:
    with np.load(io.BytesIO(packed[_DIGEST_BYTES:]), allow_pickle=False) as arrays:
        return dict(arrays)
