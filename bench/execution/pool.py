"""The noun: whoever takes tasks, behind one `Executor` and one queue of messages."""

from __future__ import annotations

import dataclasses
import pickle
import queue
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from bench.core.events import Note, RunProgress
    from bench.core.records import RunRecord
    from bench.core.run import Task

DEATHS = 2
"""How often a run whose worker died or hung is tried again before it counts as failed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packed:
    """A task that nobody unpacks on its way: that loads its net's file, and a scheduler unpacks what it passes on.

    Attributes:
        content: The pickled task.
        dataset: Name of its dataset.
        data_hash: Content hash of its images and labels.
    """

    content: bytes
    dataset: str
    data_hash: str

    @classmethod
    def of(cls, task: Task) -> Self:
        """Pack a task."""
        request = task.request
        return cls(content=pickle.dumps(task), dataset=request.dataset, data_hash=request.data_hash)

    def unpack(self) -> Task:
        """The task; this runs its net's file.

        Raises:
            ArchitectureError: The file cannot be loaded.
        """
        task: Task = pickle.loads(self.content)  # noqa: S301 - of our own study
        return task


class Workers:
    """Takes tasks; says what happens to them.

    Attributes:
        messages: Progress of runs under way, notes, and finished futures, as they come.
    """

    def __init__(
        self,
        executor: Executor,
        train: Callable[[Any, bool], object],
        places: Callable[[], int],
        *,
        packs: bool = False,
    ) -> None:
        """Stand ready.

        Args:
            executor: Runs what it is given, elsewhere.
            train: Trains a task there; waits for another runner that trains it when told to. The executor makes its
                result, where that is no record, one.
            places: How many may train at once, now.
            packs: Whether tasks are handed over as `Packed`.
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
        sent = Packed.of(task) if self._packs else task
        future: Future[RunRecord] = self._executor.submit(self._train, sent, wait)  # type: ignore[arg-type]  # made one by the executor
        future.add_done_callback(self.messages.put)
        return future


def hung_reason(task: Task) -> str:
    """What is stored of a run whose last try hung."""
    return f"The last try did not end within {task.timeout_seconds:g} s; allow more with --run-timeout."
