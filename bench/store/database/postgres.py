"""What only a PostgreSQL server needs: how it is connected to, its faults in words, and patience while it restarts."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from bench.core.errors import StoreError

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
    """What some work in a database gives; it is done again, after growing pauses, while the server's connection fails.

    The work connects, does it and commits. A commit whose answer was lost may have happened: only what can be done
    twice may be given here. After so long the fault is raised as it is, one that is not the connection's at once.
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


LOCKED = "was locked by another program for {seconds:g} s; end that program and run the same command again."
"""How the message about a store goes on that another program kept to itself."""
_REFUSED = ("42501", "25006", "53100", "3F000")
"""PostgreSQL: insufficient privilege, read-only transaction, disk full, no such schema."""
_LOCK_TIMEOUT = "55P03"
"""PostgreSQL: the lock timeout was reached."""
_LONG_CONNECTION = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 6, "tcp_user_timeout": 60_000}
"""libpq's settings for a connection that is silent while a run trains: routers forget it, dead servers say nothing."""

_NOTICES_DEAD_CLIENTS = {"tcp_keepalives_idle": 60, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 6}
"""The server's settings for the same: a host that vanished lets go of its locks in two minutes, not in two hours."""


def server_arguments(url: sa.URL, timeout_seconds: float) -> dict[str, Any]:
    """What psycopg is told beside the URL; what the URL says itself counts."""
    settings = {"lock_timeout": int(timeout_seconds * 1000)} | _NOTICES_DEAD_CLIENTS
    own = url.normalized_query.get("options", ())
    options = " ".join((*(f"-c {name}={value}" for name, value in settings.items()), *own))
    defaults: dict[str, Any] = {"connect_timeout": 10, "client_encoding": "utf8"} | _LONG_CONNECTION
    return {name: value for name, value in defaults.items() if name not in url.query} | {"options": options}


def explain_server(error: DBAPIError, place: str, timeout_seconds: float) -> None:
    """Says in one line what a server says; our own mistakes pass.

    Raises:
        StoreError: The fault is the server's: its state, its rights, the way to it.
    """
    state = getattr(error.orig, "sqlstate", None)
    if state == _LOCK_TIMEOUT:
        raise StoreError(f"Store {place} {LOCKED.format(seconds=timeout_seconds)}") from error
    unconnected = error.statement is None and state is None  # a wrong option in the URL is a ProgrammingError
    if unconnected or isinstance(error, OperationalError | InterfaceError) or state in _REFUSED:
        said = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise StoreError(f"Store {place}: {said[0]}; check the server and the URL, then run again.") from error


def require_unicode(connection: sa.Connection, place: str) -> None:
    """Refuse a database that cannot hold every name.

    Raises:
        StoreError: Its encoding is not UTF-8.
    """
    encoding = connection.scalar(sa.text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise StoreError(
            f"Store {place} is in encoding {encoding}, and names can hold any character; "
            "make another database: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )
