"""Everything that runs leave behind, in one database: SQLite beside the reports, or PostgreSQL.

A process opens its own store and closes it. Nothing is cached: what another process stored is seen by the next call.

A PostgreSQL server may restart under an open store. A call that fails only because the connection went is made again
for up to a minute (`database/postgres.py`), which every call may be: doing it twice leaves what doing it once does.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.store.artifacts import Artifacts
from bench.store.database.copied import copied_store
from bench.store.database.database import Database
from bench.store.database.locks import hold
from bench.store.database.postgres import OPENING_SECONDS
from bench.store.runs import Runs
from bench.store.studies import Studies
from bench.system.urls import read_url, store_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

TIMEOUT_SECONDS = 30.0
"""How long a process waits for another one that writes."""


def open_store(
    url: str,
    *,
    create: bool = True,
    timeout_seconds: float = TIMEOUT_SECONDS,
    patience_seconds: float = OPENING_SECONDS,
    whole: bool = False,
) -> Store:
    """Open a store; make its directory and tables, or migrate them in place, where needed.

    Args:
        url: `sqlite:///DIR/bench.db`, or a `postgresql+psycopg://` URL.
        create: False to refuse where there is no store yet, as for reports.
        timeout_seconds: How long to wait for a lock that another process holds.
        patience_seconds: How long to wait for a server that does not answer; one that refuses is not waited for.
        whole: Let SQLite look at all of it first, half a second for thousands of runs, once a command: a damaged index
            hides runs without a word.

    Raises:
        StoreError: It is no database, has a newer schema, cannot be written, is locked, the disk is full, the server
            does not answer or its driver is not installed.
    """
    store = Store(Database(url, create=create, timeout_seconds=timeout_seconds))
    try:
        store.database.prepare(create=create, patience_seconds=patience_seconds, whole=whole)
    except BaseException:
        store.close()
        raise
    return store


@contextlib.contextmanager
def store_to_read(url: str, *, whole: bool = False) -> Iterator[Store]:
    """An open store that nothing is written to: a copy of it where its directory is read-only, as a published one.

    Args:
        url: As of `open_store`.
        whole: Likewise.

    Raises:
        StoreError: There is none, or it cannot be used.
    """
    parsed = read_url(url)
    database = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
    if (
        database is None
        or not database.is_file()
        or all(os.access(each, os.W_OK) for each in (database, database.parent))
    ):
        with open_store(url, create=False, whole=whole) as store:
            yield store
        return
    with copied_store(database) as folder, open_store(store_in(folder), create=False, whole=whole) as store:
        yield store


class Store:
    """An open store. Every call raises StoreError, one line, when the database or its disk fails.

    Attributes:
        place: The file, or the URL without password, for messages.
        runs: Runs with their curves and predictions.
        studies: Which runs a study compares, and how its last check ended.
        artifacts: What is known of nets and datasets, timings and pictures.
    """

    def __init__(self, database: Database) -> None:
        self.database, self.place = database, database.place
        self.runs, self.studies, self.artifacts = Runs(database), Studies(database), Artifacts(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self.database.engine.dispose()

    def hold(self, run_id: str, *, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Keep other processes from training a run; see `bench.store.database.locks.hold`."""
        return hold(self.database, run_id, waiting=waiting)
