"""Two results directories to be merged, and all that they hold, to be compared."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING, Any

from bench.store.schema import metadata
from bench.store.store import open_store
from bench.studies.stored.merge import Merged, merge
from tests.bench.store.examples import make_curve, make_predictions, store_url
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.records import RunRecord
    from bench.core.run import RunRequest

FIRST, SECOND, THIRD = (make_request(seed) for seed in range(3))


def add(folder: Path, request: RunRequest, *, attempt: int = 1, weights: bytes = b"w", **changes: Any) -> RunRecord:
    """A run with weights in a results directory; another folder or attempt means another clock."""
    name = request.id if attempt == 1 else f"{request.id}-{attempt}"
    clock = f"2026-01-0{attempt}T00:00:00+00:00 in {folder.name}"
    fields = {"checkpoint": f"checkpoints/{name}.pt", "checkpoint_hash": hashlib.sha256(weights).hexdigest()}
    record = record_of(request, attempt=attempt, **{"started_at": clock} | fields | changes)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    if record.checkpoint:
        (folder / record.checkpoint).write_bytes(weights)
    with open_store(store_url(folder)) as store:
        assert store.runs.add(record, make_curve(), [make_predictions("test"), make_predictions("validation", 3)])
    return record


def plan(folder: Path, *requests: RunRequest, name: str = "main", command: str = "run") -> None:
    with open_store(store_url(folder)) as store:
        store.studies.plan(name, command=command, requests=requests, role="compare")


def do(other: Path, here: Path) -> Merged:
    return merge(other, results=here, store_url=store_url(here))


def dump(folder: Path) -> dict[str, Any]:
    """Every row of every table and every file but the database's own."""
    found: dict[str, Any] = {}
    if (folder / "bench.db").exists():
        with sqlite3.connect(folder / "bench.db") as database:
            for table in metadata.tables:
                found[table] = sorted(map(repr, database.execute(f"SELECT * FROM {table}")))  # noqa: S608
        database.close()
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("bench.db")]
    return found | {str(path.relative_to(folder)): path.read_bytes() for path in files}


def statuses(folder: Path) -> dict[str, str]:
    with sqlite3.connect(folder / "bench.db") as database:
        found = dict(database.execute("SELECT run_id, status FROM bench_runs"))
    database.close()
    return found
