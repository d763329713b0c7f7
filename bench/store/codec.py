"""Nouns to what a database keeps, and back, without losing a bit; checksums find what was changed since.

Curves, predictions and pictures carry the checksums of their compression. A run's row and every JSON object get one
here. What an older version stored has none and is believed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import math
import re
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.core.errors import UnreadableError
from bench.core.metadata import ArchitectureFacts, DatasetFacts, LayerRow, Proof, Timing
from bench.core.records import CurvePoint, Predictions, RunRecord, TimeToTarget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

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


def seal_row(row: dict[str, Any]) -> dict[str, Any]:
    """A run's row with the checksum of what it says."""
    return row | {"budget": row["budget"] | {_ROW_SEAL: _digest_row(row)}}


def open_row(row: dict[str, Any]) -> dict[str, Any]:
    """The row that `seal_row` sealed.

    Raises:
        UnreadableError: It was changed.
    """
    budget = dict(row["budget"])
    sealed = budget.pop(_ROW_SEAL, None)
    opened = row | {"budget": budget}
    if sealed is not None and sealed != _digest_row(opened):
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
    return _digest(json.dumps([float(v) if _is_number(v) else v for v in values], sort_keys=True, default=float))


def _is_number(value: object) -> bool:
    return not isinstance(value, str | dict | list | tuple | None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_POINT_FIELDS = tuple(field.name for field in dataclasses.fields(CurvePoint))
_ARRAY_TYPES = {"images": "<i4", "labels": "u1", "predicted": "u1", "confidence": "<f4", "true_probability": "<f4"}


def pack_record(record: RunRecord) -> dict[str, Any]:
    """A row of the table of runs: "never reached" becomes null, as JSON has no infinity."""
    row = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    times = [
        {name: value if math.isfinite(value) else None for name, value in dataclasses.asdict(time).items()}
        for time in record.time_to_targets
    ]
    return seal_row(
        row
        | {
            "recipe": dict(record.recipe),
            "budget": dict(record.budget),
            "environment": dict(record.environment),
            "machine": str(record.environment.get("machine", "")),
            "time_to_targets": times,
            "error": _storable(record.error),
            "traceback": _storable(record.traceback),
        }
    )


def unpack_record(row: dict[str, Any]) -> RunRecord:
    """The record that `pack_record` made a row of.

    Raises:
        UnreadableError: It was changed.
    """
    with unreadable(f"run '{row.get('run_id')}'"):
        fields = open_row(row)
        del fields["machine"], fields["superseded"]
        fields["time_to_targets"] = tuple(
            TimeToTarget(
                target=time["target"],
                epochs=_or_never(time["epochs"]),
                images=_or_never(time["images"]),
                seconds=_or_never(time["seconds"]),
            )
            for time in row["time_to_targets"]
        )
        return RunRecord(**fields)


def pack_curve(curve: Sequence[CurvePoint]) -> bytes:
    """Compressed JSON, one list a field; Python's JSON writes floats exactly, and NaN as NaN."""
    columns = {name: [getattr(point, name) for point in curve] for name in _POINT_FIELDS}
    return zlib.compress(json.dumps(columns).encode())


def unpack_curve(packed: bytes) -> tuple[CurvePoint, ...]:
    """The curve that `pack_curve` packed."""
    with unreadable("a learning curve"):
        columns = json.loads(zlib.decompress(packed))
        return tuple(
            CurvePoint(**dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
        )


def pack_predictions(predictions: Predictions) -> bytes:
    """NumPy's compressed archive of little-endian arrays (N,), checksums included."""
    arrays = {name: np.asarray(getattr(predictions, name)) for name in _ARRAY_TYPES}
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        allow_pickle=False,
        images=arrays["images"].astype("<i4", casting="same_kind"),
        labels=arrays["labels"].astype("u1", casting="same_kind"),
        predicted=arrays["predicted"].astype("u1", casting="same_kind"),
        confidence=arrays["confidence"].astype("<f4", casting="same_kind"),
        true_probability=arrays["true_probability"].astype("<f4", casting="same_kind"),
    )
    return stream.getvalue()


def unpack_predictions(packed: bytes, *, split: str) -> Predictions:
    """The predictions that `pack_predictions` packed."""
    with unreadable(f"{split} predictions"), np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        return Predictions(split=split, **{name: arrays[name] for name in _ARRAY_TYPES})


class OrderedPredictions(NamedTuple):
    """What reports need of the predictions of a split, in the order of the images.

    Attributes:
        predicted: Predicted class, (N,) uint8.
        confidence: Probability given to it, (N,) float32.
        labels: True class, (N,) uint8.
    """

    predicted: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    labels: NDArray[np.uint8]


def unpack_ordered(packed: bytes) -> OrderedPredictions:
    """What reports need of packed predictions; quicker than all."""
    with unreadable("test predictions"), np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        order = np.argsort(arrays["images"], kind="stable")
        return OrderedPredictions(**{name: arrays[name][order] for name in OrderedPredictions._fields})


def unpack_architecture(facts: dict[str, Any]) -> ArchitectureFacts:
    """Facts of an architecture, stored by `dataclasses.asdict`."""
    with unreadable("what was counted of an architecture"):
        layers = tuple(LayerRow(**layer | {"output_shape": tuple(layer["output_shape"])}) for layer in facts["layers"])
        proof = Proof(**_tuples(facts.get("proof", {})))  # versions before 0.2 had none
        return ArchitectureFacts(**_tuples(facts) | {"layers": layers, "proof": proof})


def unpack_dataset(facts: dict[str, Any]) -> DatasetFacts:
    """Facts of a dataset, stored by `dataclasses.asdict`."""
    with unreadable("what is known of a dataset"):
        return DatasetFacts(**_tuples(facts))


def unpack_timing(timing: dict[str, Any]) -> Timing:
    """A timing, stored by `dataclasses.asdict`; JSON made text of the batch sizes. Older versions timed no twins."""
    with unreadable("a timing"):
        samples: dict[str, Any] = {
            name: {int(batch): tuple(seconds) for batch, seconds in timing[name].items()}
            for name in ("seconds_per_batch", "call_seconds", "twin_seconds_per_batch")
            if name in timing
        }
        return Timing(**timing | samples)


def _tuples(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}


def _or_never(value: float | None) -> float:
    return math.inf if value is None else value


def _storable(text: str) -> str:
    """Text that every database takes: PostgreSQL refuses a null character, UTF-8 half a surrogate pair."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
