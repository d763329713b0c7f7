"""Ctrl-C, SIGTERM and SIGHUP, once and often: the same words, no traceback, nothing stored is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from bench.system import interrupts
from tests.front_door import RUNNER, rows, write_tiny

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")

Running = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def _terminal() -> Iterator[None]:
    """The end of a terminal is heard, whatever started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def follow(folder: Path, until: str, send: Callable[[Running], None], *, jobs: int, seeds: int = 200) -> list[str]:
    """Start a study, send something when a line of its output holds a text; its exit code, output and errors."""
    words = ["--arch", str(write_tiny(folder)), "--seeds", str(seeds), "--jobs", str(jobs), "--results", str(folder)]
    command = [sys.executable, str(RUNNER), *words, "--dataset", "mnist5k", "--epochs", "1", "--no-timing"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, start_new_session=True) as process:  # type: ignore[call-overload]
        said = ""
        for line in process.stdout:
            said += line
            if until in line:
                send(process)
                break
        rest, errors = process.communicate()
    return [str(process.returncode), " ".join((said + rest).split()), errors]


def often(number: int, *, everybody: bool) -> Callable[[Running], None]:
    """Ten times within about 200 ms, to the program or, as a terminal does it, to all of its processes."""

    def send(process: Running) -> None:
        for _ in range(10):
            if process.poll() is None:
                (os.killpg if everybody else os.kill)(process.pid, number)
            time.sleep(0.02)  # signals that come at once are one signal

    return send


def test_a_signal_has_the_words_of_ctrl_c(tmp_path: Path) -> None:
    code, said, errors = follow(tmp_path, " 2/200]", lambda process: process.send_signal(signal.SIGTERM), jobs=1)
    assert (code, errors) == ("130", "")
    assert "Stopping … Interrupted. " in said
    assert "of 200 runs begun so far have ended and are stored" in said
    assert said.endswith(f"the same command goes on from there. Report so far: {tmp_path / 'report.html'}")
    assert "tiny" in (tmp_path / "report.html").read_text()
    ended = [row["status"] for row in rows(tmp_path)]
    assert ended.count("ok") >= 2
    assert set(ended) <= {"ok", "interrupted"}


@pytest.mark.parametrize(
    ("number", "jobs", "everybody"),
    [(signal.SIGINT, 1, False), (signal.SIGINT, 2, True), (signal.SIGHUP, 2, True)],
)
def test_ten_signals_are_one(number: int, jobs: int, everybody: bool, tmp_path: Path) -> None:  # noqa: FBT001
    code, said, errors = follow(tmp_path, " 2/200]", often(number, everybody=everybody), jobs=jobs)
    assert (code, errors) == ("130", "")
    assert said.count("Stopping …") == said.count("Interrupted. ") == 1
    assert [row["status"] for row in rows(tmp_path)].count("ok") >= 2


def test_a_signal_before_anything_trains(tmp_path: Path) -> None:
    code, said, errors = follow(tmp_path, "Data:", often(signal.SIGINT, everybody=True), jobs=2)
    assert code == "130"
    told = "what was finished is stored, the same command goes on from there."
    assert errors == f"runner.py: interrupted; {told}\n" or "the same command goes on from there." in said
    assert "Traceback" not in errors


def test_under_nohup_the_end_of_the_terminal_is_not_heard(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a process hands on to those that it starts
    try:
        code, said, errors = follow(tmp_path, "Study:", often(signal.SIGHUP, everybody=True), jobs=1, seeds=1)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (code, errors) == ("0", "")
    assert "Stopping" not in said
    assert [row["status"] for row in rows(tmp_path)] == ["ok"]


@pytest.fixture
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts.STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_own_handlers")
def test_a_signal_long_after_the_first_ends_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    ended: list[float] = []
    announced: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(interrupts, "_end_at_once", lambda: ended.append(now[0]))
    with interrupts.stoppable() as stop, interrupts.stoppable() as inner:
        assert inner is stop
        stop.announce = lambda: announced.append(now[0])
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        for now[0] in (100.0, 102.0, 105.0):
            signal.raise_signal(signal.SIGINT)
        assert ended == []
        now[0] = 105.1
        signal.raise_signal(signal.SIGHUP)
    assert (announced, ended) == ([100.0], [105.1])
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_ends_at_once_leaves_no_process_behind() -> None:
    script = (
        "import subprocess, sys; from bench.system import interrupts\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True); interrupts._end_at_once()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=RUNNER.parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 130
    assert ended.stderr == (
        "runner.py: ended at once; what was finished is stored, the same command goes on from there.\n"
    )
    deadline = time.monotonic() + 60
    with contextlib.suppress(psutil.NoSuchProcess):  # where nobody asks how it ended, its number stays
        while psutil.Process(int(ended.stdout)).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "it goes on"
