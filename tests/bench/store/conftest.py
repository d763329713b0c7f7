"""The store that tests are given, and results directories to be merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.store.store import Store, open_store
from tests.bench.store.examples import store_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.cluster)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A new store in a file, and the same test again with one on a server."""
    with open_store(store_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("url")) as opened:
        yield opened


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return tmp_path / "other"
