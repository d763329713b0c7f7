"""The pool of this machine: how its runs end, and what is said of processes that die."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import LostRunError
from bench.core.events import RunProgress
from bench.execution.pool import LocalPool
from bench.execution.worker import train_run
from bench.models.registry import load_file
from tests.bench.runs import make_task, make_workplace, stored_bits
from tests.front_door import write_faulty, write_tiny

if TYPE_CHECKING:
    from pathlib import Path


def test_nets_without_a_file_train_in_this_process_and_never_at_once(tmp_path: Path) -> None:
    tasks = [make_task(epochs=1, seed=seed) for seed in (0, 1)]
    together, alone = make_workplace(tmp_path / "together", jobs=2), make_workplace(tmp_path / "alone", jobs=2)
    with LocalPool(together, slots=2) as pool:
        futures = [pool.submit(task) for task in tasks]
        assert {future.result(timeout=300).status for future in futures} == {"ok"}
        assert not any(process._child for process in pool._processes)
    for task in tasks:
        train_run(task, alone, lambda _message: None)
        assert stored_bits(together, task.run_id) == stored_bits(alone, task.run_id)


def test_futures_come_after_the_progress_of_their_runs(tmp_path: Path) -> None:
    (net,) = load_file(write_tiny(tmp_path))
    with LocalPool(make_workplace(tmp_path / "r"), slots=1) as pool:
        future = pool.submit(make_task(net, epochs=1))
        messages = []
        while future not in messages:
            messages.append(pool.messages.get(timeout=300))
        assert len(messages) > 1
        assert all(isinstance(message, RunProgress) for message in messages[:-1])
        assert future.result().status == "ok"


@pytest.mark.parametrize(
    ("slots", "words"),
    [(1, "the last one ended its process with exit code 3."), (2, "out of memory (try fewer --jobs")],
)
def test_a_process_that_dies_each_time_is_a_lost_run(slots: int, words: str, tmp_path: Path) -> None:
    (net,) = load_file(write_faulty(tmp_path, "deadly", fault="if len(images) == 128: import os; os._exit(3)"))
    with LocalPool(make_workplace(tmp_path / "r"), slots=slots) as pool:
        fault = pool.submit(make_task(net, epochs=1)).exception(timeout=300)
    assert isinstance(fault, LostRunError)
    assert str(fault).startswith("The worker process died each time that it trained this run: ")
    assert words in str(fault)


def test_a_pool_that_is_left_ends_what_is_under_way(tmp_path: Path) -> None:
    started = tmp_path / "started"
    endless = f"open({str(started)!r}, 'w').close()\nwhile self.training: pass"
    (net,) = load_file(write_faulty(tmp_path, "endless", fault=endless))
    left = threading.Event()
    with LocalPool(make_workplace(tmp_path / "r"), slots=1) as pool:
        future = pool.submit(make_task(net, epochs=1))
        future.add_done_callback(lambda _: left.set())
        while not started.exists():
            assert not left.wait(0.05)
    assert isinstance(future.exception(timeout=1), InterruptedError)
