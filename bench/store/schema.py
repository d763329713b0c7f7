"""The tables of the store, and the statements that everything in it shares.

Every table is called `bench_…`, the version table too, so that Optuna and others can live in the same database.
Curves, predictions and portraits have tables of their own: a plan over thousands of runs never reads them.
Whoever changes a table adds a migration under `migrations/versions` and raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import itertools
import math
import operator
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table
from sqlalchemy.types import UserDefinedType

from bench.core.errors import UnreadableError
from bench.core.records import RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Dialect
    from sqlalchemy.dialects import postgresql, sqlite


class Real(UserDefinedType[float]):
    """A float that stays NaN when it is NaN: SQLite would turn it into NULL, so there it is kept as text."""

    cache_ok = True

    def get_col_spec(self, **_options: object) -> str:
        """The column's type, by the name that SQLite and PostgreSQL share."""
        return "DOUBLE PRECISION"

    def bind_processor(self, dialect: Dialect) -> Callable[[float | None], float | str | None]:
        """Towards the database; NumPy's numbers become Python's."""
        nan: float | str = "NaN" if dialect.name == "sqlite" else math.nan

        def bind(value: float | None) -> float | str | None:
            if value is None:
                return None
            return nan if math.isnan(value) else float(value)

        return bind

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[float | str | None], float | None]:  # noqa: ARG002
        """Back to a float."""

        def read(value: float | str | None) -> float | None:
            try:  # a dozen values a run: a context manager for each would be a third of the time of reading one
                return None if value is None else float(value)
            except (TypeError, ValueError) as fault:
                raise UnreadableError("a number cannot be read") from fault

        return read


class Whole(sa.TypeDecorator[int]):
    """An integer: SQLite would keep NumPy's as eight raw bytes."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To Python's own integer."""
        return None if value is None else operator.index(value)


SCHEMA_VERSION = "0009"
"""Revision of the newest migration; a test holds it there."""
VERSION_TABLE = "bench_schema_version"
"""Alembic's own name for it, `alembic_version`, would make Optuna refuse the database."""

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

_COLUMN_TYPES: dict[object, Any] = {str: String, int: Whole, float: Real, bool: Boolean}
"""By type of a field of `RunRecord`; every other is JSON."""


def _run_columns() -> Iterator[Column[Any]]:
    """One of each field of a record."""
    hints = get_type_hints(RunRecord, localns=vars(collections.abc))
    for field in dataclasses.fields(RunRecord):
        optional = NoneType in (parts := get_args(hints[field.name]))
        kind = _COLUMN_TYPES.get(parts[0] if optional else hints[field.name], sa.JSON)
        default = "" if field.name in ("initial_hash", "fault") else None  # runs of older versions have none
        key = field.name == "run_id"
        yield Column(field.name, kind, nullable=optional, primary_key=key, server_default=default)


runs = Table(
    "bench_runs",
    metadata,
    *_run_columns(),
    Column("machine", String, nullable=False),  # the environment's, to be searched for
    Column("superseded", Boolean, nullable=False, server_default=sa.false()),  # of another net of the same source
    sa.UniqueConstraint("request_id", "attempt"),
    Index(None, "machine"),
)


def _run_key() -> Column[Any]:
    return Column("run_id", ForeignKey(runs.c.run_id, ondelete="CASCADE"), primary_key=True)


def _packed(name: str) -> Column[Any]:
    return Column(name, LargeBinary, nullable=False)  # by bench.store.codec


curves = Table("bench_curves", metadata, _run_key(), _packed("points"))
predictions = Table(
    "bench_predictions", metadata, _run_key(), Column("split", String, primary_key=True), _packed("arrays")
)
portraits = Table("bench_portraits", metadata, _run_key(), _packed("arrays"))
pictures = Table("bench_pictures", metadata, Column("data_hash", String, primary_key=True), _packed("arrays"))

studies = Table(
    "bench_studies",
    metadata,
    Column("study_id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("command", String, nullable=False),
    Column("last_used", Integer, nullable=False),  # a counter: clocks can jump back
    Column("settings", sa.JSON, nullable=False, server_default="{}"),  # bench.core.records.Margins
)


def _study_key() -> Column[Any]:
    return Column("study_id", ForeignKey(studies.c.study_id, ondelete="CASCADE"), primary_key=True)


links = Table(
    "bench_study_requests",
    metadata,
    _study_key(),
    Column("request_id", String, primary_key=True),  # the run that answers it may not exist yet
    Column("role", String, primary_key=True),
    Column("arm", String, nullable=False),  # what is compared: architecture name, recipe, budget, dataset, protocol
    Column("cohort", String, nullable=False),  # how it was made: the net's code, data, device and versions as well
    Column("current", Boolean, nullable=False),
    Column("seed_plan", String, nullable=False, server_default=""),  # every plan of seeds so far: "6 6:30"
    Column("recipe_name", String, nullable=False, server_default=""),  # in this study; empty for the run's own
    Index(None, "study_id", "arm", "cohort"),
    Index(None, "request_id"),
)
gates = Table(  # how the last check of a study ended: bench.core.work.gate.GateOutcome
    "bench_gates", metadata, _study_key(), Column("outcome", sa.JSON, nullable=False)
)
diagnoses = Table(  # what the doctor found in a net on a study's images: bench.core.metadata.Diagnosis
    "bench_diagnoses",
    metadata,
    _study_key(),
    Column("architecture", String, primary_key=True),
    Column("data_hash", String, primary_key=True),
    Column("diagnosis", sa.JSON, nullable=False),
)
claims = Table(  # what a study judges beside what it compares: bench.core.work.claims.claim.AskedClaim
    "bench_claims",
    metadata,
    _study_key(),
    Column("claim_id", String, primary_key=True),
    Column("place", Integer, nullable=False),  # by which they are in order
    Column("asked", sa.JSON, nullable=False),
)


def _facts(name: str, key: str) -> Table:
    return Table(name, metadata, Column(key, String, primary_key=True), Column("facts", sa.JSON, nullable=False))


architectures = _facts("bench_architectures", "architecture_hash")
datasets = _facts("bench_datasets", "data_hash")

timings = Table(
    "bench_timings",
    metadata,
    Column("timing_id", Integer, primary_key=True),
    *(Column(name, String, nullable=False) for name in ("architecture_hash", "machine", "device")),
    Column("timing", sa.JSON, nullable=False),
    Index(None, "architecture_hash", "machine", "device"),
)

_CHUNK = 500
"""Values in one IN list: far below what any database takes, and enough that the round trips do not count."""


def chunks(values: Iterable[str]) -> Iterator[Sequence[str]]:
    """Distinct values in lists that fit into one statement."""
    distinct = iter(dict.fromkeys(values))
    while chunk := list(itertools.islice(distinct, _CHUNK)):
        yield chunk


def select_in(
    connection: Connection, statement: sa.Select[Any], column: Column[Any], values: Iterable[str]
) -> Iterator[sa.Row[Any]]:
    """Rows of a statement where a column has one of these values, however many there are."""
    for chunk in chunks(values):
        yield from connection.execute(statement.where(column.in_(chunk)))


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The dialect's own INSERT, which knows ON CONFLICT."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite  # noqa: PLC0415

        return insert_sqlite(table)
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql  # noqa: PLC0415 - 0.1 s to import

    return insert_postgresql(table)


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; where the table has one already, that one stays."""
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def put(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; where the table has one of the same primary key, it takes their values."""
    if rows:
        new, keys = insert(connection, table), [column.name for column in table.primary_key]
        renewed = {name: new.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(new.on_conflict_do_update(index_elements=keys, set_=renewed), rows)
