"""Studies and references that several files of tests look at, each made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.front_door import SHORT, run, write_tiny
from tests.program.gate_nets import NET


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


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """References of the watched net, eight runs, with their store."""
    folder = tmp_path_factory.mktemp("gate")
    (folder / "net.py").write_text(NET)
    code = run(
        "--arch", folder / "net.py", "--write-thresholds", folder / "t.toml", "--dataset", "mnist5k", "--epochs", 5,
        "--seeds", 8, "--force", "--quiet", "--jobs", 1, "--results", folder / "r",
    )  # fmt: skip
    assert code == 0
    return folder


@pytest.fixture
def place(recorded: Path, tmp_path: Path) -> Path:
    """A copy of the references and their store that a test may change."""
    return Path(shutil.copytree(recorded, tmp_path / "place"))
