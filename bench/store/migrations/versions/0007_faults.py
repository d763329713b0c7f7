"""Who is to blame for a run that failed; runs of older studies do not say."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add a column, empty in the runs that are there."""
    op.add_column("bench_runs", sa.Column("fault", sa.String, nullable=False, server_default=""))
