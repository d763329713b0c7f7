"""Runs with their curves and predictions, which attempt counts for a request, and which runs another net superseded.

Superseded runs are kept and no longer count for their request, in no study; they count again when the net is what it
was.
"""

from __future__ import annotations

import functools
import itertools
import math
import statistics
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from bench.core.errors import StoreError
from bench.core.metadata import are_unlike_places, is_other_net
from bench.core.records import SETTLED
from bench.core.run import CountedRun
from bench.store import schema
from bench.store.codec import pack_curve, pack_predictions, pack_record, unpack_curve, unpack_predictions, unpack_record
from bench.store.schema import chunks, curves, insert, links, runs, select_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.core.metadata import ArchitectureMetadata
    from bench.core.records import CurvePoint, Predictions, RunRecord
    from bench.store.database.database import Database

Unpacked = TypeVar("Unpacked")


class Runs:
    """The runs of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, record: RunRecord, curve: Sequence[CurvePoint] = (), predictions: Sequence[Predictions] = ()) -> bool:
        """Store a run that has ended, or how far it came when interrupted, whole or not at all.

        False when this attempt at its request has ended and is stored already; nothing is changed then. A server that
        restarts after it stored the run and before it said so makes it False as well.
        """
        row, run_id = pack_record(record), record.run_id
        points = {"run_id": run_id, "points": pack_curve(curve)}
        arrays = [{"run_id": run_id, "split": p.split, "arrays": pack_predictions(p)} for p in predictions]

        def add(connection: sa.Connection) -> bool:
            connection.execute(sa.delete(runs).where(runs.c.run_id == run_id, runs.c.status == "interrupted"))
            if not insert_run(connection, row):
                return False
            connection.execute(sa.insert(curves), points)
            if arrays:
                connection.execute(sa.insert(schema.predictions), arrays)
            return True

        return self._database.write(add)

    def find(self, run_id: str) -> RunRecord | None:
        """A run by its id; None when it is not stored."""
        wanted = sa.select(runs).where(runs.c.run_id == run_id)
        return next(iter(self._database.read(lambda connection: read_records(connection.execute(wanted)))), None)

    def counted(self, request_ids: Iterable[str]) -> dict[str, RunRecord]:
        """The attempt that counts for each request that has one, by request id: the last settled one, else the last."""
        asked, counted = list(request_ids), sa.select(runs).where(is_counted())
        found = self._database.read(
            lambda connection: read_records(select_in(connection, counted, runs.c.request_id, asked))
        )
        return {record.request_id: record for record in found}

    def counted_for_plan(self, request_ids: Iterable[str]) -> dict[str, CountedRun]:
        """What a plan needs of the same attempts, by request id."""
        asked = list(request_ids)
        counted = sa.select(*(runs.c[name] for name in CountedRun._fields)).where(is_counted())
        found = self._database.read(lambda connection: list(select_in(connection, counted, runs.c.request_id, asked)))
        return {row.request_id: CountedRun._make(row) for row in found}

    def next_attempts(self, request_ids: Iterable[str]) -> dict[str, int]:
        """Number of the attempt to make at each request that has one: an interrupted one goes on unless superseded."""
        asked, columns = list(request_ids), (runs.c.request_id, runs.c.attempt, runs.c.status, runs.c.superseded)
        attempts = sa.select(*columns).order_by(runs.c.attempt)
        found = self._database.read(lambda connection: list(select_in(connection, attempts, runs.c.request_id, asked)))
        return {row.request_id: row.attempt + (row.status != "interrupted" or row.superseded) for row in found}

    def curve(self, run_id: str) -> tuple[CurvePoint, ...]:
        """Evaluations of a run in order of time.

        Raises:
            StoreError: There is no such run.
        """
        packed = sa.select(curves.c.points).where(curves.c.run_id == run_id)
        return self._unpacked(packed, unpack_curve, f"run '{run_id}'")

    def predictions(self, run_id: str, split: str) -> Predictions:
        """What the final model of a run said of the images of a split, "validation" or "test".

        Raises:
            StoreError: None are stored, as for a failed run.
        """
        columns, unpack = schema.predictions.c, functools.partial(unpack_predictions, split=split)
        packed = sa.select(columns.arrays).where(columns.run_id == run_id, columns.split == split)
        return self._unpacked(packed, unpack, f"{split} predictions of run '{run_id}'")

    def _unpacked(self, packed: sa.Select[Any], unpack: Callable[[bytes], Unpacked], what: str) -> Unpacked:
        def read(connection: sa.Connection) -> Unpacked:
            stored = connection.scalar(packed)
            if stored is None:
                raise StoreError(f"Store {self._database.place} holds no {what}; run the study again to have it.")
            return unpack(stored)

        return self._database.read(read)

    def training_speeds(
        self, machine: str, *, device: str | None = None, engine: str | None = None
    ) -> dict[str, float]:
        """Median training images per second of finished runs on a machine, by architecture hash.

        Of one device, or of one engine, where these are given.
        """
        speed = runs.c.train_images_per_second
        wanted = sa.select(runs.c.architecture_hash, speed).where(
            runs.c.machine == machine, runs.c.status == "ok", speed.is_not(None), ~runs.c.superseded
        )
        if device is not None:
            wanted = wanted.where(runs.c.device == device)
        if engine is not None:
            # As `bench.store.codec` writes it: to read thousands of environments would take longer than all else.
            by_kernels = sa.cast(runs.c.environment, sa.Text).contains('"engine": "lanes"')
            wanted = wanted.where(by_kernels if engine == "lanes" else ~by_kernels)
        speeds: dict[str, list[float]] = {}
        for architecture_hash, images_per_second in self._database.read(lambda c: c.execute(wanted).all()):
            if math.isfinite(images_per_second):
                speeds.setdefault(architecture_hash, []).append(images_per_second)
        return {architecture_hash: statistics.median(values) for architecture_hash, values in speeds.items()}

    def unused_checkpoints(self) -> list[RunRecord]:
        """Runs with a checkpoint that no study compares: superseded, failed or replaced by a later attempt.

        An interrupted run keeps its own, to go on from; a file that a compared run shares is left out.
        """
        # Trials of a tuning are not compared: what is retrained of them has runs of its own.
        compares = links.c.current & (links.c.role != "tune")
        linked = sa.exists().where(links.c.request_id == runs.c.request_id, compares)
        compared = linked & is_counted() & (runs.c.status != "failed")
        others = sa.select(runs).where(runs.c.checkpoint != "", ~compared).order_by(runs.c.finished_at)

        def read(connection: sa.Connection) -> list[RunRecord]:
            kept = set(connection.scalars(sa.select(runs.c.checkpoint).where(compared)))
            return [record for record in read_records(connection.execute(others)) if record.checkpoint not in kept]

        return self._database.read(read)

    def forget_checkpoints(self, run_ids: Iterable[str]) -> None:
        """Say that the checkpoint files of these runs are gone; sizes and hashes stay."""
        gone = list(run_ids)
        self._database.write(lambda connection: _update(connection, gone, checkpoint=""))

    def supersede_other_nets(self, metadata: ArchitectureMetadata, *, torch_version: str, engine_version: int) -> int:
        """Supersede the runs that share a net's source and are not of that net, and let its own count again.

        Only runs of these versions could count for a request of today. Gives how many were not superseded before.
        """
        known = sa.select(runs.c.run_id, runs.c.params, runs.c.macs, runs.c.initial_hash, runs.c.superseded).where(
            runs.c.architecture_hash == metadata.architecture_hash,
            runs.c.torch_version == torch_version,
            runs.c.engine_version == engine_version,
        )

        def supersede(connection: sa.Connection) -> int:
            changed: dict[bool, list[str]] = {True: [], False: []}
            for row in connection.execute(known).all():
                is_other = is_other_net(row, metadata)
                is_unknown = row.superseded and are_unlike_places(row.initial_hash, metadata.initial_hash)
                if row.superseded != is_other and not is_unknown:
                    changed[is_other].append(row.run_id)
            for superseded, run_ids in changed.items():
                _update(connection, run_ids, superseded=superseded)
            return len(changed[True])

        return self._database.write(supersede)


def insert_run(connection: sa.Connection, row: dict[str, Any]) -> bool:
    """Insert a row of runs; False when the store has that attempt already."""
    new = insert(connection, runs).on_conflict_do_nothing().returning(runs.c.run_id)
    return connection.scalar(new, row) is not None


def _update(connection: sa.Connection, run_ids: Iterable[str], **values: object) -> None:
    for chunk in chunks(run_ids):
        connection.execute(sa.update(runs).where(runs.c.run_id.in_(chunk)).values(**values))


def read_records(rows: Iterable[sa.Row[Any]]) -> list[RunRecord]:
    """Records of whole rows of runs."""
    found = iter(rows)
    first = next(found, None)
    if first is None:
        return []
    # Interned as the record's own names are: of fifty, matching equal strings takes longer than all else.
    names = [sys.intern(str(name)) for name in first._fields]
    return [unpack_record(dict(zip(names, row, strict=True))) for row in itertools.chain([first], found)]


def is_counted() -> sa.ColumnElement[bool]:
    """True of the attempt that counts for its request: the last one that settled, else the last one.

    So a repetition that failed does not hide the result that was there before. Attempts that are superseded, which are
    of another net, never count.
    """
    other = runs.alias("other")
    other_settled, own_settled = (sa.case((table.c.status.in_(SETTLED), 1), else_=0) for table in (other, runs))
    later = other.c.attempt > runs.c.attempt
    better = (other_settled > own_settled) | ((other_settled == own_settled) & later)
    hidden = sa.exists().where(other.c.request_id == runs.c.request_id, ~other.c.superseded, better)
    return ~runs.c.superseded & ~hidden
