"""Runs of another net: the same source may build something else when a helper, data or the environment changes.

Such runs are kept and no longer count for their request, in no study; they count again when the net is what it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.facts import are_unlike_places, is_other_net
from bench.store.queries import chunks
from bench.store.schema import runs

if TYPE_CHECKING:
    from bench.facts import ArchitectureFacts


def write_superseded(
    connection: sa.Connection, facts: ArchitectureFacts, *, torch_version: str, engine_version: int
) -> int:
    """Supersede the runs that share a net's source and are not of that net, and let its own count again.

    Args:
        connection: The database, in a transaction that writes.
        facts: The net as it was counted just now.
        torch_version: Of the runs that could count for a request of today; older ones never could.
        engine_version: The same.

    Returns:
        How many are superseded that were not before.
    """
    of_source = (
        (runs.c.architecture_hash == facts.architecture_hash)
        & (runs.c.torch_version == torch_version)
        & (runs.c.engine_version == engine_version)
    )
    known = sa.select(runs.c.run_id, runs.c.params, runs.c.macs, runs.c.initial_hash, runs.c.superseded)
    rows = connection.execute(known.where(of_source)).all()
    others = {row.run_id for row in rows if is_other_net(row, facts)}
    changed = {
        row.run_id: row.run_id in others
        for row in rows
        if row.superseded != (row.run_id in others)
        and not (row.superseded and are_unlike_places(row.initial_hash, facts.initial_hash))  # nothing new is known
    }
    for superseded in (True, False):
        for chunk in chunks(run_id for run_id, now in changed.items() if now is superseded):
            connection.execute(sa.update(runs).where(runs.c.run_id.in_(chunk)).values(superseded=superseded))
    return sum(changed.values())
