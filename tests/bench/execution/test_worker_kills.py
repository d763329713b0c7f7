"""SIGKILL at any moment costs at most the epoch under way: the bits come out the same."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.models.registry import discover
from bench.store.store import open_store
from tests import ROOT
from tests.bench.execution.killed_runs import MOMENTS
from tests.bench.runs import NOWHERE

ENGINES = ["torch", "lanes"]
FOUR = [architecture.name for architecture in discover(ROOT / "architectures").all()]


def kill(architecture: str, engine: str, *, times: int, results: Path) -> dict[str, int]:
    """Kills by moment, after the bits were compared."""
    words = [sys.executable, str(Path(__file__).with_name("killed_runs.py"))]
    words += [str(results), architecture, str(times), engine]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["differ"] == []
    assert found["left"] == [], "files of unfinished runs are gone"
    assert found["runs"] >= 1
    kills: dict[str, int] = found["kills"]
    assert sum(kills.values()) >= times
    return kills


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_killed_again_and_again_ends_with_the_same_bits(engine: str, tmp_path: Path) -> None:
    assert set(kill("lenet21k", engine, times=8, results=tmp_path)) & set(MOMENTS), "some inside the writing"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("architecture", FOUR)
def test_fifty_kills_leave_the_same_bits(architecture: str, engine: str, tmp_path: Path) -> None:
    kills = kill(architecture, engine, times=50, results=tmp_path)
    assert set(kills) == {*MOMENTS, "at random"}
    print(architecture, engine, kills)  # noqa: T201 - shown by pytest -s


def runner_words(results: Path) -> list[str]:
    words = ["--all", "--dataset", "mnist5k", "--seeds", "2", "--epochs", "4", "--no-timing", "--quiet", "--jobs", "2"]
    return [sys.executable, str(ROOT / "runner.py"), *words, "--data-dir", str(NOWHERE), "--results", str(results)]


def wait_for_states(study: subprocess.Popen[bytes], results: Path, *, number: int) -> bool:
    """Wait until a study has saved so many states and weights since now; whether it ended before."""
    seen = {file: file.stat().st_mtime_ns for file in results.glob("checkpoints/[!.]*")}
    while study.poll() is None:
        for file in results.glob("checkpoints/[!.]*"):
            with contextlib.suppress(FileNotFoundError):  # a state goes when its run has ended
                if seen.get(file) != (now := file.stat().st_mtime_ns):
                    seen[file], number = now, number - 1
        if number <= 0:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.slow
def test_a_whole_study_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    subprocess.run(runner_words(tmp_path / "whole"), check=True, capture_output=True)
    chance, kills, killed = random.Random(0), 0, tmp_path / "killed"  # noqa: S311 - moments, not secrets
    while True:
        with subprocess.Popen(runner_words(killed), stdout=subprocess.DEVNULL, start_new_session=True) as study:
            ended = wait_for_states(study, killed, number=chance.randint(1, 4))
            if not ended:
                time.sleep(chance.uniform(0, 1))  # somewhere in the next epoch, wherever that is on a busy machine
                # Now all of it, now only the front door, whose workers must not go on alone.
                (os.killpg if kills % 2 else os.kill)(study.pid, signal.SIGKILL)
                kills += 1
        if ended:
            assert study.returncode == 0
            break
        time.sleep(0.5)
    bits = []
    for name in ("whole", "killed"):
        with open_store(f"sqlite:///{tmp_path / name}/bench.db") as store:
            study_read = store.studies.load("main")
        bits.append(
            {
                (run.architecture, run.seed, run.weights_hash, run.test_accuracy, run.test_loss, run.attempt)
                for run in study_read.records
            }
        )
    assert bits[0] == bits[1]
    assert len(bits[0]) == 8
    assert kills >= 3
    print("runner kills", kills)  # noqa: T201 - shown by pytest -s
