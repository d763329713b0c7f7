"""One runner at a time trains a run: a lock by its id that goes away with the process that holds it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.exc import DBAPIError

from bench.core.errors import StoreError, reason
from bench.store.database.postgres import PATIENCE_SECONDS, patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.store.database.database import Database

    Release = Callable[[], object]

_POLL_SECONDS = 0.5


@contextlib.contextmanager
def hold(database: Database, run_id: str, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a run's lock; wait while another process has it.

    On SQLite, which wants one host, it is a lock of the operating system on a file beside the database; on PostgreSQL
    an advisory lock of a connection of its own. Both end when the process does, whatever killed it; a server that
    restarts lets go of all, and then the store's unique attempts keep a run from being stored twice. A server that is
    away when the lock is asked for is waited for like by every call of the store (`bench.store.database.postgres`).

    While another process holds it `waiting` is called twice a second; what that raises ends the waiting.

    Raises:
        StoreError: The lock cannot be made.
    """
    url = database.engine.url
    if url.get_backend_name() == "postgresql":
        key = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], signed=True)
        take = functools.partial(_take_on_server, database.engine, key)
    elif url.database and url.database != ":memory:":
        take = functools.partial(_take_file, FileLock(Path(f"{url.database}.locks") / run_id))
    else:
        yield
        return
    with database.explained():
        while (release := take()) is None:
            waiting()
    try:
        yield
    finally:
        release()


def _take_file(lock: FileLock) -> Release | None:
    """What lets go of the lock; None while another process has it."""
    folder = Path(lock.lock_file).parent
    try:
        folder.mkdir(exist_ok=True)
        lock.acquire(timeout=_POLL_SECONDS)
    except Timeout:
        return None
    except OSError as error:
        raise StoreError(f"No lock can be made in {folder} ({reason(error)}); choose another --results.") from error
    return lock.release


def _take_on_server(engine: sa.Engine, key: int) -> Release | None:
    """The same; the lock goes with its connection, which is closed."""
    connection = patiently(lambda: _locked(engine, key), seconds=PATIENCE_SECONDS)
    if connection is None:
        time.sleep(_POLL_SECONDS)
        return None

    def release() -> None:
        # A server that went away has let go of it already; what was trained must still be stored.
        with contextlib.suppress(DBAPIError):
            connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
        with contextlib.suppress(DBAPIError):
            connection.close()

    return release


def _locked(engine: sa.Engine, key: int) -> sa.Connection | None:
    """A connection that holds the lock; None while another has it."""
    connection = engine.connect()
    try:
        connection.execution_options(isolation_level="AUTOCOMMIT")  # no transaction stays open for hours
        if connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))):
            connection.detach()  # not to be used again: were unlocking to fail, the pool would keep the lock
            return connection
    except BaseException:
        connection.invalidate()
        connection.close()
        raise
    connection.close()
    return None
