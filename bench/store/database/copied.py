"""A database of SQLite copied whole, so that one that is not ours, or is read-only, can be opened as ours are."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import NoStoreError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def copied_store(results: Path) -> Iterator[Path]:
    """A temporary results directory that holds a copy of the database of another one, which may be read-only.

    Raises:
        StoreError: There is none, or it cannot be read.
    """
    database = results / "bench.db"
    if not database.is_file():
        raise NoStoreError(f"No store at {database}; name a results directory that has one.")
    with tempfile.TemporaryDirectory() as name:
        try:
            _copy(database, Path(name) / "bench.db", how="mode=ro")
        except sqlite3.Error:
            try:  # where it cannot make the files of its log, and so nobody else writes either
                _copy(database, Path(name) / "bench.db", how="immutable=1")
            except sqlite3.Error as fault:
                raise StoreError(f"Store {database} cannot be read ({fault}); name another directory.") from fault
        yield Path(name)


def _copy(database: Path, to: Path, *, how: str) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?{how}", uri=True)) as source,
        contextlib.closing(sqlite3.connect(to)) as copy,
    ):
        source.backup(copy)
