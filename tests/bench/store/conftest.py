"""The store that tests are given: one in a file, and the same test again with one on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from store_examples import store_url

from bench.store.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest_plugins = ["postgres_fixtures"]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.cluster)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A new store."""
    with open_store(store_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("url")) as opened:
        yield opened
