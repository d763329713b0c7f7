"""The gate from the command line, on the embedded data: changes that hurt, changes that do not, and what is broken."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runner

PROJECT = Path(runner.__file__).parent

NET = '''
"""A net that a team watches."""
import torch
from torch import nn
from bench.spec import Architecture

class Watched(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, images):
        return self.stages(images)

ARCHITECTURE = Architecture(name="watched", build=Watched)
'''

DROPOUT = NET.replace("nn.Linear(64, 10)", "nn.Dropout(0.95), nn.Linear(64, 10)")
FORGOTTEN_RELU = NET.replace("nn.ReLU(), ", "")
LABEL_NOISE = NET.replace(
    "return self.stages(images)",
    """logits = self.stages(images)
        if self.training:  # half of the images are taught as another class
            taught = torch.arange(len(logits), device=logits.device)[:, None] % 2 == 0
            logits = torch.where(taught, logits, logits.roll(1, dims=1))
        return logits""",
)
SAME = NET.replace("return self.stages(images)", "logits = self.stages(images)\n        return logits")
WIDER = NET.replace("64", "65")
NO_MEMORY = NET.replace(
    "return self.stages",
    "if self.training and len(images) > 100:\n            raise MemoryError\n        return self.stages",
)
DIVERGES = NET.replace(
    "return self.stages(images)", "return self.stages(images) * (float('nan') if self.training else 1.0)"
)
CRASHES = NET.replace(
    "return self.stages(images)", "assert not self.training or len(images) < 100\n        return self.stages(images)"
)


def run(*words: object) -> int:
    return runner.main([str(word) for word in words])


def judgement(results: Path) -> dict[str, object]:
    (found,) = json.loads((results / "gate.json").read_text())["architectures"]
    assert found["name"] == "watched"
    return dict(found)


@pytest.fixture(scope="module")
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


def check(place: Path, *words: object) -> int:
    where = ("--results", place / "r", "--jobs", 1, "--quiet")
    return run("--arch", place / "net.py", "--check", place / "t.toml", *where, *words)


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
    said = " ".join(capsys.readouterr().out.split())
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


@pytest.mark.parametrize(
    ("net", "code", "reason"),
    [
        (WIDER, 1, "parameters 55,050 → "),
        (DIVERGES, 1, "watched: Seed 20000 diverged: The loss"),
        (CRASHES, 1, "watched: Seed 20000 failed: AssertionError"),
        (NO_MEMORY, 2, "the machine is at fault: seed 20000 failed: Out of memory"),
    ],
    ids=["other counts", "nan", "crash", "no memory"],
)
def test_what_fails_at_once_says_why(
    place: Path, net: str, code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "net.py").write_text(net)
    assert check(place) == code
    assert reason in " ".join(capsys.readouterr().out.split())
    assert not json.loads((place / "r" / "gate.json").read_text())["passed"]


def test_a_net_that_cannot_be_loaded_fails_where_a_reference_has_its_name(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "architectures"
    folder.mkdir()
    (folder / "watched.py").write_text("import nothing_of_that_name")
    monkeypatch.setattr(runner, "ARCHITECTURES", folder)
    assert run("--all", "--check", place / "t.toml", "--results", place / "r", "--quiet") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "watched: Cannot be loaded: " in said
    assert "No module named 'nothing_of_that_name'" in said
    assert len(json.loads((place / "r" / "gate.json").read_text())["architectures"]) == 1


def test_an_architecture_that_is_gone_fails(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "net.py").unlink()
    assert run("--check", place / "t.toml", "--results", place / "r", "--quiet") == 1
    assert "watched: It has a reference and is no longer registered." in " ".join(capsys.readouterr().out.split())


def test_an_architecture_without_a_reference_fails(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "net.py").write_text(NET.replace('"watched"', '"newcomer"'))
    assert check(place) == 1
    assert "newcomer: It has no reference." in " ".join(capsys.readouterr().out.split())


def test_a_corrupt_file_of_thresholds_is_bad_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (place / "t.toml").read_text()
    (place / "t.toml").write_text(text.replace("mean = 0.", "mean = 10."))
    assert check(place) == 2
    line = next(n for n, words in enumerate(text.splitlines(), 1) if words.startswith("mean ="))
    said = f"t.toml, line {line}, architectures.watched.mean: 10."
    assert said in capsys.readouterr().err
    (place / "t.toml").write_text(text[:400])
    assert check(place) == 2


def test_other_images_than_the_references_saw_are_bad_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (place / "t.toml").read_text()
    (place / "t.toml").write_text(re.sub('data_hash = "..', 'data_hash = "00', text))
    assert check(place) == 2
    assert "holds other images" in capsys.readouterr().err


def test_a_change_outside_net_and_engine_trains_nothing(place: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for room in ("bench", "architectures", "reports"):
        shutil.copytree(PROJECT / room, project / room)
    shutil.copy(PROJECT / "runner.py", project)
    for edited in (project / "reports" / "wording.py", project / "bench" / "gate" / "judging.py"):
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
