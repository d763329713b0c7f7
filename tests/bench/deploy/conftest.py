"""Results that many tests of this folder look at, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bench.deploy.stored import make_results


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory with two nets whose answers are known."""
    return make_results(tmp_path_factory.mktemp("known"))


@pytest.fixture
def results(known: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(known, tmp_path / "results"))
