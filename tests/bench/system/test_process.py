"""Calls in processes of their own: what they say, how they end, and what the process that asks hears meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import DiedError
from bench.system import process
from bench.system.process import ChildProcess, call_apart, work_at_once

if TYPE_CHECKING:
    from bench.system.child import Line


def add(one: int, other: int) -> int:
    return one + other


def talk(line: Line) -> str:
    line.tell("ready")
    return f"heard {line.hear()}"


def wait_for_ever(line: Line) -> None:
    line.tell("waiting")
    signal.pause()


def test_a_call_gives_what_the_function_gives() -> None:
    answer = call_apart(add, 2, 3, limit_seconds=60)
    assert (answer.value, answer.fault, answer.lines) == (5, None, 0)


def test_both_sides_can_talk() -> None:
    call = ChildProcess(talk, limit_seconds=60)
    assert call.listen() == ("told", "ready")
    call.tell("hello")
    assert call.listen() == ("value", "heard hello")
    call.end()


def test_a_call_that_hangs_is_ended_and_named() -> None:
    with pytest.raises(DiedError, match=r"did not end within 0\.1 s") as died:
        call_apart(signal.pause, limit_seconds=0.1)
    assert died.value.hung


def test_one_that_is_killed_by_another_thread_has_died() -> None:
    call = ChildProcess(wait_for_ever)
    assert call.listen() == ("told", "waiting")
    with ThreadPoolExecutor(max_workers=1) as other:
        listening = other.submit(call.listen)
        call.kill()
        with pytest.raises(DiedError, match="was killed by SIGKILL"):
            listening.result(timeout=60)


def test_ctrl_c_while_a_process_starts_is_heard_afterwards() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - what is inside must be reached
        with process._interrupts_held():
            signal.raise_signal(signal.SIGINT)
            reached.append("started")
        reached.append("went on as if nothing were")
    assert reached == ["started"]


def test_processes_started_by_many_threads_leave_this_one_as_it_was() -> None:
    before = dict(os.environ), sys.modules["__main__"]
    with ThreadPoolExecutor(max_workers=4) as threads:
        answers = list(threads.map(lambda number: call_apart(add, number, 1, limit_seconds=60).value, range(8)))
    assert answers == list(range(1, 9))
    assert (dict(os.environ), sys.modules["__main__"]) == before


def test_work_at_once_gives_what_comes_of_each_in_order() -> None:
    for at_once in (1, 3):
        done: list[int] = []
        given = work_at_once(
            lambda number: call_apart(add, number, 1).value, range(5), at_once=at_once, watch=done.append
        )
        assert given == [1, 2, 3, 4, 5]
        assert done == [0, 1, 2, 3, 4, 5]


def test_what_one_raises_ends_the_calls_of_the_others() -> None:
    waits, deaths = threading.Event(), []

    def work(number: int) -> None:
        if number == 2:
            assert waits.wait(timeout=60)
            raise KeyboardInterrupt
        try:
            call_apart(wait_for_ever, hear=lambda _: waits.set())
        except DiedError as death:
            deaths.append(str(death))

    with pytest.raises(KeyboardInterrupt):
        work_at_once(work, range(40), at_once=3, watch=lambda _done: None)
    assert 1 <= len(deaths) <= 4  # those that had begun; the others never do
    assert set(deaths) <= {"was killed by SIGKILL", "ended its process with exit code -9"}
    assert not process._calls
