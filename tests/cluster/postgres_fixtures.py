"""A server for a whole session of tests and a new database for each, as a plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def _only_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def server(_only_server: PostgresServer) -> PostgresServer:
    """The server, running also when the test before stopped it."""
    if not _only_server.running:
        _only_server.start()
    return _only_server


@pytest.fixture
def url(server: PostgresServer) -> str:
    """A new database."""
    return server.make_database()
