"""A plan under way: how long the rest takes at the pace of the runs that ended, and what a kill left is swept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from bench.core.events import RunFinished
from bench.core.run import Plan
from bench.execution import scheduler
from bench.execution.worker import train_run
from tests.bench.runs import make_task, make_workplace

if TYPE_CHECKING:
    from pathlib import Path


def test_the_rest_is_what_has_not_ended_at_the_pace_so_far() -> None:
    remaining = scheduler.Remaining({"a": 10.0, "b": 10.0, "c": 20.0, "d": 10.0}, jobs=2)
    # Nothing is known of the pace: 50 s of work on two workers.
    assert remaining.seconds() == pytest.approx(25.0)
    remaining.finish("a", 15.0)
    # Runs take half as long again as estimated: the other 40 s of work are 60, on two workers 30.
    assert remaining.seconds() == pytest.approx(30.0)
    assert remaining.done == 1
    remaining.finish("b", 5.0)
    # Together a and b took what was estimated: 30 s of work on two workers.
    assert remaining.seconds() == pytest.approx(15.0)
    remaining.finish("d", 40.0)
    # 30 s were estimated and 60 taken; a single run is not shared: 20 s twice.
    assert remaining.seconds() == pytest.approx(40.0)
    remaining.finish("c", 20.0)
    assert (remaining.seconds(), remaining.done) == (0.0, 4)


def test_as_many_workers_as_runs_share_no_run() -> None:
    remaining = scheduler.Remaining({"a": 8.0, "b": 8.0, "c": 8.0}, jobs=4)
    assert remaining.seconds() == pytest.approx(8.0)
    remaining.finish("b", 8.0)
    assert remaining.seconds() == pytest.approx(8.0)


def test_a_run_that_failed_at_once_says_nothing_of_the_pace_and_the_rest_is_never_nothing() -> None:
    remaining = scheduler.Remaining({"a": 10.0, "b": 10.0, "c": 0.2}, jobs=1)
    remaining.finish("a", None)
    assert remaining.seconds() == pytest.approx(10.2)
    remaining.finish("b", 10.0)
    assert remaining.seconds() == 1.0  # 0.2 s, which would be shown as 0 s


def test_a_stream_of_runs_says_the_pace_of_those_that_ended_well(tmp_path: Path) -> None:
    first, *others = (make_task(epochs=1, seed=seed) for seed in range(3))
    broken = dataclasses.replace(first, request=dataclasses.replace(first.request, data_hash="other"))
    tasks = (broken, *others)
    plan = Plan(tasks=tasks, seconds={task.run_id: 50.0 for task in tasks}, reused=(), measured=False)
    ended = [event for event in scheduler.run(plan, make_workplace(tmp_path)) if isinstance(event, RunFinished)]
    assert [event.record.status for event in ended] == ["failed", "ok", "ok"]
    assert ended[0].seconds_left == pytest.approx(100.0)
    # The second took a second or so where 50 were estimated, and so will the last.
    assert ended[1].seconds_left is not None
    assert 1.0 <= ended[1].seconds_left < 25.0
    assert ended[2].seconds_left == 0.0


def test_files_that_a_kill_left_behind_a_stored_run_are_swept(tmp_path: Path) -> None:
    workplace = make_workplace(tmp_path)
    ended, cut = make_task(epochs=1), make_task(epochs=1, seed=1)
    train_run(ended, workplace, lambda _message: None)
    folder = workplace.results / "checkpoints"
    left = [folder / f"{ended.run_id}.unfinished", folder / f"{ended.run_id}.hang", folder / f".{ended.run_id}.pt.x1"]
    kept = [folder / f"{cut.run_id}.unfinished", folder / f".{cut.run_id}.unfinished.x2"]
    for path in (*left, *kept):
        path.write_text("x")
    task = make_task(epochs=1, seed=2)
    plan = Plan(tasks=(task,), seconds={task.run_id: 1.0}, reused=(), measured=False)
    assert [type(event).__name__ for event in scheduler.run(plan, workplace)][-1] == "RunFinished"
    assert [path.exists() for path in (*left, *kept)] == [False, False, False, True, True]
    (folder / f"{ended.run_id}.unfinished").write_text("x")
    train_run(ended, workplace, lambda _message: None)
    assert not (folder / f"{ended.run_id}.unfinished").exists()
