"""Checksums of what is stored as text and numbers: SQLite keeps none, and a changed digit is still a number.

Curves, predictions and pictures carry the checksums of their compression. A run's row and every JSON object get one
here. What an older version stored has none and is believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from bench.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
