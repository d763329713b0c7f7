"""The machine fails under a study: one clear line, nothing stored is lost, the same command goes on from there."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import sqlite3
import subprocess
import sys
import time
import types
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.core.errors import StoreError
from bench.core.run import Workplace
from bench.execution.pool import LocalPool
from bench.execution.worker import ended_when_hung
from bench.store.store import open_store
from bench.training import result
from tests.front_door import RUNNER, SHORT, TINY, rows, run

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANTED = """if self.training and len(images) == 128:
            import pathlib, time
            fault, results = pathlib.Path({fault!r}), pathlib.Path({results!r})
            if fault.exists() and any(results.glob("checkpoints/*.pt")):
                while not (results / "report.html").exists():
                    time.sleep(0.01)
                code = fault.read_text()
                fault.unlink()
                exec(code)
        return self"""
COUNTED = """if self.training and len(images) == 128 and not getattr(self, "counted", False):
            self.counted = True
            with open({log!r}, "a") as log:
                log.write("a training\\n")
        return self"""

FILL = """
import contextlib
with contextlib.suppress(OSError), open({results!r} + "/ballast", "wb", buffering=0) as ballast:
    while True:
        ballast.write(bytes(4096))
"""
LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
"""Bytes: less than the 28 kB of the net's weights."""
FORBID = """
import os, pathlib
for path in [*pathlib.Path({results!r}).rglob("*"), pathlib.Path({results!r})]:
    path.chmod(0o555 if path.is_dir() else 0o444)
assert not os.access({results!r}, os.W_OK)
"""
WITHOUT_OVERRIDE = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
if os.getuid() == 0 and ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0):
    sys.exit("not permitted")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Starts a program that permissions bind even when root starts it."""
LOCK = """
import pathlib, sqlite3, sys, time
signs = pathlib.Path(sys.argv[2])
while not (signs / "wanted").exists():
    time.sleep(0.01)
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
(signs / "held").touch()
sys.stdin.read()
"""
WAIT_FOR_LOCK = """
import pathlib, time
signs = pathlib.Path({folder!r})
(signs / "wanted").touch()
while not (signs / "held").exists():
    time.sleep(0.01)
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A study whose net runs `fault.py`, once, in the first batch after the first run is reported."""
    results = tmp_path / "r"
    results.mkdir()
    net = tmp_path / "tiny.py"
    planted = PLANTED.format(fault=str(tmp_path / "fault.py"), results=str(results))
    net.write_text(TINY.format(hidden=8, classes=10).replace("return self", planted))
    return ["--arch", str(net), "--seeds", "2", "--jobs", "1", "--results", str(results), *SHORT]


def plant(folder: Path, code: str) -> None:
    (folder / "fault.py").write_text(code.format(folder=str(folder), results=str(folder / "r")))


def start(*words: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *before, str(RUNNER), *words], capture_output=True, text=True, check=False)


def stored(results: Path) -> list[tuple[Any, ...]]:
    """Every run in the database, once the database itself is found whole."""
    with closing(sqlite3.connect(results / "bench.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        columns = "architecture, seed, attempt, status, started_at, finished_at, weights_hash, test_accuracy"
        return database.execute(f"SELECT {columns} FROM bench_runs ORDER BY architecture, seed, attempt").fetchall()  # noqa: S608


def assert_one_line(said: str, *parts: str) -> None:
    assert said.startswith("runner.py: ")
    assert len(said.strip().splitlines()) == 1, said
    for part in parts:
        assert part in said


def assert_goes_on(words: list[str], results: Path, before: list[tuple[Any, ...]]) -> None:
    """One run was stored; the same command keeps it to the bit and adds the other, at its first attempt."""
    assert [run[:4] for run in before] == [("tiny", 0, 1, "ok")]
    assert run(*words) == 0
    after = stored(results)
    assert after[:1] == before
    assert [run[:4] for run in after] == [("tiny", 0, 1, "ok"), ("tiny", 1, 1, "ok")]
    assert [row["status"] for row in rows(results)] == ["ok", "ok"]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 8 MB of its own at `folder`."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607


def test_a_disk_that_fills_half_way(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "r"
    with small_disk(results):
        plant(tmp_path, FILL)
        assert run(*words) == 2
        assert_one_line(capsys.readouterr().err, str(results), "No space left", "nothing stored is lost", "free some")
        before = stored(results)
        assert "Study main: 1 run, 1 ended ok" in (results / "report.md").read_text(), "the report of what was there"
        (results / "ballast").unlink()
        assert_goes_on(words, results, before)


def test_files_that_may_not_grow(words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="limits of a process are POSIX")
    plant(tmp_path, LIMIT)
    ended = start(*words)
    assert ended.returncode == 2
    assert_one_line(ended.stderr, str(tmp_path / "r"), "File too large", "nothing stored is lost", "same command")
    assert_goes_on(words, tmp_path / "r", stored(tmp_path / "r"))


@pytest.mark.skipif(sys.platform != "linux", reason="drops a Linux capability, so that permissions bind root")
def test_a_directory_that_turns_read_only_half_way(words: list[str], tmp_path: Path) -> None:
    results = tmp_path / "r"
    plant(tmp_path, FORBID)
    ended = start(*words, before=("-c", WITHOUT_OVERRIDE))
    if "not permitted" in ended.stderr:
        pytest.skip("a capability cannot be dropped here")
    for path in (results, *results.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert ended.returncode == 2
    assert_one_line(ended.stderr, str(results), "Permission denied", "nothing stored is lost", "fix its permissions")
    assert_goes_on(words, results, stored(results))


def test_a_worker_process_that_cannot_write_says_so(tmp_path: Path) -> None:
    (tmp_path / "r").touch()
    workplace = Workplace(results=tmp_path / "r", store_url="", data_dir=tmp_path, jobs=2)
    task: Any = types.SimpleNamespace(run_id="a", timeout_seconds=60.0)
    with pytest.raises(StoreError, match=r"/r' cannot be written \(Not a directory\); nothing stored is lost"):  # noqa: SIM117
        with ended_when_hung(task, workplace):
            pass


@pytest.fixture
def _in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """One job trains in this process, where a test can plant a fault from inside."""
    monkeypatch.setattr(LocalPool, "_train_in_process", LocalPool._train_here)


@pytest.mark.usefixtures("_in_a_thread")
def test_a_store_locked_by_another_program(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_store.__kwdefaults__ is not None
    monkeypatch.setitem(open_store.__kwdefaults__, "timeout_seconds", 0.5)
    plant(tmp_path, WAIT_FOR_LOCK)
    database = tmp_path / "r" / "bench.db"
    with subprocess.Popen([sys.executable, "-c", LOCK, database, tmp_path], stdin=subprocess.PIPE) as other:
        try:
            assert run(*words) == 2
            locked = f"{database} was locked by another program for 0.5 s"
            assert_one_line(capsys.readouterr().err, locked, "end that program", "same command")
            assert run(*words) == 2, "it is still there"
            assert_one_line(capsys.readouterr().err, locked)
            before = stored(tmp_path / "r")
        finally:
            other.kill()
    assert_goes_on(words, tmp_path / "r", before)


@pytest.mark.usefixtures("_in_a_thread")
def test_a_clock_that_jumps_back(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOCK_SHIFT", "0")
    right = time.time

    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Clock:
            return cls.fromtimestamp(time.time(), tz)

    monkeypatch.setattr(time, "time", lambda: right() + float(os.environ["CLOCK_SHIFT"]))
    monkeypatch.setattr(result, "dt", types.SimpleNamespace(datetime=Clock, UTC=dt.UTC))
    plant(tmp_path, "import os; os.environ['CLOCK_SHIFT'] = '-3600'")
    results = tmp_path / "r"
    assert run(*words) == 0
    first, second = stored(results)
    assert second[4] > second[5], "the fault: by the clock, the second run ended before it began"
    assert second[5] < first[5]
    for row in rows(results):
        assert 0 < float(row["train_seconds"]) <= float(row["wall_seconds"]) < 600
    assert "Study main: 2 runs, 2 ended ok" in (results / "report.md").read_text()
    assert run(*words) == 0
    assert stored(results) == [first, second], "nothing was trained again"
    monkeypatch.setenv("CLOCK_SHIFT", "-7200")
    assert run(*words, "--fresh", "--seeds", 1) == 0
    assert {row["seed"]: row["run_id"].endswith("-2") for row in rows(results)} == {"0": True, "1": False}
    assert run(*words, "--seeds", 1, "--study", "later") == 0
    assert run("--report", "--results", results) == 0
    assert {row["study"] for row in rows(results)} == {"later"}


def test_two_runners_at_once_share_the_work(tmp_path: Path) -> None:
    log, results = tmp_path / "log", tmp_path / "r"
    net = TINY.format(hidden=8, classes=10).replace("return self", COUNTED.format(log=str(log)))
    for name in ("tiny", "other"):
        (tmp_path / f"{name}.py").write_text(net.replace('"tiny"', f'"{name}"'))
    nets = ["--arch", str(tmp_path / "tiny.py"), "--arch", str(tmp_path / "other.py")]
    command = [sys.executable, str(RUNNER), *nets, "--seeds", "2", "--jobs", "1", "--results", str(results), *SHORT]
    with contextlib.ExitStack() as stack:
        both = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
            for _ in range(2)
        ]
        ends = [(runner.communicate()[1], runner.returncode) for runner in both]
    assert ends == [("", 0)] * 2
    four = [("other", 0), ("other", 1), ("tiny", 0), ("tiny", 1)]
    assert [run[:4] for run in stored(results)] == [(*key, 1, "ok") for key in four]
    assert log.read_text().splitlines() == ["a training"] * 4
    assert sorted((row["architecture"], int(row["seed"])) for row in rows(results)) == four
    assert "4 of 4 runs ok" in (results / "report.md").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("action", ["--list", "--help"])
def test_output_that_cannot_be_written(action: str) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, str(RUNNER), action]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2
    assert_one_line(ended.stderr, "No space left on device", "run the command again")


def test_output_that_nobody_reads() -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as when `| head -1` has seen enough
    try:
        command = [sys.executable, str(RUNNER), "--list"]
        ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("more", [[], ["--plan"], ["--report"]])
def test_a_database_of_another_program_is_left_alone(
    more: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "r" / "bench.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE recipes (dish TEXT)")
        database.execute("INSERT INTO recipes VALUES ('soup')")
    content = file.read_bytes()
    asked = ["--report", "--results", str(tmp_path / "r")] if "--report" in more else [*words, *more]
    assert run(*asked) == 2
    assert_one_line(capsys.readouterr().err, str(file), "another program", "'recipes'", "move it away", "--results")
    assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir()] == ["bench.db"]
