"""The first published schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TEXT = (
    *("request_id", "cohort", "architecture", "architecture_hash", "recipe_name", "dataset", "data_hash"),
    *("protocol", "device", "torch_version", "status", "error", "traceback", "layout", "checkpoint"),
    *("checkpoint_hash", "weights_hash", "machine", "started_at", "finished_at"),
)
_WHOLE = ("attempt", "seed", "split_seed", "engine_version", "test_looks", "threads", "jobs")
_MAYBE_WHOLE = ("params", "macs", "epoch_kept", "steps", "checkpoint_bytes")
_MAYBE_REAL = (
    *("epochs", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"),
    *("train_seconds", "evaluation_seconds", "wall_seconds", "train_images_per_second"),
)
_JSON = ("recipe", "budget", "time_to_targets", "environment")


def upgrade() -> None:
    """Make all tables; keys and indices are named by the convention of `bench.store.schema`."""
    op.create_table(
        "bench_runs",
        sa.Column("run_id", sa.String, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in _TEXT),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _WHOLE),
        *(sa.Column(name, sa.BigInteger) for name in _MAYBE_WHOLE),
        *(sa.Column(name, sa.Double) for name in _MAYBE_REAL),
        *(sa.Column(name, sa.JSON, nullable=False) for name in _JSON),
        sa.Column("deterministic", sa.Boolean, nullable=False),
        sa.UniqueConstraint("request_id", "attempt"),
    )
    op.create_index("ix_bench_runs_machine", "bench_runs", ["machine"])
    op.create_table(
        "bench_curves",
        sa.Column("run_id", sa.String, sa.ForeignKey("bench_runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("points", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "bench_predictions",
        sa.Column("run_id", sa.String, sa.ForeignKey("bench_runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("split", sa.String, primary_key=True),
        sa.Column("arrays", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "bench_studies",
        sa.Column("study_id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("command", sa.String, nullable=False),
        sa.Column("last_used", sa.Integer, nullable=False),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "bench_study_requests",
        sa.Column(
            "study_id", sa.Integer, sa.ForeignKey("bench_studies.study_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("request_id", sa.String, primary_key=True),
        sa.Column("role", sa.String, primary_key=True),
        sa.Column("arm", sa.String, nullable=False),
        sa.Column("cohort", sa.String, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
    )
    of_arm = ["study_id", "arm", "cohort"]
    op.create_index("ix_bench_study_requests_study_id_arm_cohort", "bench_study_requests", of_arm)
    op.create_index("ix_bench_study_requests_request_id", "bench_study_requests", ["request_id"])
    for table, key in (("bench_architectures", "architecture_hash"), ("bench_datasets", "data_hash")):
        facts = sa.Column("facts", sa.JSON, nullable=False)
        op.create_table(table, sa.Column(key, sa.String, primary_key=True), facts)
    op.create_table(
        "bench_timings",
        sa.Column("timing_id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("architecture_hash", "machine", "device")),
        sa.Column("timing", sa.JSON, nullable=False),
    )
    keys = ["architecture_hash", "machine", "device"]
    op.create_index("ix_bench_timings_architecture_hash_machine_device", "bench_timings", keys)
