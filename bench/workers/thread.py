"""Trains a net that no other process could load, as one made in a notebook: in a thread of this one."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING

from bench.worker import store_unfinished, train_run
from bench.workers.crew import DEATHS, hung_reason
from bench.workers.memory import keep_memory

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from bench.events import Note, RunProgress
    from bench.records import RunRecord
    from bench.task import Task, Workplace


class HungError(InterruptedError):
    """A try took too long; the next goes on from its saved state."""


class ThreadTrain:
    """Trains a task in the thread that calls it.

    A run that hangs inside one step cannot be ended here without ending the whole program; one that is only slow can.
    """

    def __init__(
        self, workplace: Workplace, say: Callable[[RunProgress | Note], None], *, stop: threading.Event
    ) -> None:
        """Know where.

        Args:
            workplace: Where to find data and leave results.
            say: Hears of progress.
            stop: Set when the study is interrupted.
        """
        self._workplace, self._say, self._stop = workplace, say, stop
        self._ends = math.inf

    def __call__(self, task: Task, *, wait: bool) -> RunRecord:
        """Train a task.

        Args:
            task: The run.
            wait: Wait for another runner that trains it.

        Raises:
            BusyError: Another runner trains it, and it is not waited for.
            StoreError: The run could not be stored.
            InterruptedError: The study was interrupted.
        """

        @contextlib.contextmanager
        def timed() -> Iterator[None]:
            self._ends = time.monotonic() + task.timeout_seconds
            yield

        keep_memory()
        for _ in range(DEATHS + 1):
            with contextlib.suppress(HungError):
                return train_run(task, self._workplace, self._report, wait=wait, guard=timed)
            self._ends = math.inf
        return store_unfinished(task, self._workplace, status="failed", reason=hung_reason(task))

    def _report(self, message: RunProgress | Note) -> None:
        if self._stop.is_set():
            raise InterruptedError("The study was interrupted.")
        if time.monotonic() > self._ends:
            raise HungError
        self._say(message)
