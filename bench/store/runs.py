"""Small reads and writes of runs, on SQLite and PostgreSQL alike, and which runs another net superseded.

Such runs are kept and no longer count for their request, in no study; they count again when the net is what it was.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bench.core.metadata import are_unlike_places, is_other_net
from bench.core.records import SETTLED
from bench.store import schema
from bench.store.codec import unpack_architecture, unpack_dataset, unpack_record
from bench.store.schema import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy.dialects import postgresql, sqlite

    from bench.core.metadata import ArchitectureFacts, DatasetFacts
    from bench.core.records import RunRecord

_CHUNK = 500
"""Values in one IN list: far below what any database takes, and enough that the round trips do not count."""


def chunks(values: Iterable[str]) -> Iterator[Sequence[str]]:
    """Distinct values in lists that fit into one statement."""
    distinct = iter(dict.fromkeys(values))
    while chunk := list(itertools.islice(distinct, _CHUNK)):
        yield chunk


def insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite  # noqa: PLC0415

        return insert_sqlite(table)
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql  # noqa: PLC0415 - 0.1 s to import

    return insert_postgresql(table)


def put_facts(connection: sa.Connection, table: sa.Table, key: str, facts: ArchitectureFacts | DatasetFacts) -> None:
    """Store what is known under a content hash, in place of what was known before."""
    row = {key: getattr(facts, key), "facts": dataclasses.asdict(facts)}
    statement = insert(connection, table).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=[key], set_={"facts": statement.excluded.facts}))


def read_architectures(connection: sa.Connection, hashes: Iterable[str]) -> dict[str, ArchitectureFacts]:
    """Facts by architecture hash, of those that are stored."""
    table = schema.architectures
    return {
        row.architecture_hash: unpack_architecture(row.facts)
        for chunk in chunks(hashes)
        for row in connection.execute(sa.select(table).where(table.c.architecture_hash.in_(chunk)))
    }


def read_datasets(connection: sa.Connection, hashes: Iterable[str]) -> dict[str, DatasetFacts]:
    """Facts by data hash, of those that are stored."""
    table = schema.datasets
    return {
        row.data_hash: unpack_dataset(row.facts)
        for chunk in chunks(hashes)
        for row in connection.execute(sa.select(table).where(table.c.data_hash.in_(chunk)))
    }


def read_records(connection: sa.Connection, statement: sa.Select[Any]) -> list[RunRecord]:
    """Records of a statement that selects whole rows of runs."""
    rows = connection.execute(statement)
    names = tuple(rows.keys())
    return [unpack_record(dict(zip(names, row, strict=True))) for row in rows.all()]


def is_counted() -> sa.ColumnElement[bool]:
    """True of the attempt that counts for its request: the last one that settled, else the last one.

    So a repetition that failed does not hide the result that was there before. Attempts that are superseded, which are
    of another net, never count.
    """
    other, own = schema.runs.alias("other"), schema.runs
    other_settled, own_settled = _settled(other), _settled(own)
    later = other.c.attempt > own.c.attempt
    better = (other_settled > own_settled) | ((other_settled == own_settled) & later)
    hidden = sa.exists().where(other.c.request_id == own.c.request_id, ~other.c.superseded, better)
    return ~own.c.superseded & ~hidden


def read_next_attempts(connection: sa.Connection, request_ids: Iterable[str]) -> dict[str, int]:
    """Number of the attempt to make at each request that has one; one that is superseded does not go on."""
    table = schema.runs
    attempts: dict[str, int] = {}
    for chunk in chunks(request_ids):
        columns = table.c.request_id, table.c.attempt, table.c.status, table.c.superseded
        wanted = sa.select(*columns).where(table.c.request_id.in_(chunk))
        for row in connection.execute(wanted.order_by(table.c.attempt)):
            attempts[row.request_id] = row.attempt + (row.status != "interrupted" or row.superseded)
    return attempts


def _settled(table: sa.FromClause) -> sa.ColumnElement[int]:
    return sa.case((table.c.status.in_(SETTLED), 1), else_=0)


def read_training_speeds(connection: sa.Connection, machine: str, *, device: str | None) -> dict[str, list[float]]:
    """Training images per second of every finished run on a machine, on one of its devices or all, by architecture."""
    table = schema.runs
    speed = table.c.train_images_per_second
    wanted = (table.c.machine == machine) & (table.c.status == "ok") & speed.is_not(None) & ~table.c.superseded
    if device is not None:
        wanted &= table.c.device == device
    speeds: dict[str, list[float]] = {}
    for row in connection.execute(sa.select(table.c.architecture_hash, speed).where(wanted)):
        if math.isfinite(row.train_images_per_second):
            speeds.setdefault(row.architecture_hash, []).append(row.train_images_per_second)
    return speeds


def read_unused_checkpoints(connection: sa.Connection) -> list[RunRecord]:
    """Runs with a checkpoint that no study compares and whose file no compared run shares."""
    table, links = schema.runs, schema.links
    # Trials of a tuning are not compared: what is retrained of them has runs of its own.
    compares = links.c.current & (links.c.role != "tune")
    linked = sa.exists().where(links.c.request_id == table.c.request_id, compares)
    compared = linked & is_counted() & (table.c.status != "failed")
    kept = set(connection.scalars(sa.select(table.c.checkpoint).where(compared)))
    unused = sa.select(table).where(table.c.checkpoint != "", ~compared).order_by(table.c.finished_at)
    return [record for record in read_records(connection, unused) if record.checkpoint not in kept]


def write_superseded(
    connection: sa.Connection, facts: ArchitectureFacts, *, torch_version: str, engine_version: int
) -> int:
    """Supersede the runs that share a net's source and are not of that net, and let its own count again.

    Args:
        connection: The database, in a transaction that writes.
        facts: The net as it was counted just now.
        torch_version: Of the runs that could count for a request of today; older ones never could.
        engine_version: The same.

    Returns:
        How many are superseded that were not before.
    """
    of_source = (
        (runs.c.architecture_hash == facts.architecture_hash)
        & (runs.c.torch_version == torch_version)
        & (runs.c.engine_version == engine_version)
    )
    known = sa.select(runs.c.run_id, runs.c.params, runs.c.macs, runs.c.initial_hash, runs.c.superseded)
    rows = connection.execute(known.where(of_source)).all()
    others = {row.run_id for row in rows if is_other_net(row, facts)}
    changed = {
        row.run_id: row.run_id in others
        for row in rows
        if row.superseded != (row.run_id in others)
        and not (row.superseded and are_unlike_places(row.initial_hash, facts.initial_hash))  # nothing new is known
    }
    for superseded in (True, False):
        for chunk in chunks(run_id for run_id, now in changed.items() if now is superseded):
            connection.execute(sa.update(runs).where(runs.c.run_id.in_(chunk)).values(superseded=superseded))
    return sum(changed.values())
