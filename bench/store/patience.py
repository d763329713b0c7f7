"""Waits for a database server that restarts: what fails only because the connection went is tried again."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

PATIENCE_SECONDS = 60.0
"""How long a call goes on trying: a server that is updated or recovers from a crash is back within a minute."""
OPENING_SECONDS = 10.0
"""The same for opening a store, where a server that does not answer is as likely a wrong URL."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0

_PASSING = ("starting up", "shutting down", "recovery mode", "not yet accepting connections", "too many clients")
"""What a server that will soon answer says as it refuses a connection; libpq hands on no code for it."""


def patiently(work: Callable[[], Result], *, seconds: float) -> Result:
    """Do something in a database; again, after growing pauses, while the connection to its server fails.

    A commit whose answer was lost may have happened: only what can be done twice may be given here.

    Args:
        work: Connects, does it and commits; from its beginning each time.
        seconds: After so long the fault is raised as it is. One that is not the connection's is raised at once.

    Returns:
        What the work gives.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return work()
        except DBAPIError as fault:
            left = deadline - time.monotonic()
            if left <= 0 or not lost_connection(fault):
                raise
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def lost_connection(fault: DBAPIError) -> bool:
    """Whether a connection broke or could not be made, for a reason that may pass; never so on SQLite."""
    if isinstance(fault.orig, sqlite3.Error):
        return False
    if fault.connection_invalidated:
        return True
    if fault.statement is not None or not isinstance(fault, OperationalError):
        return False
    said = str(fault.orig)
    return "FATAL" not in said or any(words in said for words in _PASSING)
