"""The database of a store: opened, brought to the present schema, read and written; its faults in one line."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from bench.core.errors import NoStoreError, StoreError, UnreadableError, reason
from bench.store.codec import dump_json, load_json
from bench.store.database.damage import damaged, is_damaged
from bench.store.database.postgres import (
    LOCKED,
    PATIENCE_SECONDS,
    explain_server,
    patiently,
    require_unicode,
    server_arguments,
)
from bench.store.schema import SCHEMA_VERSION, VERSION_TABLE, metadata
from bench.system.files import make_writable_folder
from bench.system.urls import name_place, read_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

Result = TypeVar("Result")

_SCHEMA_LOCK = 0x62656E6368
"""Key of PostgreSQL's advisory lock that lets one process migrate at a time."""
_UNWRITABLE = "cannot be written; fix its permissions or choose another directory with --results."
_SQLITE_FAULTS = {
    "SQLITE_BUSY": LOCKED,
    "SQLITE_PROTOCOL": "was locked by another program; end that program and run the same command again.",
    "SQLITE_FULL": "cannot grow: the disk is full; nothing stored is lost: free some space and run again.",
    "SQLITE_READONLY": _UNWRITABLE,
    "SQLITE_PERM": _UNWRITABLE,
    "SQLITE_CANTOPEN": "cannot be opened for writing; fix the permissions or choose another directory with --results.",
    "SQLITE_NOTADB": "is not a database, or its beginning is damaged; move it away or choose another with --results.",
    "SQLITE_IOERR": "cannot be read or written: the disk failed; check it, then run the same command again.",
}


class Database:
    """The database at a URL, not connected to before it is prepared."""

    def __init__(self, url: str, *, create: bool, timeout_seconds: float) -> None:
        self.place = name_place(url)  # the file, or the URL without password, for messages
        self._timeout_seconds = timeout_seconds
        self.engine = _make_engine(url, place=self.place, create=create, timeout_seconds=timeout_seconds)

    def prepare(self, *, create: bool, patience_seconds: float, whole: bool) -> None:
        """Make or migrate its tables; look at all of it where that is asked for.

        Raises:
            DamagedStoreError: SQLite finds it damaged.
            StoreError: The database cannot be used.
        """
        with self.explained():
            patiently(lambda: _ensure_schema(self, create=create), seconds=patience_seconds)
            if whole and self.engine.dialect.name == "sqlite":
                with self.engine.connect() as connection:
                    said = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
                if said != "ok":
                    raise UnreadableError(str(said))

    def explained(self) -> AbstractContextManager[None]:
        """As the function of that name."""
        return explained(self.place, self._timeout_seconds)

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that writes: on SQLite it waits for its turn before it reads anything.

        One that reads first and then wants to write fails at once when another wrote in between.
        """
        return self.engine.execution_options(bench_writes=True).begin()

    def read(self, work: Callable[[sa.Connection], Result]) -> Result:
        """What the work gives that reads; it is done again when the server restarts meanwhile."""
        return self._do(self.engine.connect, work)

    def write(self, work: Callable[[sa.Connection], Result]) -> Result:
        """What the work gives, done in one transaction; it must leave the same when it is done twice."""
        return self._do(self.begin, work)

    def _do(
        self, connect: Callable[[], AbstractContextManager[sa.Connection]], work: Callable[[sa.Connection], Result]
    ) -> Result:
        def once() -> Result:
            with connect() as connection:
                return work(connection)

        with self.explained():
            return patiently(once, seconds=PATIENCE_SECONDS)


@contextlib.contextmanager
def explained(place: str, timeout_seconds: float) -> Iterator[None]:
    """Turns what a database or its disk says into one line; our own mistakes keep their traceback.

    Raises:
        DamagedStoreError: Its bytes are not those that were written.
        StoreError: The database cannot be used.
    """
    try:
        yield
    except (UnreadableError, UnicodeDecodeError) as error:  # the latter of SQLite's own messages, which quote
        raise damaged(place, str(error)) from error
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        name = getattr(cause, "sqlite_errorname", "")
        if name.startswith("SQLITE_CORRUPT") or "Could not decode to UTF-8" in str(cause):
            raise damaged(place, str(cause)) from error
        for fault, message in _SQLITE_FAULTS.items():
            if name.startswith(fault):
                raise StoreError(f"Store {place} {message.format(seconds=timeout_seconds)}") from error
        if isinstance(error, DBAPIError) and not isinstance(cause, sqlite3.Error):
            explain_server(error, place, timeout_seconds)
        elif is_damaged(Path(place)):
            raise damaged(place, str(cause)) from error
        raise


def _make_engine(url: str, *, place: str, create: bool, timeout_seconds: float) -> sa.Engine:
    parsed = read_url(url)
    dialect = parsed.get_backend_name()
    try:
        if dialect == "sqlite":
            if parsed.database and parsed.database != ":memory:":
                if not create:
                    _require_file(Path(parsed.database))
                make_writable_folder(Path(parsed.database).parent)
            arguments: dict[str, Any] = {"timeout": timeout_seconds}
        else:
            arguments = server_arguments(parsed, timeout_seconds)
        engine = sa.create_engine(
            parsed,
            connect_args=arguments,
            json_serializer=dump_json,
            # Thousands of runs share an environment.
            json_deserializer=functools.lru_cache(maxsize=64)(functools.partial(_load_json, place)),
            pool_pre_ping=dialect != "sqlite",  # a server can restart
        )
    except (ArgumentError, NoSuchModuleError):
        raise StoreError(f"Store '{place}' is no database URL; write sqlite:///DIR/bench.db, say.") from None
    except ModuleNotFoundError as missing:
        raise StoreError(
            f"Store {place} needs the package '{missing.name}', which is not installed; "
            "pip install 'psycopg[binary]' and write postgresql+psycopg://…"
        ) from None
    if dialect == "sqlite":
        sa.event.listen(engine, "connect", functools.partial(_set_up_sqlite, place, timeout_seconds))
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _load_json(place: str, text: str) -> Any:
    """JSON of a store, which is named here: with two stores open, a fault must not be laid to the other."""
    try:
        return load_json(text)
    except UnreadableError as fault:
        raise damaged(place, str(fault)) from fault


def _require_file(database: Path) -> None:
    """Raises StoreError unless the database is there: NoStoreError where one could be made."""
    try:
        if database.exists():
            return
        files = [place for place in database.parents if place.is_file()]
    except OSError as error:
        raise StoreError(f"Store {database} cannot be read ({reason(error)}); name another with --results.") from error
    if files:
        raise StoreError(f"'{files[0]}' is a file, and a results directory is wanted; name one with --results.")
    raise NoStoreError(
        f"No store at {database}; train something first, or name its directory with --results, its URL with --store."
    )


def _set_up_sqlite(place: str, timeout_seconds: float, connection: Any, _record: object) -> None:
    """Write-ahead log: readers and one writer at a time get along, in a fifth of the time that the journal takes.

    `synchronous=FULL` costs one flush a run and keeps a stored run even when the power fails; NORMAL might lose it.
    """
    _refuse_foreign(place, connection)  # before the first pragma that changes the file
    connection.isolation_level = None  # transactions begin when we say so, see _begin_sqlite
    connection.execute("PRAGMA foreign_keys=ON")
    _keep_ahead(connection, timeout_seconds)
    connection.execute("PRAGMA synchronous=FULL")


def _keep_ahead(connection: Any, timeout_seconds: float) -> None:
    """Switch to the write-ahead log; SQLite does not wait for this by itself when several processes make one store."""
    ends = time.monotonic() + timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > ends:
                raise
            time.sleep(0.05)
        else:
            return


def _refuse_foreign(place: str, connection: Any) -> None:
    """Raises StoreError when a file holds tables and none is ours: it belongs to another program."""
    names = [name for (name,) in connection.execute("SELECT tbl_name FROM sqlite_master ORDER BY rowid")]
    others = [name for name in names if not name.startswith("sqlite_")]
    if others and VERSION_TABLE not in others:
        connection.close()
        if any(name in metadata.tables for name in others):
            raise damaged(place, f"it has no table '{VERSION_TABLE}'")
        raise StoreError(
            f"Store {place} is the database of another program (it has a table '{others[0]}'); "
            "move it away or choose another directory with --results."
        )


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("bench_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _ensure_schema(database: Database, *, create: bool) -> None:
    with database.engine.connect() as connection:
        version = _schema_version(connection)
    if version == SCHEMA_VERSION:
        return
    place = database.place
    if version is None and not create:
        raise NoStoreError(f"Store {place} holds no results; train something first, or name another with --results.")
    from bench.store.migrations import migrate  # noqa: PLC0415 - Alembic costs a fifth of a second to import

    with database.begin() as connection:
        if connection.dialect.name == "postgresql":
            require_unicode(connection, place)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
        try:
            migrate(connection, place=place, version=_schema_version(connection))  # another may have been here first
        except DBAPIError as error:
            if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_ERROR":  # a table that is there, or is not
                raise UnreadableError("its tables are not those of its version") from error
            raise


def _schema_version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return version
