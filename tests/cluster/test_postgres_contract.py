"""What is true of a store on SQLite is true on PostgreSQL: the same tests, given a store on a server."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
import test_store
import test_store_pictures
import test_store_studies

from bench.store.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["postgres_fixtures"]
pytestmark = pytest.mark.cluster

for module in (test_store, test_store_pictures, test_store_studies):
    for name, function in vars(module).items():
        needs = inspect.signature(function).parameters if name.startswith("test_") else {}
        if "store" in needs and "tmp_path" not in needs:  # what looks into the file is SQLite's own
            assert name not in globals(), f"two tests are called {name}"
            globals()[name] = function


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A new store on the server, in place of the one in a file."""
    with open_store(url) as opened:
        yield opened


def test_the_contract_is_not_empty() -> None:
    assert sum(name.startswith("test_") for name in globals()) > 40
