"""Brings the rows of another store over; what HERE shows stays: its current cohorts, its study, its latest timings.

Attempts at one request are told apart by what is in them, so that merging twice finds every run in its new place.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.core.errors import StoreError
from bench.core.records import SETTLED
from bench.store import schema
from bench.store.codec import open_row, unreadable
from bench.store.runs import insert_run
from bench.store.schema import (
    claims,
    diagnoses,
    gates,
    insert_missing,
    links,
    portraits,
    runs,
    select_in,
    studies,
    timings,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    Row = dict[str, Any]

_PLACE = ("run_id", "attempt", "checkpoint", "superseded")
"""What merging, pruning or another net of the same source may change of a row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """A run that comes over, with its row as it is here, but that its checkpoint may stay behind."""

    source: str  # its id in the other store
    run_id: str  # its id here
    row: Row = dataclasses.field(compare=False)  # a NaN in it is not equal to itself


@dataclasses.dataclass(frozen=True, kw_only=True)
class MergePlan:
    """What a merge would do."""

    moves: tuple[Move, ...]
    already: int  # how many of the other's runs stay behind because HERE has them or goes on from its own


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
    ours = _by_request(select_in(here, sa.select(runs), runs.c.request_id, theirs))
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
        return [Move(source=row["run_id"], run_id=row["run_id"], row=row) for row in theirs]
    only_ours, only_theirs = ours, theirs
    for key in (_content, lambda row: (row["run_id"], _outcome(row))):
        common = {key(row) for row in only_ours} & {key(row) for row in only_theirs}
        only_ours = [row for row in only_ours if key(row) not in common]
        only_theirs = [row for row in only_theirs if key(row) not in common]
    _refuse_contradiction(only_ours, only_theirs)
    first = 1 + max(row["attempt"] for row in ours)
    coming = [row for row in only_theirs if row["status"] != "interrupted"]
    moves = []
    for attempt, row in enumerate(coming, start=first):
        run_id = f"{row['request_id']}-{attempt}"
        moves.append(Move(source=row["run_id"], run_id=run_id, row=row | {"run_id": run_id, "attempt": attempt}))
    return moves


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


def _outcome(row: Row) -> str:
    """What the same request must give again, as text; clocks are left out."""
    bits = ("weights_hash", "test_accuracy", "test_loss", "steps") if row["status"] == "ok" else ("error",)
    return json.dumps([row["status"], *(row[name] for name in bits)])


def write_merge(here: sa.Connection, other: sa.Connection, plan: MergePlan, *, with_weights: Collection[str]) -> None:
    """Bring over everything of the other store that HERE lacks, in the transaction in which that was planned.

    Runs, by their ids here, whose weights do not lie here now come without.
    """
    if here.dialect.name == "postgresql":  # SQLite lets nobody else write meanwhile
        here.execute(sa.text(f"LOCK TABLE {runs.name}, {studies.name} IN SHARE ROW EXCLUSIVE MODE"))
    for move in plan.moves:
        weights = f"checkpoints/{move.run_id}.pt" if move.run_id in with_weights else ""
        if not insert_run(here, move.row | {"checkpoint": weights}):
            raise StoreError(f"Run '{move.run_id}' was stored by another program just now; run the same command again.")
        for table in (schema.curves, schema.predictions):
            found = other.execute(sa.select(table).where(table.c.run_id == move.source))
            insert_missing(here, table, _rows(found, run_id=move.run_id))
    for table in (schema.architectures, schema.datasets, schema.pictures):
        insert_missing(here, table, _rows(other.execute(sa.select(table))))
    _unite_portraits(here, other, {move.source: move.run_id for move in plan.moves})
    _unite_studies(here, other)
    _unite_timings(here, other)


def _rows(found: Iterable[sa.Row[Any]], **changes: object) -> list[Row]:
    return [row._asdict() | changes for row in found]


def _unite_portraits(here: sa.Connection, other: sa.Connection, moved: Mapping[str, str]) -> None:
    """Portraits come to the runs that came over, and to those that HERE has with the same weights but without one."""
    theirs = sa.select(portraits, runs.c.request_id, runs.c.weights_hash).join(runs)
    for row in other.execute(theirs):
        same = (runs.c.request_id == row.request_id) & (runs.c.weights_hash == row.weights_hash)
        latest = sa.select(runs.c.run_id).where(same, runs.c.status == "ok").order_by(runs.c.attempt.desc()).limit(1)
        run_id = moved.get(row.run_id) or here.scalar(latest)
        if run_id is not None:
            insert_missing(here, portraits, [{"run_id": run_id, "arrays": row.arrays}])


def _unite_studies(here: sa.Connection, other: sa.Connection) -> None:
    """Studies that HERE lacks come in below its own, then every link; what HERE compares in an arm stays compared."""
    known = set(here.scalars(sa.select(studies.c.name)))
    oldest = here.scalar(sa.select(sa.func.min(studies.c.last_used)))
    theirs = other.execute(sa.select(studies).order_by(studies.c.last_used)).all()
    new = [study for study in theirs if study.name not in known]
    for number, study in enumerate(new, start=-len(new)):
        row = study._asdict() | {"last_used": study.last_used if oldest is None else oldest + number}
        del row["study_id"]
        here.execute(sa.insert(studies), row)
    ids = {study.name: study.study_id for study in here.execute(sa.select(studies))}
    own_ids = {study.study_id: ids[study.name] for study in theirs}
    compared: dict[tuple[int, str], set[str]] = {}
    for link in here.execute(sa.select(links).where(links.c.current)):
        compared.setdefault((link.study_id, link.arm), set()).add(link.cohort)
    rows = []
    for link in other.execute(sa.select(links)):
        study_id = own_ids[link.study_id]
        cohorts = compared.get((study_id, link.arm))
        current = link.current if cohorts is None else link.cohort in cohorts
        rows.append(link._asdict() | {"study_id": study_id, "current": current})
    insert_missing(here, links, rows)
    for claim in other.execute(sa.select(claims)):
        insert_missing(here, claims, [claim._asdict() | {"study_id": own_ids[claim.study_id]}])
    for gate in other.execute(sa.select(gates)):
        insert_missing(here, gates, [{"study_id": own_ids[gate.study_id], "outcome": gate.outcome}])
    found = other.execute(sa.select(diagnoses))
    insert_missing(here, diagnoses, [row._asdict() | {"study_id": own_ids[row.study_id]} for row in found])


def _unite_timings(here: sa.Connection, other: sa.Connection) -> None:
    """Timings that HERE lacks come in below its own: the highest id counts as the latest."""
    known = {json.dumps(timing, sort_keys=True) for timing in here.scalars(sa.select(timings.c.timing))}
    theirs = other.execute(sa.select(timings).order_by(timings.c.timing_id))
    new = [row._asdict() for row in theirs if json.dumps(row.timing, sort_keys=True) not in known]
    # Ids below 1 are never drawn by the database itself, so they cannot collide with later ones.
    lowest = min(1, here.scalar(sa.select(sa.func.min(timings.c.timing_id))) or 1)
    if new:
        ids = range(lowest - len(new), lowest)
        here.execute(sa.insert(timings), [row | {"timing_id": i} for i, row in zip(ids, new, strict=True)])
