"""Brings the rows of another store over; what HERE shows stays: its current cohorts, its study, its latest timings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.errors import StoreError
from bench.store.gates import unite_gates
from bench.store.queries import insert
from bench.store.schema import (
    architectures,
    curves,
    datasets,
    links,
    pictures,
    portraits,
    predictions,
    runs,
    studies,
    timings,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bench.store.merge_plan import MergePlan, Move


def write_merge(here: sa.Connection, other: sa.Connection, plan: MergePlan, *, with_weights: Collection[str]) -> None:
    """Bring over everything of the other store that HERE lacks.

    Args:
        here: The store that grows, in a transaction that writes.
        other: The other one.
        plan: What `plan_merge` found in this transaction.
        with_weights: Ids (here) of the runs whose weights lie here now; the others come without.
    """
    if here.dialect.name == "postgresql":  # SQLite lets nobody else write meanwhile
        here.execute(sa.text(f"LOCK TABLE {runs.name}, {studies.name} IN SHARE ROW EXCLUSIVE MODE"))
    for move in plan.moves:
        weights = f"checkpoints/{move.run_id}.pt" if move.run_id in with_weights else ""
        _move_run(here, other, move, checkpoint=weights)
    for table in (architectures, datasets, pictures):
        _insert_missing(here, table, [row._asdict() for row in other.execute(sa.select(table))])
    _unite_portraits(here, other, {move.source: move.run_id for move in plan.moves})
    _unite_studies(here, other)
    _unite_timings(here, other)


def _move_run(here: sa.Connection, other: sa.Connection, move: Move, *, checkpoint: str) -> None:
    row = move.row | {"run_id": move.run_id, "attempt": move.attempt, "checkpoint": checkpoint}
    new = insert(here, runs).on_conflict_do_nothing().returning(runs.c.run_id)
    if here.scalar(new, row) is None:
        raise StoreError(f"Run '{move.run_id}' was stored by another program just now; run the same command again.")
    for table in (curves, predictions):
        found = other.execute(sa.select(table).where(table.c.run_id == move.source))
        if blobs := [blob._asdict() | {"run_id": move.run_id} for blob in found]:
            here.execute(sa.insert(table), blobs)


def _unite_portraits(here: sa.Connection, other: sa.Connection, moved: Mapping[str, str]) -> None:
    """Portraits come to the runs that came over, and to those that HERE has with the same weights but without one."""
    theirs = sa.select(portraits, runs.c.request_id, runs.c.weights_hash).join(runs)
    for row in other.execute(theirs):
        same = (runs.c.request_id == row.request_id) & (runs.c.weights_hash == row.weights_hash)
        latest = sa.select(runs.c.run_id).where(same, runs.c.status == "ok").order_by(runs.c.attempt.desc()).limit(1)
        run_id = moved.get(row.run_id) or here.scalar(latest)
        if run_id is not None:
            _insert_missing(here, portraits, [{"run_id": run_id, "arrays": row.arrays}])


def _insert_missing(here: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        here.execute(insert(here, table).on_conflict_do_nothing(), rows)


def _unite_studies(here: sa.Connection, other: sa.Connection) -> None:
    """Studies that HERE lacks come in below its own, then every link; what HERE compares in an arm stays compared."""
    known = set(here.scalars(sa.select(studies.c.name)))
    oldest = here.scalar(sa.select(sa.func.min(studies.c.last_used)))
    theirs = other.execute(sa.select(studies).order_by(studies.c.last_used)).all()
    new = [study for study in theirs if study.name not in known]
    for place, study in enumerate(new):
        last_used = study.last_used if oldest is None else oldest - len(new) + place
        row = {name: value for name, value in study._asdict().items() if name != "study_id"}
        here.execute(sa.insert(studies), row | {"last_used": last_used})
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
    _insert_missing(here, links, rows)
    unite_gates(here, other, own_ids)


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
