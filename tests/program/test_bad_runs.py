"""Runs that fail, die, hang, diverge or are interrupted: what is kept, and what is said."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.front_door import RUNNER, SHORT, rows, run, write_faulty, write_tiny

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("fault", "error"),
    [("raise ValueError('no batches')", "ValueError: no batches"), ("raise SystemExit(0)", "SystemExit: 0")],
)
def test_a_failing_net_leaves_the_others_alone(
    fault: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write_faulty(tmp_path, "moody", fault=f"if len(images) == 128: {fault}")
    words = ("--arch", broken, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r")
    assert run(*words, *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert (found["moody"]["status"], found["tiny"]["status"]) == ("failed", "ok")
    line = next(n for n, text in enumerate(broken.read_text().splitlines(), start=1) if fault in text)
    assert found["moody"]["error"] == f"{error} (moody.py, line {line})"
    report = (tmp_path / "r" / "report.md").read_text()
    assert error in report
    assert f'moody.py", line {line}, in forward' in report, "the end of the traceback"
    assert error in capsys.readouterr().out


@pytest.mark.usefixtures("blank_figures")
def test_a_worker_that_dies_takes_no_other_run_with_it(tmp_path: Path) -> None:
    deadly = write_faulty(tmp_path, "deadly", fault="if len(images) == 128: import os; os._exit(1)")
    words = ("--arch", deadly, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r")
    assert run(*words, *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"deadly": "failed", "tiny": "ok"}
    assert "worker process died" in found["deadly"]["error"]


MORTAL = """
import ctypes, os, signal
self.seen = getattr(self, "seen", 0) + 1
if self.training and self.seen == 40:  # in the second epoch of 25 steps
    deaths = open({deaths!r}).read().split() if os.path.exists({deaths!r}) else []
    open({deaths!r}, "a").write(f"{{os.getpid()}} ")
    {fault}
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The run of a net whose fault never comes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    net = write_faulty(folder, "mortal", fault="pass")
    words = ("--arch", net, "--seeds", 1, "--jobs", 1, "--results", folder / "r")
    assert run(*words, *SHORT, "--epochs", 3) == 0
    (row,) = rows(folder / "r")
    return row


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize("fault", ["os.kill(os.getpid(), signal.SIGKILL)", "ctypes.string_at(0)"], ids=["kill", "segv"])
def test_a_worker_that_dies_once_is_replaced_and_its_run_goes_on(
    fault: str, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    deaths = tmp_path / "deaths"
    net = write_faulty(tmp_path, "mortal", fault=MORTAL.format(deaths=str(deaths), fault=f"if not deaths: {fault}"))
    words = ("--arch", net, "--arch", "lenet21k", "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--epochs", 3) == 0
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"mortal": "ok", "lenet21k": "ok"}
    assert deaths.exists()
    assert found["mortal"]["weights_hash"] == undisturbed["weights_hash"]
    assert found["mortal"]["test_accuracy"] == undisturbed["test_accuracy"]


@pytest.mark.usefixtures("blank_figures")
def test_a_worker_that_replaced_a_dead_one_leaves_ctrl_c_to_the_front_door(tmp_path: Path) -> None:
    """Its first process dies; the second one hears Ctrl-C as a terminal sends it to all."""
    deaths, fault = tmp_path / "deaths", "os.kill(os.getpid(), signal.SIGINT if deaths else signal.SIGKILL)"
    net = write_faulty(tmp_path, "mortal", fault=MORTAL.format(deaths=str(deaths), fault=fault))
    words = ("--arch", net, "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--epochs", 3) == 0
    assert len(deaths.read_text().split()) == 2, "the first and the one that went on to the end"


@pytest.mark.usefixtures("blank_figures")
def test_a_run_that_hangs_is_tried_again_and_then_failed(tmp_path: Path) -> None:
    # The loop calls nothing: its stack is read while it runs, and a frame that comes or goes meanwhile can end that
    # reading, and the process, at once.
    nets = [write_faulty(tmp_path, "hanging", fault="stuck = len(images) == 128\nwhile stuck: pass")]
    nets.append(write_tiny(tmp_path))
    for net in nets:  # the optimizer's first step imports this: seconds, on a busy machine more than a try may take
        net.write_text(f"{net.read_text()}\nimport torch._dynamo\n")
    words = ("--arch", nets[0], "--arch", nets[1], "--seeds", 1, "--jobs", 2, "--run-timeout", 20)
    assert run(*words, "--results", tmp_path / "r", *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"hanging": "failed", "tiny": "ok"}
    assert found["hanging"]["error"] == "The last try did not end within 20 s; allow more with --run-timeout."
    with sqlite3.connect(tmp_path / "r" / "bench.db") as database:
        (traceback,) = database.execute("SELECT traceback FROM bench_runs WHERE architecture = 'hanging'").fetchone()
    assert 'hanging.py", line 13 in forward' in traceback, "it says where it hung"
    assert not list((tmp_path / "r" / "checkpoints").glob("*.hang"))


def test_a_diverging_run_is_a_result(tmp_path: Path) -> None:
    fault = "images = images * (float('nan') if self.training and len(images) == 128 else 1)"
    exploding = write_faulty(tmp_path, "exploding", fault=fault)
    words = ("--arch", exploding, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 1, "--results", tmp_path)
    assert run(*words, *SHORT) == 0
    found = {row["architecture"]: row for row in rows(tmp_path)}
    assert {name: row["status"] for name, row in found.items()} == {"exploding": "diverged", "tiny": "ok"}
    assert (found["exploding"]["test_accuracy"], found["exploding"]["epochs_to_95"]) == ("", "")
    assert "no longer finite in epoch 1 (by step 20)" in found["exploding"]["error"]


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["--arch", "lenet21k", "--seeds", "40", "--jobs", "2", "--results", str(tmp_path)]
    words += ["--dataset", "mnist5k", "--epochs", "25", "--no-timing"]
    said = []
    with subprocess.Popen([sys.executable, str(RUNNER), *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if " 2/40]" in line:
                while process.poll() is None and not list(tmp_path.glob("checkpoints/*.unfinished")):
                    time.sleep(0.01)  # a run in its first epoch has nothing to keep
                process.send_signal(signal.SIGINT)
                break  # once: an interrupted print may say the line again, and a second Ctrl-C stops the report too
        said += process.stdout.readlines()
    assert process.returncode == 130
    assert "the same command goes on from there" in " ".join("".join(said).split())
    finished = len(rows(tmp_path))
    assert 2 <= finished < 40
    statuses = [row["status"] for row in rows(tmp_path)]
    assert statuses.count("interrupted") in (1, 2), "those under way, one a worker"
    assert set(statuses) == {"ok", "interrupted"}
