"""Runs that fail, die, hang, diverge or are interrupted: what is kept, and what is said."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from front_door import RUNNER, SHORT, TINY, rows, run, write_tiny

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("fault", "error"),
    [("raise ValueError('no batches')", "ValueError: no batches"), ("raise SystemExit(0)", "SystemExit: 0")],
)
def test_a_failing_net_leaves_the_others_alone(
    fault: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "moody.py"
    broken.write_text(
        TINY.format(hidden=8, classes=10)
        .replace("return self", f"if len(images) == 128: {fault}\n        return self")
        .replace('"tiny"', '"moody"')
    )
    words = ("--arch", broken, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r")
    assert run(*words, *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert (found["moody"]["status"], found["tiny"]["status"]) == ("failed", "ok")
    assert found["moody"]["error"] == error
    assert error in (tmp_path / "r" / "report.md").read_text()
    assert error in capsys.readouterr().out


def test_a_worker_that_dies_takes_no_other_run_with_it(tmp_path: Path) -> None:
    deadly = tmp_path / "deadly.py"
    deadly.write_text(
        TINY.format(hidden=8, classes=10)
        .replace("return self", "if len(images) == 128: import os; os._exit(1)\n        return self")
        .replace('"tiny"', '"deadly"')
    )
    words = ("--arch", deadly, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r")
    assert run(*words, *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"deadly": "failed", "tiny": "ok"}
    assert "worker process died" in found["deadly"]["error"]


@pytest.mark.parametrize("fault", ["os.kill(os.getpid(), signal.SIGKILL)", "ctypes.string_at(0)"], ids=["kill", "segv"])
def test_a_worker_that_dies_once_is_replaced_and_its_run_goes_on(fault: str, tmp_path: Path) -> None:
    net, marker = tmp_path / "mortal.py", tmp_path / "died"
    # In its second epoch of 25 steps, and only while there is no marker, which it leaves first.
    mortal = f"""self.seen = getattr(self, "seen", 0) + 1
        if self.training and self.seen > 40 and not os.path.exists({str(marker)!r}):
            open({str(marker)!r}, "w").close()
            {fault}
        return self"""
    text = TINY.format(hidden=8, classes=10).replace("from torch", "import ctypes, os, signal\nfrom torch")
    net.write_text(text.replace("return self", mortal))
    words = ("--arch", net, "--arch", "lenet21k", "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--epochs", 3) == 0
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"tiny": "ok", "lenet21k": "ok"}
    assert marker.exists()
    assert (
        run("--arch", net, "--seeds", 1, "--jobs", 2, "--results", tmp_path / "undisturbed", *SHORT, "--epochs", 3) == 0
    )
    undisturbed = rows(tmp_path / "undisturbed")[0]
    assert found["tiny"]["weights_hash"] == undisturbed["weights_hash"]
    assert found["tiny"]["test_accuracy"] == undisturbed["test_accuracy"]


def test_a_worker_that_replaced_a_dead_one_leaves_ctrl_c_to_the_front_door(tmp_path: Path) -> None:
    net, lives = tmp_path / "mortal.py", tmp_path / "lives"
    # Its first process dies in the second epoch; the second one hears Ctrl-C as a terminal sends it to all.
    mortal = f"""self.seen = getattr(self, "seen", 0) + 1
        if self.training and self.seen == 40:
            lives = open({str(lives)!r}).read().split() if os.path.exists({str(lives)!r}) else []
            open({str(lives)!r}, "a").write(f"{{os.getpid()}} ")
            os.kill(os.getpid(), signal.SIGINT if lives else signal.SIGKILL)
        return self"""
    text = TINY.format(hidden=8, classes=10).replace("from torch", "import os, signal\nfrom torch")
    net.write_text(text.replace("return self", mortal))
    words = ("--arch", net, "--seeds", 1, "--jobs", 2, "--results", tmp_path / "r", *SHORT)
    assert run(*words, "--epochs", 3) == 0
    assert len(lives.read_text().split()) == 2, "the first and the one that went on to the end"


def test_a_run_that_hangs_is_tried_again_and_then_failed(tmp_path: Path) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text(
        TINY.format(hidden=8, classes=10)
        .replace("return self", "while len(images) == 128: pass\n        return self")
        .replace('"tiny"', '"hanging"')
    )
    words = ("--arch", hanging, "--arch", write_tiny(tmp_path), "--seeds", 1, "--jobs", 2, "--run-timeout", 6)
    assert run(*words, "--results", tmp_path / "r", *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == {"hanging": "failed", "tiny": "ok"}
    assert found["hanging"]["error"] == "The last of three tries did not end within 6 s; allow more with --run-timeout."
    with sqlite3.connect(tmp_path / "r" / "bench.db") as database:
        (traceback,) = database.execute("SELECT traceback FROM bench_runs WHERE architecture = 'hanging'").fetchone()
    assert 'hanging.py", line 12 in forward' in traceback, "it says where it hung"
    assert not list((tmp_path / "r" / "checkpoints").glob("*.hang"))


def test_a_diverging_run_is_a_result(tmp_path: Path) -> None:
    exploding = tmp_path / "exploding.py"
    exploding.write_text(
        TINY.format(hidden=8, classes=10)
        .replace("return self.stages(images)", "return self.stages(images) * (float('nan') if self.training else 1)")
        .replace('"tiny"', '"exploding"')
    )
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
                process.send_signal(signal.SIGINT)
                break  # once: an interrupted print may say the line again, and a second Ctrl-C stops the report too
        said += process.stdout.readlines()
    assert process.returncode == 130
    assert "the same command goes on from there" in "".join(said).replace("\n", " ")
    finished = len(rows(tmp_path))
    assert 2 <= finished < 40
    statuses = [row["status"] for row in rows(tmp_path)]
    assert statuses.count("interrupted") in (1, 2), "those under way, one a worker"
    assert set(statuses) == {"ok", "interrupted"}
