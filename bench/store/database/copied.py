"""A database of SQLite copied whole, so that one that is not ours, or is read-only, can be opened as ours are."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import NoStoreError, StoreError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator


_CANNOT_OPEN = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY", "SQLITE_READONLY_CANTINIT")


@contextlib.contextmanager
def copied_store(database: Path) -> Iterator[Path]:
    """A temporary results directory that holds a copy of a database, whose own directory may be read-only.

    Args:
        database: Its file.

    Raises:
        StoreError: There is none, or it cannot be read.
    """
    if not database.is_file():
        raise NoStoreError(f"No store at {database}; name a results directory that has one.")
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "bench.db"
        try:
            with (
                contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as source,
                contextlib.closing(sqlite3.connect(copy)) as made,
            ):
                source.backup(made)
        except sqlite3.Error as fault:
            if fault.sqlite_errorname not in _CANNOT_OPEN:
                raise StoreError(f"Store {database} cannot be read ({fault}); name another directory.") from fault
            _copy_files(database, copy)
        yield Path(name)


def _copy_files(database: Path, copy: Path) -> None:
    """Copy a database whose log cannot be opened where it lies, and its log, which is read when the copy is opened."""
    copy.unlink(missing_ok=True)
    try:
        for ending in ("-wal", ""):
            part = database.with_name(f"{database.name}{ending}")
            if part.is_file():
                shutil.copyfile(part, copy.with_name(f"{copy.name}{ending}"))
    except OSError as fault:
        raise StoreError(f"Store {database} cannot be read ({reason(fault)}); name another directory.") from fault
