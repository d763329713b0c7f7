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
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["bench_studies.study_id"], name="fk_bench_gates_study_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", name="pk_bench_gates"),
    )
