"""One runner at a time trains a run: a lock by its id that goes away with the process that holds it."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.exc import DBAPIError

from bench.core.errors import StoreError, reason
from bench.store.postgres import PATIENCE_SECONDS, patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from filelock import BaseFileLock

_POLL_SECONDS = 0.5


@contextlib.contextmanager
def hold(engine: sa.Engine, run_id: str, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a run's lock; wait while another process has it.

    On SQLite, which wants one host, it is a lock of the operating system on a file beside the database; on PostgreSQL
    an advisory lock of a connection of its own. Both end when the process does, whatever killed it; a server that
    restarts lets go of all, and then the store's unique attempts keep a run from being stored twice. A server that is
    away when the lock is asked for is waited for like by every call of the store (`bench.store.postgres`).

    Args:
        engine: The store's database.
        run_id: The run.
        waiting: Called twice a second while another process holds it; what it raises ends the waiting.

    Raises:
        StoreError: The lock cannot be made.
    """
    if engine.dialect.name == "postgresql":
        with _advisory_lock(engine, run_id, waiting):
            yield
        return
    database = engine.url.database
    if not database or database == ":memory:":
        yield
        return
    lock = _file_lock(Path(f"{database}.locks") / run_id, waiting)
    try:
        yield
    finally:
        lock.release()


def _file_lock(path: Path, waiting: Callable[[], None]) -> BaseFileLock:
    lock = FileLock(path)
    while not _acquired(lock):
        waiting()  # outside of what is caught: it may raise an OSError of its own
    return lock


def _acquired(lock: BaseFileLock) -> bool:
    folder = Path(lock.lock_file).parent
    try:
        folder.mkdir(exist_ok=True)
        lock.acquire(timeout=_POLL_SECONDS)
    except Timeout:
        return False
    except OSError as error:
        raise StoreError(f"No lock can be made in {folder} ({reason(error)}); choose another --results.") from error
    return True


@contextlib.contextmanager
def _advisory_lock(engine: sa.Engine, run_id: str, waiting: Callable[[], None]) -> Iterator[None]:
    key = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], signed=True)
    while (connection := patiently(lambda: _locked(engine, key), seconds=PATIENCE_SECONDS)) is None:
        waiting()
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        # A server that went away has let go of it already; what was trained must still be stored.
        with contextlib.suppress(DBAPIError):
            connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
        with contextlib.suppress(DBAPIError):
            connection.close()


def _locked(engine: sa.Engine, key: int) -> sa.Connection | None:
    """A connection that holds the lock and ends when it is closed; None while another has it."""
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
