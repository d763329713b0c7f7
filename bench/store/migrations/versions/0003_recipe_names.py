"""What a study calls the recipe of a run: the winner of one study's tuning may be what another was told to train."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a column; links of older studies keep the name that the run was stored with."""
    op.add_column("bench_study_requests", sa.Column("recipe_name", sa.String, nullable=False, server_default=""))
