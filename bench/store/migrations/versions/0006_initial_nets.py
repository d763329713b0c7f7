"""What a run's net was before it trained, whether it still counts, and times to targets that ended a run.

Runs of older studies have no such hash, which says nothing of their nets. Versions before this one took a run that its
own accuracy target had ended for one that never got there: their times are read from their curves again.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add two columns and correct the times to targets of runs that a target of their own ended."""
    op.add_column("bench_runs", sa.Column("initial_hash", sa.String, nullable=False, server_default=""))
    op.add_column("bench_runs", sa.Column("superseded", sa.Boolean, nullable=False, server_default=sa.false()))
    runs = sa.table("bench_runs", *(sa.column(name, kind) for name, kind in _RUNS.items()))
    curves = sa.table("bench_curves", sa.column("run_id", sa.String), sa.column("points", sa.LargeBinary))
    connection = op.get_bind()
    found = sa.select(runs.c.run_id, runs.c.recipe, runs.c.time_to_targets, curves.c.points)
    for row in connection.execute(found.join_from(runs, curves, runs.c.run_id == curves.c.run_id)).all():
        stop = row.recipe.get("stop_at_accuracy")
        if stop is not None and (times := _corrected(row.time_to_targets, row.points, stop)) != row.time_to_targets:
            changed = sa.update(runs).where(runs.c.run_id == row.run_id).values(time_to_targets=times)
            connection.execute(changed)


_RUNS = {"run_id": sa.String, "recipe": sa.JSON, "time_to_targets": sa.JSON}


def _corrected(times: list[dict[str, Any]], packed: bytes, stop: float) -> list[dict[str, Any]]:
    """Times as they should have been stored: targets up to the one that ended the run were reached at its end."""
    curve = json.loads(zlib.decompress(packed))
    if not curve["val_accuracy"] or curve["probe"][-1] or not curve["val_accuracy"][-1] >= stop:
        return times
    end = {"epochs": curve["epoch"][-1], "images": curve["images"][-1], "seconds": curve["train_seconds"][-1]}
    return [time | end if time["epochs"] is None and time["target"] <= stop else time for time in times]
