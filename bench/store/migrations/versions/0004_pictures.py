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
        sa.Column("data_hash", sa.String, primary_key=True),
        sa.Column("arrays", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "bench_portraits",
        sa.Column("run_id", sa.String, sa.ForeignKey("bench_runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("arrays", sa.LargeBinary, nullable=False),
    )
