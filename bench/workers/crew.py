"""The noun: whoever takes tasks, behind one `Executor` and one queue of messages."""

from __future__ import annotations

import pickle
import queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from bench.events import Note, RunProgress
    from bench.records import RunRecord
    from bench.task import Task

DEATHS = 2
"""How often a run whose worker died or hung is tried again before it counts as failed."""


class Workers:
    """Takes tasks; says what happens to them.

    Attributes:
        messages: Progress of runs under way, notes, and finished futures, as they come.
    """

    def __init__(
        self, executor: Executor, train: Callable[..., object], places: Callable[[], int], *, packs: bool = False
    ) -> None:
        """Stand ready.

        Args:
            executor: Runs what it is given, elsewhere.
            train: Trains a task there; waits for another runner that trains it when told to. The executor makes its
                result, where that is no record, one.
            places: How many may train at once, now.
            packs: Whether tasks are handed over pickled: a scheduler that unpacks what it passes on would load nets.
        """
        self.messages: queue.SimpleQueue[RunProgress | Note | Future[RunRecord]] = queue.SimpleQueue()
        self._executor, self._train, self._places, self._packs = executor, train, places, packs

    @property
    def places(self) -> int:
        """How many tasks may be under way at once; on a cluster it changes as workers come and go."""
        return self._places()

    def submit(self, task: Task, *, wait: bool = False) -> Future[RunRecord]:
        """Hand over a task; its future comes back through `messages` when it is done.

        Args:
            task: The run.
            wait: Wait for another runner that trains it, where the future would else say BusyError.
        """
        sent = pickle.dumps(task) if self._packs else task
        future: Future[RunRecord] = self._executor.submit(self._train, sent, wait)  # type: ignore[arg-type]  # made one by the executor
        future.add_done_callback(self.messages.put)
        return future


def hung_reason(task: Task) -> str:
    """What is stored of a run whose last try hung."""
    return f"The last try did not end within {task.timeout_seconds:g} s; allow more with --run-timeout."
