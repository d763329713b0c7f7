"""Which claims a study judges, with what was counted for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add a table; older studies judge none."""
    op.create_table(
        "bench_claims",
        sa.Column(
            "study_id", sa.Integer, sa.ForeignKey("bench_studies.study_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("claim_id", sa.String, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("asked", sa.JSON, nullable=False),
    )
