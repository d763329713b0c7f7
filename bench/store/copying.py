"""A copy of another directory's database, to be read without changing it."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import NoStoreError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def copied_store(results: Path) -> Iterator[Path]:
    """A temporary results directory that holds a copy of the database of another one.

    Args:
        results: The other results directory, with a `bench.db`.

    Raises:
        StoreError: There is none, or it cannot be read.
    """
    database = results / "bench.db"
    if not database.is_file():
        raise NoStoreError(f"No store at {database}; name a results directory that has one.")
    with tempfile.TemporaryDirectory() as name:
        try:
            with (
                contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as source,
                contextlib.closing(sqlite3.connect(Path(name) / "bench.db")) as copy,
            ):
                source.backup(copy)
        except sqlite3.Error as fault:
            raise StoreError(f"Store {database} cannot be read ({fault}); name another directory.") from fault
        yield Path(name)
