"""What tests of the store share as a plugin: a `conftest.py` here would have the name of the one above."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from store_examples import store_url

from bench.store.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store."""
    with open_store(store_url(tmp_path)) as opened:
        yield opened
