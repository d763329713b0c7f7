"""What verdicts need to know of a study: its settings, and which requests were planned to run until decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a column to each of two tables; older studies have neither."""
    op.add_column("bench_studies", sa.Column("settings", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("bench_study_requests", sa.Column("seed_plan", sa.String, nullable=False, server_default=""))
