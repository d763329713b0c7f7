"""A throw-away PostgreSQL server for tests: loopback only, in a temporary directory, gone at the end."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import URL

if TYPE_CHECKING:
    from collections.abc import Sequence

USER, PASSWORD = "bench", "se:cr@t/%word"
_ACCOUNTS = ("postgres", "nobody")
"""Who runs the server when the tests run as root, which PostgreSQL refuses to do."""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # a killed server loses nothing by it, only a machine without power would
    "max_connections": "60",
    "shared_buffers": "64MB",
}


class PostgresServer:
    """A server in a directory of its own.

    Attributes:
        port: Where it listens on 127.0.0.1; the same after every start.
        running: Whether it was started and not stopped.
    """

    def __init__(self) -> None:
        self.port, self.running = _free_port(), False
        self._programs = find_programs()
        self._account = next((name for name in _ACCOUNTS if os.getuid() == 0 and _has_account(name)), None)
        self._folder = Path(tempfile.mkdtemp(prefix="bench-pg-"))  # short: a socket's path may have 107 characters
        self._data, self._numbers = self._folder / "data", itertools.count()
        if self._account is not None:
            shutil.chown(self._folder, self._account)
        try:
            self._initialise()
        except BaseException:
            self.remove()
            raise

    def _initialise(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if self._account is not None:
            shutil.chown(secret, self._account)
        locale = ("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        access = (f"--username={USER}", f"--pwfile={secret}", "--auth=scram-sha-256")
        self._run("initdb", "-D", self._data, *locale, *access)
        settings = _SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self._folder)}
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._run("pg_ctl", "start", "-w", "-t", "60", "-D", self._data, "-l", self._folder / "log")
        self.running = True

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "fast" ends every connection, "immediate" is a crash."""
        self._run("pg_ctl", "stop", "-w", "-t", "60", "-m", mode, "-D", self._data)
        self.running = False

    def restart(self, mode: str = "fast") -> None:
        """Stop and start."""
        self.stop(mode)
        self.start()

    def remove(self) -> None:
        """Stop it, whatever it does, and delete all of it."""
        if (self._data / "postmaster.pid").exists():
            with contextlib.suppress(RuntimeError):
                self.stop("immediate")
        shutil.rmtree(self._folder)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD, **query: str) -> str:
        """The URL of a database."""
        place = {"host": "127.0.0.1", "port": self.port, "database": database, "query": query}
        url = URL.create("postgresql+psycopg", username=user, password=password, **place)  # type: ignore[arg-type]
        return url.render_as_string(hide_password=False)

    def make_database(self, options: str = "") -> str:
        """Make an empty database; its URL."""
        name = f"bench_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    def execute(self, statement: str, *values: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """What a statement gives in a database, past the store."""
        address = f"host=127.0.0.1 port={self.port} user={USER} dbname={database}"
        with psycopg.connect(address, password=PASSWORD, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *words: str | Path) -> None:
        """Raises RuntimeError when the program fails."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
        with (self._folder / f"{program}.out").open("w+") as said:  # no pipe: the server would keep it open
            done = subprocess.run(
                [self._programs / program, *words], cwd=self._folder, env=environment, user=self._account, check=False,
                group=self._account and _group(self._account), extra_groups=[] if self._account else None,
                stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip
            if done.returncode:
                said.seek(0)
                log = self._folder / "log"
                raise RuntimeError(f"{program}: {said.read()}\n{log.read_text() if log.exists() else ''}")


def find_programs() -> Path:
    """The directory of PostgreSQL's programs, the newest where there are several."""
    found = shutil.which("pg_ctl")
    places: Sequence[Path] = [Path(found).resolve().parent] if found else []
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    places = [*places, *sorted(debian, key=lambda place: float(place.parent.name), reverse=True)]
    for place in places:
        if all((place / program).exists() for program in ("initdb", "pg_ctl", "postgres")):
            return place
    pytest.fail("PostgreSQL's initdb and pg_ctl are not here; install them (apt-get install postgresql) and run again.")


def _has_account(name: str) -> bool:
    import pwd

    return name in (entry.pw_name for entry in pwd.getpwall())


def _group(account: str) -> int:
    import pwd

    return pwd.getpwnam(account).pw_gid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
