"""The first published schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    _make_runs()
    _make_run_details()
    _make_studies()
    _make_facts()


def _make_runs() -> None:
    text: tuple[str, ...] = (
        "request_id",
        "cohort",
        "architecture",
        "architecture_hash",
        "recipe_name",
        "dataset",
        "data_hash",
    )
    text += ("protocol", "device", "torch_version", "status", "error", "traceback", "layout", "checkpoint")
    text += ("checkpoint_hash", "weights_hash", "machine", "started_at", "finished_at")
    whole = ("attempt", "seed", "split_seed", "engine_version", "test_looks", "threads", "jobs")
    maybe_whole = ("params", "macs", "epoch_kept", "steps", "checkpoint_bytes")
    maybe_real: tuple[str, ...] = (
        "epochs",
        "train_loss",
        "train_accuracy",
        "val_loss",
        "val_accuracy",
        "test_loss",
        "test_accuracy",
    )
    maybe_real += ("train_seconds", "evaluation_seconds", "wall_seconds", "train_images_per_second")
    json = ("recipe", "budget", "time_to_targets", "environment")
    op.create_table(
        "bench_runs",
        sa.Column("run_id", sa.String, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in text),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in whole),
        *(sa.Column(name, sa.BigInteger) for name in maybe_whole),
        *(sa.Column(name, sa.Double) for name in maybe_real),
        *(sa.Column(name, sa.JSON, nullable=False) for name in json),
        sa.Column("deterministic", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_bench_runs"),
        sa.UniqueConstraint("request_id", "attempt", name="uq_bench_runs_request_id_attempt"),
    )
    op.create_index("ix_bench_runs_machine", "bench_runs", ["machine"])


def _make_run_details() -> None:
    op.create_table(
        "bench_curves",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("points", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_bench_curves"),
        sa.ForeignKeyConstraint(["run_id"], ["bench_runs.run_id"], name="fk_bench_curves_run_id", ondelete="CASCADE"),
    )
    op.create_table(
        "bench_predictions",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("split", sa.String, nullable=False),
        sa.Column("arrays", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "split", name="pk_bench_predictions"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["bench_runs.run_id"], name="fk_bench_predictions_run_id", ondelete="CASCADE"
        ),
    )


def _make_studies() -> None:
    op.create_table(
        "bench_studies",
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("command", sa.String, nullable=False),
        sa.Column("last_used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("study_id", name="pk_bench_studies"),
        sa.UniqueConstraint("name", name="uq_bench_studies_name"),
    )
    table = "bench_study_requests"
    op.create_table(
        table,
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("arm", sa.String, nullable=False),
        sa.Column("cohort", sa.String, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("study_id", "request_id", "role", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["study_id"], ["bench_studies.study_id"], name=f"fk_{table}_study_id", ondelete="CASCADE"
        ),
    )
    op.create_index(f"ix_{table}_study_id_arm_cohort", table, ["study_id", "arm", "cohort"])
    op.create_index(f"ix_{table}_request_id", table, ["request_id"])


def _make_facts() -> None:
    for table, key in (("bench_architectures", "architecture_hash"), ("bench_datasets", "data_hash")):
        op.create_table(
            table,
            sa.Column(key, sa.String, nullable=False),
            sa.Column("facts", sa.JSON, nullable=False),
            sa.PrimaryKeyConstraint(key, name=f"pk_{table}"),
        )
    op.create_table(
        "bench_timings",
        sa.Column("timing_id", sa.Integer, nullable=False),
        sa.Column("architecture_hash", sa.String, nullable=False),
        sa.Column("machine", sa.String, nullable=False),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("timing", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("timing_id", name="pk_bench_timings"),
    )
    key_columns = ["architecture_hash", "machine", "device"]
    op.create_index("ix_bench_timings_architecture_hash_machine_device", "bench_timings", key_columns)
