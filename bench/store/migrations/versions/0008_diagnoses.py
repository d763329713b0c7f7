"""What the doctor found in the nets of a study, before any of them trained."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add a table; the nets of older studies were not examined."""
    op.create_table(
        "bench_diagnoses",
        sa.Column(
            "study_id", sa.Integer, sa.ForeignKey("bench_studies.study_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("architecture", sa.String, primary_key=True),
        sa.Column("data_hash", sa.String, primary_key=True),
        sa.Column("diagnosis", sa.JSON, nullable=False),
    )
