"""A study that several files of tests look at, as a plugin: `conftest.py` would have every test pay for its imports."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from front_door import SHORT, run, write_tiny


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lenet21k and a net of a user's own, two seeds each, by two worker processes."""
    folder = tmp_path_factory.mktemp("study")
    tiny = write_tiny(folder)
    assert run("--arch", "lenet21k", "--arch", tiny, "--seeds", 2, "--jobs", 2, "--results", folder / "r", *SHORT) == 0
    return folder


@pytest.fixture
def results(study: Path, tmp_path: Path) -> Path:
    """A copy of the study's results that a test may change."""
    return Path(shutil.copytree(study / "r", tmp_path / "r"))
