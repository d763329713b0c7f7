"""A thresholds file outside any checkout, and one within."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.studies.gate import record
from bench.studies.gate.thresholds import write_thresholds
from tests.bench.studies.gate.baselines import git
from tests.bench.studies.gate.examples import make_reference, make_thresholds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where thresholds belong, outside any checkout; the suite itself lies in none either."""
    monkeypatch.setattr(record, "PROJECT", tmp_path / "suite")
    (tmp_path / "repository").mkdir()
    return tmp_path / "repository" / "thresholds.toml"


@pytest.fixture
def checkout(file: Path) -> Path:
    """A checkout around the file, with nets.py in it."""
    folder = file.parent
    git(folder, "init", "--quiet")
    (folder / "nets.py").write_text("one\n")
    write_thresholds(file, make_thresholds(make_reference("alpha")))
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder
