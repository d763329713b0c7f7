"""How the last check of a study by the gate ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.gate.outcome import GateOutcome
from bench.store.queries import insert
from bench.store.schema import gates, studies
from bench.store.sealing import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_gate(connection: sa.Connection, name: str, outcome: GateOutcome) -> None:
    """Keep an outcome in place of the study's one before.

    Args:
        connection: The database, in a transaction that writes.
        name: Name of a study that there is.
        outcome: How its check ended.
    """
    study_id = connection.execute(sa.select(studies.c.study_id).where(studies.c.name == name)).scalar_one()
    new = insert(connection, gates)
    renewed = new.on_conflict_do_update(index_elements=["study_id"], set_={"outcome": new.excluded.outcome})
    connection.execute(renewed, {"study_id": study_id, "outcome": outcome.to_json()})


def delete_gate(connection: sa.Connection, name: str) -> None:
    """Forget the outcome of a study that there may be."""
    ids = sa.select(studies.c.study_id).where(studies.c.name == name)
    connection.execute(sa.delete(gates).where(gates.c.study_id.in_(ids)))


def read_gate(connection: sa.Connection, study_id: int) -> GateOutcome | None:
    """How the last check of a study ended; None when it was never checked."""
    stored = connection.scalar(sa.select(gates.c.outcome).where(gates.c.study_id == study_id))
    with unreadable("how a check ended"):
        return None if stored is None else GateOutcome.from_json(stored)


def unite_gates(here: sa.Connection, other: sa.Connection, study_ids: Mapping[int, int]) -> None:
    """Bring over how studies were checked that HERE has not checked.

    Args:
        here: The store that grows, in a transaction that writes.
        other: The other one.
        study_ids: Id here of each of the other's studies.
    """
    for gate in other.execute(sa.select(gates)):
        row = {"study_id": study_ids[gate.study_id], "outcome": gate.outcome}
        here.execute(insert(here, gates).on_conflict_do_nothing(), row)
