"""The repository's own gate for people who live in pytest: `python -m pytest -m gate`, one test an architecture.

It trains for minutes on the data of `thresholds.toml`. `BENCH_THRESHOLDS` names another file, `BENCH_GATE_RESULTS` a
directory whose stored runs are reused.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

import runner

pytestmark = pytest.mark.gate

FILE = Path(os.environ.get("BENCH_THRESHOLDS") or Path(runner.__file__).parent / "thresholds.toml")


def references() -> list[str]:
    """Recorded names; none where the file is no good, which the check itself then says."""
    try:
        return sorted(tomllib.loads(FILE.read_text())["architectures"])
    except (OSError, ValueError, KeyError):
        return []


@pytest.fixture(scope="session")
def gate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How the check of every architecture ended, by name."""
    results = Path(os.environ.get("BENCH_GATE_RESULTS") or tmp_path_factory.mktemp("gate"))
    code = runner.main(["--all", "--check", str(FILE), "--results", str(results)])
    assert code in (0, 1), "the gate could not judge; what it printed says why"
    found = json.loads((results / "gate.json").read_text())["architectures"]
    return {judgement["name"]: judgement for judgement in found}


@pytest.mark.parametrize("name", references())
def test_the_architecture_is_not_worse_than_its_references(gate: dict[str, Any], name: str) -> None:
    assert gate[name]["passed"], gate[name]["reason"]


def test_every_architecture_is_watched(gate: dict[str, Any]) -> None:
    assert not {name: judgement["reason"] for name, judgement in gate.items() if name not in references()}
