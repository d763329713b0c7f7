"""What pictures of a report are made from: images of the data, and insides of fitted nets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add two tables; runs of older studies are portrayed when their command is run again."""
    op.create_table(
        "bench_pictures",
        sa.Column("data_hash", sa.String, nullable=False),
        sa.Column("arrays", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("data_hash", name="pk_bench_pictures"),
    )
    op.create_table(
        "bench_portraits",
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("arrays", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["bench_runs.run_id"], name="fk_bench_portraits_run_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", name="pk_bench_portraits"),
    )
