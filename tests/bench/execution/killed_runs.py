"""Trains runs in processes that are killed again and again, and says how often and where.

    python killed_runs.py RESULTS ARCHITECTURE KILLS ENGINE

Every try is a fork that SIGKILL ends: at a random moment, or at one of `MOMENTS`, which lie inside the writing of a
file or of the store. After so many kills each run is left to end, and its bits are compared with those of the same run
undisturbed. Prints one line of JSON: kills by moment, runs, and the runs whose bits differ.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa

from bench.execution.worker import train_run
from bench.models.registry import discover
from bench.store.runs import Runs
from bench.store.store import open_store
from bench.system import files
from tests import ROOT
from tests.bench.runs import make_task, make_workplace, stored_bits

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.core.run import Task, Workplace

ARCHITECTURES = ROOT / "architectures"
KILLS_PER_RUN = 9


def die() -> NoReturn:
    """As the kernel ends a process: nothing is flushed, closed or said."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def _half_written(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f".{path.name}.torn").write_bytes(content[: len(content) // 2])
    die()


def _in_state_file() -> None:
    sys.modules["bench.training.checkpoint"].write_atomically = _half_written  # type: ignore[attr-defined]


def _before_rename() -> None:
    Path.replace = lambda *_: die()  # type: ignore[method-assign]


def _after_rename() -> None:
    def write(path: Path, content: bytes) -> None:
        files.write_atomically(path, content)
        die()

    sys.modules["bench.training.checkpoint"].write_atomically = write  # type: ignore[attr-defined]


def _in_transaction() -> None:
    @sa.event.listens_for(sa.Engine, "after_cursor_execute")
    def _(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO bench_curves"):
            die()


def _before_commit() -> None:
    @sa.event.listens_for(sa.Engine, "commit")
    def _(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("bench_writes"):
            die()


def _after_commit() -> None:
    add = Runs.add

    def add_run(self: Runs, *arguments: Any) -> bool:
        add(self, *arguments)
        die()

    Runs.add = add_run  # type: ignore[assignment,method-assign]


MOMENTS: dict[str, Callable[[], None]] = {
    "half a state or weights file written": _in_state_file,
    "before a file is renamed": _before_rename,
    "after a file is renamed": _after_rename,
    "inside the store's transaction": _in_transaction,
    "before the store's commit": _before_commit,
    "after the store's commit": _after_commit,
}


def try_once(task: Task, workplace: Workplace, *, moment: str = "", seconds: float | None = None) -> bool:
    """One try in a process of its own; True when it was killed."""
    child = os.fork()
    if child == 0:
        if moment:
            MOMENTS[moment]()
        train_run(task, workplace, lambda _message: None)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError(f"{task.run_id} ended with exit code {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


def main() -> None:
    """Kill, compare, count."""
    results, name, wanted, engine = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    architecture = discover(ARCHITECTURES).select([name])[0]
    chance, kills, differ = random.Random(architecture.name), collections.Counter[str](), []  # noqa: S311
    for seed in itertools.count():
        if kills.total() >= wanted:
            break
        task = make_task(architecture, seed=seed, engine=engine)
        killed, whole = make_workplace(results / "killed"), make_workplace(results / "whole")
        started = time.perf_counter()
        try_once(task, whole)
        duration = time.perf_counter() - started
        moments = chance.sample([*MOMENTS, *["at random"] * len(MOMENTS)], KILLS_PER_RUN)
        for moment in sorted(moments, key=lambda name: "store" in name):  # the store is written last of all
            planted = {"moment": moment} if moment in MOMENTS else {"seconds": chance.uniform(0, 0.7 * duration)}
            kills[moment] += try_once(task, killed, **planted)
        try_once(task, killed)
        if stored_bits(killed, task.run_id) != stored_bits(whole, task.run_id):
            differ.append(task.run_id)
    with open_store(killed.store_url) as store:
        ids = [make_task(architecture, seed=done, engine=engine).request.id for done in range(seed)]
        finished = len(store.runs.counted(ids))
    left = [path.name for path in (results / "killed" / "checkpoints").iterdir() if path.suffix != ".pt"]
    struck = {moment: count for moment, count in kills.items() if count}
    print(json.dumps({"kills": struck, "runs": finished, "differ": differ, "left": left}))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()
