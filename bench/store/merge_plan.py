"""Which runs of another store come over, under which ids, and which must not stand side by side.

Attempts at one request are told apart by what is in them, so that merging twice finds every run in its new place.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.errors import StoreError
from bench.records import SETTLED
from bench.store.queries import chunks
from bench.store.schema import runs
from bench.store.sealing import open_row, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    Row = dict[str, Any]

_PLACE = ("run_id", "attempt", "checkpoint", "superseded")
"""What merging, pruning or another net of the same source may change of a row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """A run that comes over.

    Attributes:
        source: Its id in the other store.
        run_id: Its id here.
        attempt: Its attempt here.
        row: Its row as the other store has it.
    """

    source: str
    run_id: str
    attempt: int
    row: Row = dataclasses.field(compare=False)  # a NaN in it is not equal to itself


@dataclasses.dataclass(frozen=True, kw_only=True)
class MergePlan:
    """What a merge would do.

    Attributes:
        moves: Runs that come over.
        already: How many of the other's runs stay behind because HERE has them or goes on from its own.
    """

    moves: tuple[Move, ...]
    already: int


def plan_merge(here: sa.Connection, other: sa.Connection) -> MergePlan:
    """Find the runs that only the other store has, and their ids here.

    Raises:
        UnreadableError: A run of the other store is not as it was written.
        StoreError: Both hold a result of the same request, and the results differ.
    """
    theirs = _by_request(other.execute(sa.select(runs).order_by(runs.c.request_id, runs.c.attempt)))
    for row in itertools.chain(*theirs.values()):
        with unreadable(f"run '{row['run_id']}'"):
            open_row(row)
    ours: dict[str, list[Row]] = {}
    for chunk in chunks(theirs):
        ours |= _by_request(here.execute(sa.select(runs).where(runs.c.request_id.in_(chunk))))
    moves = [move for request_id, rows in theirs.items() for move in _moves(ours.get(request_id, []), rows)]
    return MergePlan(moves=tuple(moves), already=sum(map(len, theirs.values())) - len(moves))


def _by_request(rows: Iterable[sa.Row[Any]]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.request_id, []).append(row._asdict())
    return found


def _moves(ours: list[Row], theirs: list[Row]) -> list[Move]:
    """Which attempts at one request come over, after those that HERE has made."""
    if not ours:
        return [Move(source=row["run_id"], run_id=row["run_id"], attempt=row["attempt"], row=row) for row in theirs]
    only_ours, only_theirs = ours, theirs
    for key in (_content, _run_and_outcome):
        common = {key(row) for row in only_ours} & {key(row) for row in only_theirs}
        only_ours = [row for row in only_ours if key(row) not in common]
        only_theirs = [row for row in only_theirs if key(row) not in common]
    _refuse_contradiction(only_ours, only_theirs)
    first = 1 + max(row["attempt"] for row in ours)
    coming = [row for row in only_theirs if row["status"] != "interrupted"]
    return [
        Move(source=row["run_id"], run_id=f"{row['request_id']}-{attempt}", attempt=attempt, row=row)
        for attempt, row in enumerate(coming, start=first)
    ]


def _refuse_contradiction(only_ours: list[Row], only_theirs: list[Row]) -> None:
    """Raises StoreError when each store has a result that the other does not know, and they differ."""
    for own in only_ours:
        for row in only_theirs:
            settled = own["status"] in SETTLED and row["status"] in SETTLED
            if settled and _outcome(own) != _outcome(row):
                raise StoreError(
                    f"Contradiction, nothing is merged: {own['architecture']} with seed {own['seed']} ended here with "
                    f"{_describe(own)}, there with {_describe(row)}, though all that decides it is the same; "
                    "merge into an empty directory (--results NEW), or train the other with other --seeds."
                )


def _describe(row: Row) -> str:
    if row["status"] == "ok":
        return f"test accuracy {row['test_accuracy']} (weights {row['weights_hash'][:8]})"
    return f"'{row['status']}: {' '.join(row['error'].split())}'"


def _content(row: Row) -> str:
    """All of a run but its place, as text, which makes NaN equal to NaN."""
    return json.dumps({name: value for name, value in row.items() if name not in _PLACE}, sort_keys=True)


def _run_and_outcome(row: Row) -> tuple[str, str]:
    return row["run_id"], _outcome(row)


def _outcome(row: Row) -> str:
    """What the same request must give again, as text; clocks are left out."""
    bits = ("weights_hash", "test_accuracy", "test_loss", "steps") if row["status"] == "ok" else ("error",)
    return json.dumps([row["status"], *(row[name] for name in bits)])
