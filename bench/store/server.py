"""What only a PostgreSQL server needs: how it is connected to, what it must be able to keep, its faults in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, OperationalError

from bench.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

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
    """What psycopg is told beside the URL; what the URL says itself counts.

    Args:
        url: Of a PostgreSQL database.
        timeout_seconds: How long to wait for a lock that another process holds.
    """
    settings = {"lock_timeout": int(timeout_seconds * 1000)} | _NOTICES_DEAD_CLIENTS
    options = " ".join(
        (*(f"-c {name}={value}" for name, value in settings.items()), _text(url.query.get("options", "")))
    )
    defaults: dict[str, Any] = {"connect_timeout": 10, "client_encoding": "utf8"} | _LONG_CONNECTION
    return {name: value for name, value in defaults.items() if name not in url.query} | {"options": options.strip()}


def _text(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else " ".join(value)


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
