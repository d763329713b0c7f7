"""The tables of the store.

Every table is called `bench_…`, the version table too, so that Optuna and others can live in the same database.
Curves, predictions and portraits have tables of their own: a plan over thousands of runs never reads them.
Whoever changes a table adds a migration under `migrations/versions` and raises `SCHEMA_VERSION`.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.types import UserDefinedType

from bench.store.codec import unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Dialect


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
            with unreadable("a number"):
                return None if value is None else float(value)

        return read


class Whole(TypeDecorator[int]):
    """An integer: SQLite would keep NumPy's as eight raw bytes."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To Python's own integer."""
        return None if value is None else operator.index(value)


SCHEMA_VERSION = "0007"
"""Revision of the newest migration; a test holds it there."""

VERSION_TABLE = "bench_schema_version"
"""Alembic's own name for it, `alembic_version`, would make Optuna refuse the database."""


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

runs = Table(
    "bench_runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("request_id", String, nullable=False),
    Column("cohort", String, nullable=False),
    Column("attempt", Whole, nullable=False),
    Column("architecture", String, nullable=False),
    Column("architecture_hash", String, nullable=False),
    Column("recipe_name", String, nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("budget", JSON, nullable=False),
    Column("dataset", String, nullable=False),
    Column("data_hash", String, nullable=False),
    Column("protocol", String, nullable=False),
    Column("seed", Whole, nullable=False),
    Column("split_seed", Whole, nullable=False),
    Column("device", String, nullable=False),
    Column("torch_version", String, nullable=False),
    Column("engine_version", Whole, nullable=False),
    Column("status", String, nullable=False),
    Column("error", String, nullable=False),
    Column("traceback", String, nullable=False),
    Column("fault", String, nullable=False, server_default=""),  # empty in runs of older versions
    Column("params", Whole),
    Column("macs", Whole),
    Column("epochs", Real),
    Column("epoch_kept", Whole),
    Column("steps", Whole),
    Column("train_loss", Real),
    Column("train_accuracy", Real),
    Column("val_loss", Real),
    Column("val_accuracy", Real),
    Column("test_loss", Real),
    Column("test_accuracy", Real),
    Column("test_looks", Whole, nullable=False),
    Column("time_to_targets", JSON, nullable=False),
    Column("train_seconds", Real),
    Column("evaluation_seconds", Real),
    Column("wall_seconds", Real),
    Column("train_images_per_second", Real),
    Column("threads", Whole, nullable=False),
    Column("jobs", Whole, nullable=False),
    Column("layout", String, nullable=False),
    Column("checkpoint", String, nullable=False),
    Column("checkpoint_bytes", Whole),
    Column("checkpoint_hash", String, nullable=False),
    Column("weights_hash", String, nullable=False),
    Column("initial_hash", String, nullable=False, server_default=""),  # empty in runs of older versions
    Column("deterministic", Boolean, nullable=False),
    Column("environment", JSON, nullable=False),
    Column("machine", String, nullable=False),  # the environment's, to be searched for
    Column("started_at", String, nullable=False),
    Column("finished_at", String, nullable=False),
    Column("superseded", Boolean, nullable=False, server_default=false()),  # of another net of the same source
    UniqueConstraint("request_id", "attempt"),
    Index(None, "machine"),
)

curves = Table(
    "bench_curves",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id, ondelete="CASCADE"), primary_key=True),
    Column("points", LargeBinary, nullable=False),  # bench.store.codec
)

predictions = Table(
    "bench_predictions",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id, ondelete="CASCADE"), primary_key=True),
    Column("split", String, primary_key=True),
    Column("arrays", LargeBinary, nullable=False),  # bench.store.codec
)

portraits = Table(
    "bench_portraits",
    metadata,
    Column("run_id", ForeignKey(runs.c.run_id, ondelete="CASCADE"), primary_key=True),
    Column("arrays", LargeBinary, nullable=False),  # bench.store.artifacts
)

studies = Table(
    "bench_studies",
    metadata,
    Column("study_id", Integer, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("command", String, nullable=False),
    Column("last_used", Integer, nullable=False),  # a counter: clocks can jump back
    Column("settings", JSON, nullable=False, server_default="{}"),  # bench.core.records.Settings
)

links = Table(
    "bench_study_requests",
    metadata,
    Column("study_id", ForeignKey(studies.c.study_id, ondelete="CASCADE"), primary_key=True),
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

gates = Table(
    "bench_gates",
    metadata,
    Column("study_id", ForeignKey(studies.c.study_id, ondelete="CASCADE"), primary_key=True),
    Column("outcome", JSON, nullable=False),  # bench.core.gate.GateOutcome, that of the last check
)

architectures = Table(
    "bench_architectures",
    metadata,
    Column("architecture_hash", String, primary_key=True),
    Column("facts", JSON, nullable=False),
)

datasets = Table(
    "bench_datasets",
    metadata,
    Column("data_hash", String, primary_key=True),
    Column("facts", JSON, nullable=False),
)

pictures = Table(
    "bench_pictures",
    metadata,
    Column("data_hash", String, primary_key=True),
    Column("arrays", LargeBinary, nullable=False),  # bench.store.artifacts
)

timings = Table(
    "bench_timings",
    metadata,
    Column("timing_id", Integer, primary_key=True),
    Column("architecture_hash", String, nullable=False),
    Column("machine", String, nullable=False),
    Column("device", String, nullable=False),
    Column("timing", JSON, nullable=False),
    Index(None, "architecture_hash", "machine", "device"),
)
