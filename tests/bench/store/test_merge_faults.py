"""Merging results directories: what a kill leaves, and places that cannot be merged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import bench.studies.stored.merge
from bench.core.errors import NoStoreError, StoreError
from bench.studies.stored.merge import Merged
from bench.system.files import write_atomically
from tests import ROOT
from tests.bench.store.merging import FIRST, SECOND, add, do, dump, plan, statuses
from tests.factories import make_request


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _in_files() -> None:
    seen = []

    def second_time(path: Path, content: bytes) -> None:
        seen.append(path)
        if len(seen) == 2:
            _die()
        write_atomically(path, content)

    vars(bench.studies.stored.merge)["write_atomically"] = second_time


def _between() -> None:
    copy = bench.studies.stored.merge._copy_files

    def copy_and_die(*given: Any, **named: Any) -> None:
        copy(*given, **named)
        _die()

    vars(bench.studies.stored.merge)["_copy_files"] = copy_and_die


def _in_rows() -> None:
    @sa.event.listens_for(sa.Engine, "after_cursor_execute")
    def _(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO bench_study_requests"):
            _die()


def _before_commit() -> None:
    @sa.event.listens_for(sa.Engine, "commit")
    def _(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("bench_writes"):
            _die()


MOMENTS = {"files": _in_files, "between": _between, "rows": _in_rows, "commit": _before_commit}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_here_as_it_was_but_for_unused_files(here: Path, other: Path, moment: str) -> None:
    add(here, FIRST, status="failed")
    plan(here, FIRST)
    for request in (FIRST, SECOND):
        add(other, request)
    plan(other, FIRST, SECOND)
    before = dump(here)
    words = [sys.executable, __file__, moment, str(other), str(here)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run(words, check=False, env=environment, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    after = dump(here)
    assert {name: after[name] for name in before} == before
    assert all(name.startswith("checkpoints/") for name in after.keys() - before.keys())
    assert do(other, here) == Merged(merged=2, already=0, studies=("main",))


def test_another_program_that_writes_meanwhile_is_noticed(
    here: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(other, FIRST)
    copy = bench.studies.stored.merge._copy_files

    def copy_and_store(*words: Any, **options: Any) -> set[str]:
        add(here, FIRST, status="failed")
        return copy(*words, **options)

    monkeypatch.setattr(bench.studies.stored.merge, "_copy_files", copy_and_store)
    with pytest.raises(StoreError, match="written by another program while files were copied; run the same"):
        do(other, here)
    assert statuses(here) == {FIRST.id: "failed"}


def test_places_that_cannot_be_merged_are_one_line_each(here: Path, other: Path) -> None:
    add(here, FIRST)
    before = dump(here)
    with pytest.raises(NoStoreError, match=r"no bench\.db in '.*other'; name a results directory"):
        do(other, here)
    for file in (here / "bench.db", Path(__file__)):
        with pytest.raises(StoreError, match=rf"{file.name}' is a file; name the results directory that is to be"):
            do(file, here)
    for same in (here, here / ".." / "here"):
        with pytest.raises(StoreError, match="is the results directory itself"):
            do(same, here)
    with pytest.raises(StoreError, match=r"cannot be read \(File name too long\)"):
        do(Path("x" * 300), here)
    other.mkdir()
    (other / "bench.db").write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StoreError, match=r"other/bench\.db is not a database"):
        do(other, here)
    assert dump(here) == before


def test_damage_in_the_other_store_is_laid_to_the_other(here: Path, other: Path) -> None:
    add(here, FIRST)
    for seed in range(1, 40):
        add(other, make_request(seed))
    content = bytearray((other / "bench.db").read_bytes())
    content[-8 * 4096 :] = bytes(8 * 4096)  # pages of the last rows
    (other / "bench.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"other/bench\.db is damaged"):
        do(other, here)
    assert statuses(here) == {FIRST.id: "ok"}


if __name__ == "__main__":  # a process of its own, to be killed at one of MOMENTS
    MOMENTS[sys.argv[1]]()
    do(Path(sys.argv[2]), Path(sys.argv[3]))
