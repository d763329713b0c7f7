"""From the command line to a tuned net and back, on the embedded data: totals, kills, refusals, closed test set."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import torch

from bench.core.errors import BenchError, ClosedTestSetError
from bench.data.datasets import load_dataset
from bench.data.tensors import to_device
from tests.front_door import RUNNER, rows, run, write_tiny

if TYPE_CHECKING:
    from pathlib import Path


SHORT = ("--dataset", "mnist5k", "--epochs", 3, "--no-timing", "--quiet", "--seeds", 2)
COLUMNS = ["architecture", "trial", "state", "value", "epochs", "images"]
KNOBS = """
from functools import partial
from bench.spec import Choice, Range

class Wide(TinyNet):
    def __init__(self, *, hidden, dropout=0.0):
        super().__init__()
        self.stages = nn.Sequential(
            nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10)
        )

KNOBS = {"hidden": Choice(values=(4, 8, 16)), "dropout": Range(low=0, high=0.5)}
WIDE = Architecture(name="wide", build=partial(Wide, hidden=8), knobs=KNOBS)
"""

BROKEN = """
from torch import nn
from bench.spec import Architecture

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, images):
        if self.training and len(images) > 32:  # more than it is tried on
            raise RuntimeError("it breaks while it trains")
        return self.stages(images)

BROKEN = Architecture(name="broken", build=Broken)
"""
ALL_FIXED = (
    "--lr 0.5 --optimizer sgd --batch-size 64 --schedule cosine --weight-decay 0 --label-smoothing 0 "
    "--augmentation none"
)


def trials(results: Path) -> list[dict[str, str]]:
    with (results / "tuning.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny net and lenet21k, seven trials each, by two worker processes."""
    folder = tmp_path_factory.mktemp("tuned")
    words = ("--arch", "lenet21k", "--arch", write_tiny(folder), "--tune", "--trials", 7, "--jobs", 2)
    assert run(*words, "--results", folder / "r", *SHORT) == 0
    return folder


def test_every_architecture_has_its_trials_and_no_trial_looked_at_the_test_set(tuned: Path) -> None:
    found = trials(tuned / "r")
    assert list(found[0])[: len(COLUMNS)] == COLUMNS
    for name in ("lenet21k", "tiny"):
        of_net = [row for row in found if row["architecture"] == name]
        assert [row["trial"] for row in of_net] == list("0123456")
        assert sum(int(row["images"]) for row in of_net) <= 7 * 3 * 3_200
        assert {row["lr"] for row in of_net if row["trial"] == "0"} == {"0.006"}
    runs = [row for row in rows(tuned / "r") if row["role"] == "tune"]
    assert {row["protocol"] for row in runs} == {"validation"}
    assert {(row["test_accuracy"], row["test_looks"]) for row in runs} == {("", "0")}
    assert {row["seed"] for row in runs} == {"10000"}


def test_the_winner_stands_beside_the_default_recipe_on_the_same_fresh_seeds(tuned: Path) -> None:
    found = trials(tuned / "r")
    for name in ("lenet21k", "tiny"):
        complete = [row for row in found if row["architecture"] == name and row["state"] == "complete"]
        best = max(complete, key=lambda row: float(row["value"]))
        assert [row["trial"] for row in found if row["architecture"] == name and row["winner"]] == [best["trial"]]
        compared = [row for row in rows(tuned / "r") if row["architecture"] == name and row["role"] == "compare"]
        seeds = {recipe: [row["seed"] for row in compared if row["recipe"] == recipe] for recipe in ("shared", "tuned")}
        assert seeds["shared"] == ["0", "1"]
        assert seeds["tuned"] == (["0", "1"] if best["trial"] != "0" else [])
        assert {row["test_looks"] for row in compared} == {"1"}


@pytest.mark.usefixtures("blank_figures")
def test_the_same_command_trains_nothing_and_a_larger_total_only_the_rest(tuned: Path, tmp_path: Path) -> None:
    shutil.copytree(tuned / "r", tmp_path / "r")
    before = (tuned / "r" / "tuning.csv").read_bytes()
    runs = len(rows(tuned / "r"))
    nets = ("--arch", "lenet21k", "--arch", tuned / "tiny.py")
    words = (*nets, "--tune", "--jobs", 1, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--trials", 7) == 0
    assert (tmp_path / "r" / "tuning.csv").read_bytes() == before
    assert len(rows(tmp_path / "r")) == runs
    assert run(*words, "--trials", 8) == 0
    grown = trials(tmp_path / "r")
    assert len(grown) == 16
    kept = [row for row in grown if row["trial"] != "7"]
    assert [row | {"winner": ""} for row in kept] == [row | {"winner": ""} for row in trials(tuned / "r")]


def start(*words: object) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(RUNNER), *map(str, words)]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.slow
def test_a_tuning_that_is_killed_ends_with_the_same_trials_and_weights(tuned: Path, tmp_path: Path) -> None:
    nets = ("--arch", "lenet21k", "--arch", tuned / "tiny.py")
    words = (*nets, "--tune", "--trials", 7, "--jobs", 1, "--results", tmp_path, *SHORT)
    for _ in range(2):
        process = start(*words)
        database = tmp_path / "bench.db"
        deadline, states = time.monotonic() + 120, len(list(tmp_path.glob("checkpoints/*")))
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.2)
            if database.exists() and len(list(tmp_path.glob("checkpoints/*"))) > states + 1:
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert run(*words) == 0
    assert (tmp_path / "tuning.csv").read_bytes() == (tuned / "r" / "tuning.csv").read_bytes()
    keys = ("architecture", "role", "recipe", "seed", "cohort", "weights_hash")
    assert sorted([row[key] for key in keys] for row in rows(tmp_path)) == sorted(
        [row[key] for key in keys] for row in rows(tuned / "r")
    )


def test_ctrl_c_says_how_far_the_search_came(tuned: Path, tmp_path: Path) -> None:
    words = ("--arch", tuned / "tiny.py", "--tune", "--trials", 500, "--results", tmp_path, *SHORT)
    process = start(*[word for word in words if word != "--quiet"])
    assert process.stdout is not None
    for line in process.stdout:
        if "trial 2:" in line:
            break
    os.kill(process.pid, signal.SIGINT)
    said = " ".join(process.communicate()[0].split())
    assert process.returncode == 130
    assert "trials have ended and are stored; the same command goes on from there." in said
    assert (tmp_path / "report.html").exists()


@pytest.mark.usefixtures("blank_figures")
def test_knobs_of_the_net_are_searched_only_when_asked_for(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    path.write_text(path.read_text() + KNOBS)
    words = ("--arch", path, "--tune", "--trials", 5, "--jobs", 1, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--tune-architecture", "--tune-for", "accuracy,macs") == 0
    found = [row for row in trials(tmp_path / "r") if row["architecture"] == "wide"]
    assert {row["state"] for row in found} == {"complete"}
    assert {row["hidden"] for row in found} <= {"4", "8", "16"}
    for row in found:
        hidden = int(row["hidden"])
        assert float(row["macs"]) == 784 * hidden + 10 * hidden
    assert found[0]["trained"] == "wide", "the first trial is the net as declared, with the default recipe"
    front = {row["trained"] for row in found if row["winner"]}
    compared = {row["architecture"]: row["params"] for row in rows(tmp_path / "r") if row["role"] == "compare"}
    assert front | {"wide"} == {name for name in compared if name.startswith("wide")}
    for name, params in compared.items():
        if name.startswith("wide"):
            hidden = int(name.split("hidden=")[1].split()[0]) if "hidden=" in name else 8
            assert int(params) == 785 * hidden + 10 * hidden + 10
    assert {row["hidden"] for row in trials(tmp_path / "r") if row["architecture"] == "tiny"} == {""}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--trials 3", "--trials does nothing without --tune; add it."),
        ("--tune --trials 0", "--trials 0: from 1 to 100,000 trials"),
        ("--tune --tune-seeds 0", "--tune-seeds 0: from 1 to"),
        ("--tune --tune-seconds 0", "--tune-seconds 0: seconds above 0"),
        ("--tune --sampler grid", "No sampler 'grid'."),
        ("--tune --pruner median", "No pruner 'median'."),
        ("--tune --tune-for params", "No objective 'params'. Known: accuracy, latency, macs."),
        ("--tune --tune-for macs", "accuracy first"),
        ("--tune --tune-for accuracy,macs", "a recipe changes neither MACs nor latency; add --tune-architecture."),
        ("--tune --tune-for accuracy,macs,latency --tune-architecture", "two objectives at most"),
        ("--tune --tune-architecture", "declares no knobs; leave it out"),
        ("--tune --space nowhere.toml", "cannot be read"),
        ("--tune --recipe published", "tuning starts from the shared recipe"),
        ("--tune --seeds 6:30", "give a fixed number of seeds"),
        ("--tune --train-seconds 5", "give --epochs"),
        ("--tune --epochs 1,2", "one budget at a time"),
        ("--tune --fresh", "name another --study to tune anew"),
        (f"--tune {ALL_FIXED}", "Nothing is left to search"),
    ],
)  # fmt: skip
def test_misuse_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    given = ["--arch", "lenet21k", "--dataset", "mnist5k", *shlex.split(words), "--results", str(tmp_path / "r")]
    assert run(*given) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("r/*.csv"))


def test_report_refuses_options_of_a_tuning(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--report", "--tune") == 2
    assert "--tune does nothing beside --report" in capsys.readouterr().err


def test_another_search_space_under_the_same_study_is_refused(tuned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (tuned / "r" / "bench.db").read_bytes()
    words = ("--arch", tuned / "tiny.py", "--tune", "--trials", 7, "--results", tuned / "r", *SHORT)
    assert run(*words, "--lr", 0.01) == 2
    assert "was tuned with another search space; repeat that command, or name another --study" in (
        capsys.readouterr().err
    )
    assert (tuned / "r" / "bench.db").read_bytes() == before


def test_the_plan_says_what_it_costs_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--arch", "lenet21k", "--dataset", "mnist5k", "--tune", "--plan", "--results", tmp_path / "r")
    assert run(*words, "--trials", 10, "--tune-seeds", 2) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "10 trials, 2 seeds each of at most 8 epochs for each: 512,000 training images" in said  # 10×2×8×3,200
    assert "Then 12 runs on fresh seeds, winners beside the default recipe" in said
    assert not (tmp_path / "r").exists()


def test_whoever_asks_for_a_closed_test_set_is_stopped(tmp_path: Path) -> None:
    dataset = load_dataset("mnist5k", tmp_path)
    closed = to_device(dataset, torch.device("cpu"), with_test=False)
    with pytest.raises(ClosedTestSetError):
        _ = closed.test
    assert not issubclass(ClosedTestSetError, BenchError)  # our own fault, not the user's
    assert len(to_device(dataset, torch.device("cpu")).test[0]) == 1_000


@pytest.mark.usefixtures("blank_figures")
def test_trials_come_along_when_directories_are_merged(tuned: Path, tmp_path: Path) -> None:
    assert run("--merge", tuned / "r", "--results", tmp_path) == 0
    assert (tmp_path / "tuning.csv").read_bytes() == (tuned / "r" / "tuning.csv").read_bytes()
    assert run("--merge", tuned / "r", "--results", tmp_path) == 0
    assert (tmp_path / "tuning.csv").read_bytes() == (tuned / "r" / "tuning.csv").read_bytes()


def test_a_net_that_is_edited_while_it_is_tuned_ends_the_command_in_one_line(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    words = ("--arch", path, "--tune", "--trials", 500, "--jobs", 1, "--results", tmp_path / "r", *SHORT)
    process = start(*[word for word in words if word != "--quiet"])
    assert process.stdout is not None
    for line in process.stdout:
        if "trial 1:" in line:
            break
    write_tiny(tmp_path, hidden=9)
    said = " ".join(process.communicate()[0].split())
    assert process.returncode == 2
    assert "The file of 'tiny' was edited while the search ran; run the command again" in said
    assert "Traceback" not in said


def test_a_tuning_without_a_complete_trial_exits_1_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.py"
    path.write_text(BROKEN)
    words = ("--arch", path, "--tune", "--trials", 3, "--jobs", 1, "--results", tmp_path / "r")
    assert run(*words, *[word for word in SHORT if word != "--quiet"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "broken trial 0: failed: Seed 10000 failed: RuntimeError: it breaks while it trains" in said
    assert "broken: no trial was complete, so there is no winner to compare." in said
    assert {row["state"] for row in trials(tmp_path / "r")} == {"failed"}


@pytest.mark.usefixtures("blank_figures")
def test_a_variation_is_trained_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*SHORT, "--epochs", 1, "--seeds", 1, "--jobs", 1, "--results", tmp_path)
    assert run("--arch", "bn25k hidden=32 shrink=stride", *words) == 0
    (row,) = rows(tmp_path)
    # 160 + 32 + 4,640 + 64 + (1,568 + 1) × 32 + (32 + 1) × 10
    assert (row["architecture"], row["params"]) == ("bn25k hidden=32 shrink=stride", "55434")
    assert run("--arch", "bn25k hidden=33", *words) == 2
    assert run("--arch", "bn25k depth=3", *words) == 2
    assert run("--arch", "bn25k dropout=2", *words) == 2
    said = capsys.readouterr().err
    assert "No hidden of bn25k '33'. Did you mean '32'?" in said
    assert "No knob or recipe field of bn25k 'depth'." in said
    assert "bn25k: dropout is '2'; a number from 0 to 0.5 is needed." in said


@pytest.mark.usefixtures("blank_figures")
def test_a_variation_that_is_tuned_by_its_name_has_its_winner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--tune", "--trials", 1, "--seeds", 1, "--jobs", 1, "--results", tmp_path, *SHORT)
    assert run("--arch", "bn25k hidden=32", *words) == 0
    assert "no trial was complete" not in capsys.readouterr().out
    assert [(row["architecture"], row["state"]) for row in trials(tmp_path)] == [("bn25k hidden=32", "complete")]
