"""How the last check of a study by the gate ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add a table; older studies were not checked."""
    op.create_table(
        "bench_gates",
        sa.Column(
            "study_id", sa.Integer, sa.ForeignKey("bench_studies.study_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("outcome", sa.JSON, nullable=False),
    )
