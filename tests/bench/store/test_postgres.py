"""A lost connection is tried again with growing pauses for a minute; everything else is raised at once."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

from bench.store.database.postgres import lost_connection, patiently

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were made, on a clock that nothing else moves."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    monkeypatch.setattr(time, "monotonic", lambda: sum(made))
    return made


def refused(said: str = "connection refused") -> DBAPIError:
    """How SQLAlchemy says that no connection could be made."""
    return OperationalError(None, None, RuntimeError(said))


def failing(times: int, fault: Exception) -> Callable[[], int]:
    """Fails so often, then gives the number of tries."""
    tries = []

    def work() -> int:
        tries.append(1)
        if len(tries) <= times:
            raise fault
        return len(tries)

    return work


def test_pauses_double_to_five_seconds_and_end_after_a_minute(pauses: list[float]) -> None:
    with pytest.raises(OperationalError, match="connection refused"):
        patiently(failing(1_000, refused()), seconds=60.0)
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, *[5.0] * 10, 3.7])


def test_what_works_at_the_third_try_is_given(pauses: list[float]) -> None:
    assert patiently(failing(2, refused()), seconds=60.0) == 3
    assert pauses == [0.1, 0.2]


def test_without_patience_nothing_is_tried_twice(pauses: list[float]) -> None:
    with pytest.raises(OperationalError):
        patiently(failing(1, refused()), seconds=0.0)
    assert pauses == []


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (refused(), True),
        (refused("FATAL:  the database system is starting up"), True),
        (refused("FATAL:  the database system is in recovery mode"), True),
        (refused("FATAL:  sorry, too many clients already"), True),
        (refused('FATAL:  password authentication failed for user "me"'), False),
        (refused('FATAL:  database "x" does not exist'), False),
        (OperationalError("SELECT 1", {}, RuntimeError("terminated"), connection_invalidated=True), True),
        (OperationalError("SELECT 1", {}, RuntimeError("deadlock detected")), False),
        (IntegrityError("INSERT", {}, RuntimeError("unique")), False),
        (ProgrammingError("SELECT 1", {}, RuntimeError("permission denied")), False),
        (ProgrammingError(None, None, RuntimeError("invalid connection option")), False),
        (OperationalError(None, None, sqlite3.OperationalError("unable to open database file")), False),
    ],
    ids=str,
)
def test_only_a_lost_connection_may_pass(fault: DBAPIError, lost: bool, pauses: list[float]) -> None:  # noqa: FBT001
    assert lost_connection(fault) == lost
    if not lost:
        with pytest.raises(DBAPIError):
            patiently(failing(1, fault), seconds=60.0)
        assert pauses == []
