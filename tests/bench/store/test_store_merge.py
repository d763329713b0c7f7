"""Merging results directories: what comes over, under which id, what is refused, and what a kill leaves."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from store_examples import (
    make_architecture_facts,
    make_curve,
    make_dataset_facts,
    make_predictions,
    make_record,
    make_request,
    make_timing,
    store_url,
)

import bench.merge
from bench.errors import NoStoreError, StoreError
from bench.files import write_atomically
from bench.merge import Merged, merge
from bench.store.schema import metadata
from bench.store.store import open_store

if TYPE_CHECKING:
    from bench.records import RunRecord
    from bench.spec import RunRequest

FIRST, SECOND, THIRD = (make_request(seed) for seed in range(3))


def add(folder: Path, request: RunRequest, *, attempt: int = 1, weights: bytes = b"w", **changes: Any) -> RunRecord:
    """A run with weights in a results directory; another folder or attempt means another clock."""
    name = request.id if attempt == 1 else f"{request.id}-{attempt}"
    clock = f"2026-01-0{attempt}T00:00:00+00:00 in {folder.name}"
    fields = {"checkpoint": f"checkpoints/{name}.pt", "checkpoint_hash": hashlib.sha256(weights).hexdigest()}
    record = make_record(request, attempt=attempt, **{"started_at": clock} | fields | changes)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    if record.checkpoint:
        (folder / record.checkpoint).write_bytes(weights)
    with open_store(store_url(folder)) as store:
        assert store.add_run(record, make_curve(), [make_predictions("test"), make_predictions("validation", 3)])
    return record


def plan(folder: Path, *requests: RunRequest, name: str = "main", command: str = "run") -> None:
    with open_store(store_url(folder)) as store:
        store.plan_study(name, command=command, requests=requests, role="compare")


def do(other: Path, here: Path) -> Merged:
    return merge(other, results=here, store_url=store_url(here))


def dump(folder: Path) -> dict[str, Any]:
    """Every row of every table and every file but the database's own."""
    found: dict[str, Any] = {}
    if (folder / "bench.db").exists():
        with sqlite3.connect(folder / "bench.db") as database:
            for table in metadata.tables:
                found[table] = sorted(map(repr, database.execute(f"SELECT * FROM {table}")))  # noqa: S608
        database.close()
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("bench.db")]
    return found | {str(path.relative_to(folder)): path.read_bytes() for path in files}


def statuses(folder: Path) -> dict[str, str]:
    with sqlite3.connect(folder / "bench.db") as database:
        found = dict(database.execute("SELECT run_id, status FROM bench_runs"))
    database.close()
    return found


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return tmp_path / "other"


def test_everything_comes_over_to_the_bit_and_the_other_stays(here: Path, other: Path) -> None:
    records = [add(other, FIRST, weights=b"one"), add(other, SECOND, weights=b"two", test_loss=float("nan"))]
    plan(other, FIRST, SECOND, command="python runner.py --all")
    with open_store(store_url(other)) as store:
        store.add_architecture(make_architecture_facts())
        store.add_dataset(make_dataset_facts())
        store.add_timing(make_timing())
        study = store.load_study("main")
    before = dump(other)
    assert do(other, here) == Merged(merged=2, already=0, studies=("main",))
    assert dump(other) == before
    with open_store(store_url(here)) as store:
        found = store.load_study("main")
        for record in records:
            assert repr(store.find_run(record.run_id)) == repr(record)
            for split, count in (("test", 5), ("validation", 3)):
                arrays = store.predictions(record.run_id, split)
                assert arrays.confidence.tobytes() == make_predictions(split, count).confidence.tobytes()
    assert repr(found) == repr(study)
    assert found.curves[FIRST.id] == make_curve()
    assert [(here / record.checkpoint).read_bytes() for record in records] == [b"one", b"two"]


def test_doing_it_twice_changes_nothing(here: Path, other: Path) -> None:
    add(here, FIRST, status="failed")
    plan(here, FIRST)
    for attempt, status in enumerate(("failed", "ok"), start=1):
        add(other, FIRST, attempt=attempt, status=status, error="their own")
    add(other, SECOND, status="diverged", test_loss=float("nan"), test_accuracy=None)
    plan(other, FIRST, SECOND)
    plan(other, SECOND, name="second")
    with open_store(store_url(other)) as store:
        store.add_timing(make_timing())
    assert do(other, here) == Merged(merged=3, already=0, studies=("second", "main"))
    before = dump(here)
    assert do(other, here) == Merged(merged=0, already=3, studies=("second", "main"))
    assert dump(here) == before


def test_the_same_run_is_here_already_whatever_its_clock(here: Path, other: Path) -> None:
    mine = add(here, FIRST)
    add(other, FIRST, train_seconds=99.0)
    add(other, SECOND, status="failed", error="out of memory")
    add(here, SECOND, status="failed", error="out of memory")
    assert do(other, here) == Merged(merged=0, already=2)
    with open_store(store_url(here)) as store:
        assert store.find_run(FIRST.id) == mine


@pytest.mark.parametrize(
    ("changes", "theirs"),
    [
        ({"weights_hash": "e" * 64}, "test accuracy 0.9893 (weights eeeeeeee)"),
        ({"test_accuracy": 0.5}, "test accuracy 0.5 (weights dddddddd)"),
        ({"test_loss": 0.25}, "test accuracy 0.9893 (weights dddddddd)"),
        ({"steps": 74}, "test accuracy 0.9893 (weights dddddddd)"),
        ({"status": "diverged", "error": "no longer\nfinite"}, "'diverged: no longer finite'"),
        ({"attempt": 2, "test_accuracy": 0.5}, "test accuracy 0.5 (weights dddddddd)"),
    ],
)
def test_a_contradiction_changes_nothing_and_names_both(
    here: Path, other: Path, changes: dict[str, Any], theirs: str
) -> None:
    add(here, SECOND)
    add(other, FIRST)
    add(other, SECOND, **changes)
    before = dump(here)
    with pytest.raises(StoreError) as refusal:
        do(other, here)
    said = str(refusal.value)
    assert "alpha with seed 1 ended here with test accuracy 0.9893 (weights dddddddd), there with " + theirs in said
    assert "empty directory (--results NEW)" in said
    assert "\n" not in said
    assert dump(here) == before


def test_a_repetition_that_the_other_made_of_a_shared_run_is_no_contradiction(here: Path, other: Path) -> None:
    add(here, FIRST, started_at="once")
    add(other, FIRST, started_at="once")
    add(other, FIRST, attempt=2, deterministic=False, test_accuracy=0.5)
    assert do(other, here) == Merged(merged=1, already=1)
    assert statuses(here) == {FIRST.id: "ok", f"{FIRST.id}-2": "ok"}


def test_what_is_not_settled_comes_as_a_further_attempt(here: Path, other: Path) -> None:
    add(here, FIRST, status="failed")
    add(here, FIRST, attempt=2, status="failed")
    add(other, FIRST, weights=b"theirs")
    add(here, SECOND)
    add(other, SECOND, status="failed", error="their own")
    add(here, THIRD, status="interrupted")
    add(other, THIRD)
    assert do(other, here) == Merged(merged=3, already=0)
    expected = {FIRST.id: "failed", f"{FIRST.id}-2": "failed", f"{FIRST.id}-3": "ok"}
    expected |= {SECOND.id: "ok", f"{SECOND.id}-2": "failed", THIRD.id: "interrupted", f"{THIRD.id}-2": "ok"}
    assert statuses(here) == expected
    with open_store(store_url(here)) as store:
        counted = store.counted_runs([FIRST.id, SECOND.id, THIRD.id])
        assert store.curve(f"{FIRST.id}-3") == make_curve()
        assert store.next_attempts([FIRST.id]) == {FIRST.id: 4}
    assert [counted[r.id].run_id for r in (FIRST, SECOND, THIRD)] == [f"{FIRST.id}-3", SECOND.id, f"{THIRD.id}-2"]
    assert (counted[FIRST.id].attempt, counted[FIRST.id].checkpoint) == (3, f"checkpoints/{FIRST.id}-3.pt")
    assert (here / counted[FIRST.id].checkpoint).read_bytes() == b"theirs"


def test_interrupted_runs_come_over_only_where_there_is_no_attempt(here: Path, other: Path) -> None:
    add(here, FIRST, status="failed")
    add(other, FIRST, status="interrupted")
    add(other, SECOND, status="interrupted", checkpoint="")
    for request in (FIRST, SECOND):
        (other / "checkpoints" / f"{request.id}.unfinished").write_bytes(b"state")
    assert do(other, here) == Merged(merged=1, already=1)
    assert statuses(here) == {FIRST.id: "failed", SECOND.id: "interrupted"}
    assert {path.name for path in (here / "checkpoints").iterdir()} == {f"{FIRST.id}.pt", f"{SECOND.id}.unfinished"}


def test_states_come_over_for_runs_that_a_kill_left_without_a_row(here: Path, other: Path) -> None:
    add(here, FIRST)
    add(other, SECOND)
    for name in (FIRST.id, SECOND.id, THIRD.id, "ours"):
        (other / "checkpoints" / f"{name}.unfinished").write_bytes(b"theirs")
    (here / "checkpoints" / "ours.unfinished").write_bytes(b"ours")
    do(other, here)
    found = {path.stem: path.read_bytes() for path in (here / "checkpoints").glob("*.unfinished")}
    assert found == {THIRD.id: b"theirs", "ours": b"ours"}


def test_a_run_whose_weights_are_gone_comes_without_and_changed_ones_are_refused(here: Path, other: Path) -> None:
    record = add(other, FIRST)
    (other / record.checkpoint).write_bytes(b"changed")
    with pytest.raises(StoreError, match=f"{FIRST.id}.pt' are not those that were stored"):
        do(other, here)
    (other / record.checkpoint).unlink()
    assert do(other, here) == Merged(merged=1, already=0)
    with open_store(store_url(here)) as store:
        assert store.find_run(FIRST.id) == dataclasses.replace(record, checkpoint="")


def test_a_path_in_the_other_store_never_leads_outside(here: Path, other: Path) -> None:
    add(other, FIRST, checkpoint="checkpoints/../../secret.pt", weights=b"secret")
    do(other, here)
    assert not list(here.rglob("*.pt"))


def test_of_two_cohorts_here_s_stays_compared_and_theirs_is_kept(here: Path, other: Path) -> None:
    edited = [make_request(seed, architecture_hash="edited") for seed in range(2)]
    for folder, requests in ((here, [FIRST]), (other, edited)):
        for request in (*requests, make_request(0, name="beta" if folder == here else "gamma")):
            add(folder, request)
            plan(folder, request)
    add(other, SECOND)  # HERE's cohort, which the other no longer compares
    plan(other, SECOND)
    plan(other, *edited)
    do(other, here)
    with open_store(store_url(here)) as store:
        study = store.load_study("main")
    found = sorted((record.architecture, record.architecture_hash, record.seed) for record in study.records)
    alpha = [("alpha", "hash of alpha", 0), ("alpha", "hash of alpha", 1)]
    assert found == [*alpha, ("beta", "hash of beta", 0), ("gamma", "hash of gamma", 0)]
    assert study.superseded == 2


def test_the_study_that_is_shown_stays_the_one_that_is_shown(here: Path, other: Path, tmp_path: Path) -> None:
    plan(here, FIRST, name="old", command="mine")
    plan(here, FIRST, name="mine")
    for name in ("a", "b", "old"):
        plan(other, SECOND, name=name, command="theirs")
    do(other, here)
    with open_store(store_url(here)) as store:
        assert store.study_names() == ["mine", "old", "b", "a"]
        assert store.load_study("old").command == "mine"
    do(other, tmp_path / "empty")
    with open_store(store_url(tmp_path / "empty")) as store:
        assert store.study_names() == ["old", "b", "a"]


def test_the_latest_timing_stays_here_s(here: Path, other: Path) -> None:
    with open_store(store_url(here)) as store:
        store.add_timing(make_timing(measured_at="mine"))
    with open_store(store_url(other)) as store:
        for moment in ("1", "2"):
            store.add_timing(make_timing(measured_at=moment))
            store.add_timing(make_timing(measured_at=moment, machine="m2"))
    do(other, here)
    key = {"architecture_hash": "hash of alpha", "device": "cpu"}
    with open_store(store_url(here)) as store:
        found = [store.timing(**key, machine=machine) for machine in ("m1", "m2")]
        store.add_timing(make_timing(measured_at="later"))
        later = store.timing(**key, machine="m1")
    assert [timing.measured_at for timing in (*found, later) if timing] == ["mine", "2", "later"]
    assert len(dump(here)["bench_timings"]) == 6


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _in_files() -> None:
    seen = []

    def second_time(path: Path, content: bytes) -> None:
        seen.append(path)
        if len(seen) == 2:
            _die()
        write_atomically(path, content)

    vars(bench.merge)["write_atomically"] = second_time


def _between() -> None:
    vars(bench.merge)["writing"] = _die


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
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
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
    copy = bench.merge._copy_files

    def copy_and_store(*words: Any, **options: Any) -> set[str]:
        add(here, FIRST, status="failed")
        return copy(*words, **options)

    monkeypatch.setattr(bench.merge, "_copy_files", copy_and_store)
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
    content[-8 * 4096 :] = bytes(8 * 4096)  # pages of the last rows: found out long after the store was opened
    (other / "bench.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"other/bench\.db is a damaged database"):
        do(other, here)
    assert statuses(here) == {FIRST.id: "ok"}


def test_the_line_that_is_said() -> None:
    assert str(Merged(merged=12, already=3)) == "12 runs merged, 3 were here already."
    assert str(Merged(merged=1, already=1)) == "1 run merged, 1 was here already."


@pytest.mark.parametrize(
    ("names", "into"),
    [
        (("main",), "study main"),
        (("a\nb", "main"), "studies a b and main"),
        (("a", "b", "c"), "studies a, b and c"),
        (("a", "b", "c", "d"), "studies a, b, c and 1 more"),
        (tuple(map(str, range(1_003))), "studies 0, 1, 2 and 1,000 more"),
    ],
)
def test_the_line_names_the_studies(names: tuple[str, ...], into: str) -> None:
    assert str(Merged(merged=10, already=0, studies=names)) == f"10 runs merged into {into}, 0 were here already."


def test_the_studies_of_the_other_are_named_the_last_planned_first(here: Path, other: Path) -> None:
    add(here, FIRST)
    plan(here, FIRST, name="ours")
    add(other, SECOND)
    for name in ("early", "late", "early"):
        plan(other, SECOND, name=name)
    assert do(other, here) == Merged(merged=1, already=0, studies=("early", "late"))
    with open_store(store_url(here)) as store:
        assert store.study_names() == ["ours", "early", "late"]


if __name__ == "__main__":  # a process of its own, to be killed at one of MOMENTS
    MOMENTS[sys.argv[1]]()
    do(Path(sys.argv[2]), Path(sys.argv[3]))
