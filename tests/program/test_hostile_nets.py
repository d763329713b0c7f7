"""Whole commands with net files that crash, hang, flood or end their process: each costs that net alone."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runner
from tests import ROOT
from tests.front_door import RUNNER, SHORT, rows, run, write_faulty, write_tiny

if TYPE_CHECKING:
    from collections.abc import Callable


FIELD = ROOT / "tests" / "field"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of registered nets with the tiny one in it."""
    nets = tmp_path / "nets"
    nets.mkdir()
    write_tiny(nets)
    monkeypatch.setattr(runner, "ARCHITECTURES", nets)
    return nets


def write(folder: Path, name: str, first_lines: str) -> Path:
    """The tiny net under another name, with lines at the head of its file."""
    path = write_faulty(folder, name, fault="pass")
    path.write_text(f"{first_lines}\n{path.read_text()}")
    return path


CRASHES = {
    "segfault": ("import ctypes\nctypes.string_at(0)", "line 2: importing it was killed by SIGSEGV;"),
    "alarm": ("import signal\nsignal.raise_signal(signal.SIGALRM)", ": importing it was killed by SIGALRM;"),
    "exits": ("import os\nos._exit(0)", ": importing it ended its process with exit code 0;"),
    "interrupts": ("raise KeyboardInterrupt", "line 1: importing it raised KeyboardInterrupt;"),
    "sleeps": ("import threading\nthreading.Event().wait()", "line 2: importing it did not end within 5 s;"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_net_asked_for_that_crashes_or_hangs_is_one_line_and_exit_2(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_TRIAL_SECONDS", "5")
    code, words = CRASHES[name]
    assert run("--arch", write(tmp_path, name, code), "--results", tmp_path / "r", *SHORT) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"runner.py: {tmp_path / name}.py")
    assert words in said
    assert len(said.splitlines()) == 1


def test_among_all_they_are_left_out_by_name_and_the_others_train(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_TRIAL_SECONDS", "5")
    for name, (code, _) in CRASHES.items():
        write(folder, name, code)
    write_faulty(folder, "aborts", fault="import os; os.abort()")
    words = ("--all", "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r", *SHORT[:-1])
    assert run(*words) == 1
    assert [(row["architecture"], row["status"]) for row in rows(tmp_path / "r")] == [("tiny", "ok")]
    said = "".join(capsys.readouterr().out.split())  # long paths break in their middle
    for name, (_, words_of) in CRASHES.items():
        assert f"{name}.py" in said
        assert "".join(words_of.split()) in said
    assert "Nottrained:aborts:tryingitwaskilledbySIGABRT;" in said
    assert "(aborts.py:12)" in said


def test_list_names_what_cannot_be_loaded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, "segfault", CRASHES["segfault"][0])
    assert run("--list") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "tiny" in said
    assert CRASHES["segfault"][1] in said


ENDS: dict[str, tuple[str, str]] = {
    "exits": ("import os; os._exit(3)", "ended its process with exit code 3."),
    "crashes": ("import ctypes; ctypes.string_at(0)", "was killed by SIGSEGV."),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt (interrupts.py, line 12)"),
    "leaves": ("raise GeneratorExit('no more')", "GeneratorExit: no more (leaves.py, line 12)"),
    "ends": ("raise InterruptedError('by itself')", "InterruptedError: by itself (ends.py, line 12)"),
}


def test_a_net_that_ends_its_process_while_it_trains_is_a_failed_run(tmp_path: Path) -> None:
    nets = [write_faulty(tmp_path, name, fault=f"if len(images) == 128: {code}") for name, (code, _) in ENDS.items()]
    nets.append(write_tiny(tmp_path))
    words = [word for net in nets for word in ("--arch", net)]
    assert run(*words, "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r", *SHORT) == 1
    found = {row["architecture"]: row for row in rows(tmp_path / "r")}
    assert {name: row["status"] for name, row in found.items()} == dict.fromkeys(ENDS, "failed") | {"tiny": "ok"}
    for name, (_, reason) in ENDS.items():
        assert found[name]["error"].endswith(reason)


def test_every_net_asked_for_that_cannot_be_trained_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nets = [write_faulty(tmp_path, name, fault="raise ValueError('no')") for name in ("one", "two")]
    nets.append(write_tiny(tmp_path))
    words = [word for net in nets for word in ("--arch", net)]
    assert run(*words, "--results", tmp_path / "r", *SHORT, "--no-doctor") == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("runner.py: one (one.py, line 12): ")
    assert said.endswith("Refused as well: two.")
    assert len(said.splitlines()) == 1
    # The doctor stores why, and the others go on.
    assert run(*words, "--seeds", 1, "--jobs", 1, "--results", tmp_path / "r", *SHORT) == 1
    said = capsys.readouterr().out
    for name in ("one", "two"):
        assert f"Not trained: {name}: " in said
        assert f"raised ValueError: no; fix its forward ({name}.py:12)." in said
    assert [(row["architecture"], row["status"]) for row in rows(tmp_path / "r")] == [("tiny", "ok")]
    assert "one was not trained" in (tmp_path / "r" / "report.md").read_text()


def test_a_net_that_closes_standard_output_closes_nobody_elses(tmp_path: Path) -> None:
    """No process but the workers' runs a net's file: the scheduler of two jobs lives in that of the command."""
    net = write(tmp_path, "closes", "import os, sys; sys.stdout.close(); os.close(1); os.close(2)")
    assert run("--arch", net, "--seeds", 2, "--jobs", 2, "--results", tmp_path / "r", *SHORT) == 0
    assert [row["status"] for row in rows(tmp_path / "r")] == ["ok", "ok"]


def test_a_net_that_changes_its_folder_moves_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = f"import os; os.chdir({str(elsewhere)!r})"
    first = write(tmp_path, "first", code)
    later = write_faulty(tmp_path, "later", fault=code)
    monkeypatch.chdir(tmp_path)
    assert run("--arch", first, "--arch", later, "--seeds", 1, "--jobs", 1, "--results", "r", *SHORT) == 0
    assert Path.cwd() == tmp_path
    assert not list(elsewhere.iterdir())
    assert len(list((tmp_path / "r" / "checkpoints").glob("*.pt"))) == 2


def test_what_a_net_prints_stands_nowhere_but_in_one_line(tmp_path: Path) -> None:
    net = write_faulty(tmp_path, "chatty", fault="print('noise'); import sys; print('noise', file=sys.stderr)")
    for jobs in ("1", "2"):
        words = [str(RUNNER), "--arch", str(net), "--seeds", "1", "--jobs", jobs, "--results", str(tmp_path / jobs)]
        done = subprocess.run([sys.executable, *words, *SHORT[:-1]], capture_output=True, text=True, check=True)
        assert "noise" not in done.stdout + done.stderr
        (line,) = [line for line in done.stdout.splitlines() if "printed" in line]
        assert line.startswith("Note: chatty printed ")
        assert line.endswith(" lines while it was tried; --verbose shows what nets print.")


def test_the_command_has_one_standard_output_whatever_a_net_closes(tmp_path: Path) -> None:
    net = write(tmp_path, "closes", "import os, sys\nsys.stdout.close()\nos.close(2)")
    words = [str(RUNNER), "--arch", str(net), "--plan", "--results", str(tmp_path / "r"), *SHORT[:-1]]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    assert "closes: 6 runs" in done.stdout


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda place: place.mkdir(), "is a folder; a Python file with a net is wanted"),
        (
            lambda place: place.with_suffix(".ipynb").write_text("{}"),
            "is a notebook; a Python file with a net is wanted: make one",
        ),
        (
            lambda place: place.with_suffix(".txt").write_text(""),
            "is no Python file; a Python file with a net is wanted.",
        ),
    ],
)
def test_what_is_no_python_file_is_refused_as_such(
    make: Callable[[Path], object], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "net")
    (path,) = tmp_path.iterdir()
    assert run("--arch", path, "--results", tmp_path / "r", *SHORT) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"runner.py: '{path}' {words}")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("default_double", ": line 5 sets torch's default type to torch.float64, which holds for every net;"),
        ("squeeze", "expected (1, 10); squeeze() drops a batch of one as well: write flatten(1) in its place."),
    ],
)
def test_a_net_of_the_field_is_refused_in_one_line(
    name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--arch", FIELD / f"{name}.py", "--results", tmp_path / "r", *SHORT) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert f"{name}.py" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "as_name"),
    [
        ("argparse_at_import", "argparse_at_import"),
        ("torchvision_models", "torchvision_models"),
        ("torchvision_models", "torchvision"),  # a file of the name of what it imports
    ],
)
def test_a_good_net_of_the_field_is_planned(
    name: str, as_name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = shutil.copy(FIELD / f"{name}.py", tmp_path / f"{as_name}.py")
    assert run("--arch", net, "--plan", "--results", tmp_path / "r", *SHORT[:-1]) == 0
    assert "6 runs to train" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["importing", "training"])
def test_nothing_is_left_behind_when_the_command_is_killed(where: str, tmp_path: Path) -> None:
    """The net holds a pipe open and waits: the pipe ends when its process, and all that it has started, has ended."""
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    waits = f"""
import os, subprocess, threading
held = os.open({str(fifo)!r}, os.O_WRONLY)
os.set_inheritable(held, True)
sleeper = subprocess.Popen(["sleep", "1000"], close_fds=False)
os.write(held, b"here")
threading.Event().wait()
"""
    if where == "importing":
        net = write(tmp_path, "waits", waits)
    else:
        net = write_faulty(tmp_path, "waits", fault=f"if len(images) == 128: exec({waits!r})")
    words = [str(RUNNER), "--arch", str(net), "--seeds", "1", "--jobs", "1", "--results", str(tmp_path / "r"), *SHORT]
    pipe = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen([sys.executable, *words]) as command:
        assert _read(pipe) == b"here"
        command.kill()
    assert _read(pipe) == b"", "nobody holds it any more"
    os.close(pipe)


def _read(pipe: int) -> bytes:
    """What comes next, waited for as long as a busy machine may take."""
    ready, _, _ = select.select([pipe], [], [], 300)
    assert ready, "nothing came"
    return os.read(pipe, 100)
