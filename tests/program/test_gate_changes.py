"""The gate from the command line, on the embedded data: changes that hurt, and changes that do not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runner
from tests.front_door import run
from tests.program.gate_nets import DROPOUT, FORGOTTEN_RELU, LABEL_NOISE, SAME, WIDER, check, judgement, one_line

PROJECT = Path(runner.__file__).parent


def test_what_was_recorded_passes_without_training(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (place / "r" / "runs.csv").read_text()
    assert check(place) == 0
    assert "1 of 1 architecture passed" in capsys.readouterr().out
    assert (place / "r" / "runs.csv").read_text() == before
    assert judgement(place / "r")["seeds"] == [20000, 20001, 20002]


@pytest.mark.parametrize(
    ("net", "name"),
    [(DROPOUT, "dropout"), (FORGOTTEN_RELU, "relu"), (LABEL_NOISE, "labels")],
    ids=["dropout", "relu", "labels"],
)
def test_a_change_that_hurts_fails_and_is_named(
    place: Path, net: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "net.py").write_text(net)
    assert check(place) == 1, name
    said = one_line(capsys.readouterr().out)
    assert "The gate FAILED: 0 of 1 architecture passed." in said
    assert "watched: First seeds: mean" in said
    found = judgement(place / "r")
    assert not found["passed"]
    stages = found["stages"]
    assert isinstance(stages, list)
    assert [len(stage["seeds"]) for stage in stages] == [3, 6]
    assert all(stage["mean"] < found["limit"] for stage in stages)


def test_a_rewrite_that_computes_the_same_passes(place: Path) -> None:
    assert check(place) == 0
    before = judgement(place / "r")
    (place / "net.py").write_text(SAME)
    assert check(place) == 0
    assert judgement(place / "r") == before, "the same numbers, trained again"
    rows = (place / "r" / "runs.csv").read_text()
    assert len(set(re.findall(r"watched,([0-9a-f]{16}),", rows))) == 2, "references of one file, checks of the next"


def test_a_change_outside_net_and_engine_trains_nothing(place: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for room in ("bench", "architectures", "reports"):
        shutil.copytree(PROJECT / room, project / room)
    shutil.copy(PROJECT / "runner.py", project)
    for edited in (project / "reports" / "cells.py", project / "bench" / "studies" / "gate" / "judge.py"):
        edited.write_text(edited.read_text() + "\n# a change\n")
    answer = subprocess.run(
        [sys.executable, "runner.py", "--arch", place / "net.py", "--check", place / "t.toml", "--results",
         place / "r"],
        cwd=project, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(project)},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "0 runs to train, 3 stored already." in answer.stdout


def test_recording_again_keeps_floors_and_the_history(place: Path) -> None:
    file = place / "t.toml"
    file.write_text(file.read_text() + "\n[architectures.watched.floors]\naccuracy = 0.5  # agreed in spring\n")
    (place / "net.py").write_text(WIDER)
    words = ("--arch", place / "net.py", "--write-thresholds", file, "--seeds", 6, "--force", "--quiet", "--jobs", 1)
    assert run(*words, "--results", place / "r") == 0
    text = file.read_text()
    assert "accuracy = 0.5  # agreed in spring" in text
    assert text.count("[[architectures.watched.history]]") == 1
    assert re.findall(r"(?m)^params = (\d+)$", text) == ["55975", "55050"]
    assert check(place) == 0
