"""References of a watched net, recorded once for several files of tests, as a plugin."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from front_door import run
from gate_nets import NET


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
    """A copy of all that a test may change."""
    return Path(shutil.copytree(recorded, tmp_path / "place"))
