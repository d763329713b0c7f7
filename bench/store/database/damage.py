"""A store whose bytes are not those that were written: found out, said in one line, and what is left of it read."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bench.core.errors import DamagedStoreError
from bench.core.records import ROLES
from bench.store import schema
from bench.store.codec import load_json, unpack_record
from bench.system.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.core.records import RunRecord


_FAULTS = (sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, OSError)
"""What looking at a damaged database raises; the third is an UnreadableError, and other text that is none."""
_MOST_BYTES = 1 << 36
_MOST_SAID = 90
"""Characters of what SQLite says; it quotes what it found."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Remains:
    """What can still be read of a damaged store."""

    records: tuple[RunRecord, ...]  # that are as they were written
    roles: Mapping[str, str]  # by run id; "compare" where that cannot be read
    lost: int  # how many other runs it seems to hold


def is_damaged(database: Path) -> bool:
    """Whether SQLite, or a look at its tables, finds a database damaged: what failed was then no mistake of ours."""
    try:
        with _opened_copy(database) as connection:
            if connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar() != "ok":
                return True
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                return True
            found = sa.inspect(connection)
            return any(
                {column["name"] for column in found.get_columns(table.name)} < set(table.columns.keys())
                for table in schema.metadata.sorted_tables
            )
    except OSError:
        return False
    except _FAULTS:
        return True


def damaged(place: str, what: str) -> DamagedStoreError:
    """What is wrong with a store, what can still be read of it, and how to save that."""
    what = one_line(what)
    what = what if len(what) <= _MOST_SAID else f"{what[:_MOST_SAID]}…"
    database = Path(place)
    if not database.is_file():  # a server's
        return DamagedStoreError(f"Store {place} is damaged ({what}); restore it from a backup, or choose another.")
    remains = read_remains(database)
    count = len(remains.records)
    total = f" of {count + remains.lost:,}" if remains.lost else ""
    save = f"no run of it can be read by this program: try `sqlite3 {place} .recover`"
    if count:
        save = f"{plural(count, 'run')}{total} can still be read: save them with --export csv"
    return DamagedStoreError(
        f"Store {place} is damaged ({what}); {save}, then choose another directory with --results."
    )


def read_remains(database: Path) -> Remains:
    """The runs of a damaged database that are as they were written, in the order in which they were stored."""
    records, roles, seen = [], {}, set[int]()
    one = sa.select(schema.runs).where(sa.text("rowid = :row"))
    with contextlib.suppress(*_FAULTS), _opened_copy(database, pad=True) as connection:  # what was found by then stays
        connection.exec_driver_sql("PRAGMA writable_schema=ON")  # one table's broken text then hides no other
        seen = _find_rows(connection)
        for row in sorted(seen):
            with contextlib.suppress(*_FAULTS):
                record = unpack_record(connection.execute(one.params(row=row)).one()._asdict())
                records.append(record)
                roles[record.run_id] = _read_role(connection, record)
    return Remains(records=tuple(records), roles=roles, lost=len(seen) - len(records))


@contextlib.contextmanager
def _opened_copy(database: Path, *, pad: bool = False) -> Iterator[sa.Connection]:
    """A copy, so that looking changes nothing; what was not yet moved into the file is copied too."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "bench.db"
        for ending in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{database}{ending}", f"{file}{ending}")
        if pad:
            _pad(file)
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(file)), json_deserializer=load_json)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def _pad(file: Path) -> None:
    """Give a truncated file the length that its header declares: SQLite reads nothing of one that is shorter."""
    with file.open("r+b") as stream:
        header = stream.read(32)
        page, count = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
        wanted = (65_536 if page == 1 else page) * count
        if file.stat().st_size < wanted <= _MOST_BYTES:
            stream.truncate(wanted)


def _find_rows(connection: sa.Connection) -> set[int]:
    """Row ids of runs, from both ends and from an index: where one way is broken, another may go on."""
    found: set[int] = set()
    for way in ("NOT INDEXED", "NOT INDEXED ORDER BY rowid DESC", "ORDER BY machine"):
        with contextlib.suppress(sa.exc.SQLAlchemyError, sqlite3.Error):
            for (row,) in connection.exec_driver_sql(f"SELECT rowid FROM {schema.runs.name} {way}"):  # noqa: S608
                found.add(row)
    return found


def _read_role(connection: sa.Connection, record: RunRecord) -> str:
    links = schema.links.c
    with contextlib.suppress(sa.exc.SQLAlchemyError, sqlite3.Error):
        found = connection.scalars(sa.select(links.role).where(links.request_id == record.request_id)).all()
        if known := [role for role in found if role in ROLES]:
            return str(min(known, key=ROLES.index))
    return "compare"
