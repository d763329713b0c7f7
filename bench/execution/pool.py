"""A pool is whoever takes tasks: processes of this machine, or the workers of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bench.execution.local import LocalPool

if TYPE_CHECKING:
    import queue
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from bench.core.events import Note, RunProgress
    from bench.core.records import RunRecord
    from bench.core.run import Task, Workplace


class Pool(Protocol):
    """Takes tasks; says what happens to them.

    Attributes:
        messages: Progress of runs under way, notes, and finished futures, as they come.
    """

    messages: queue.SimpleQueue[RunProgress | Note | Future[RunRecord]]

    @property
    def slots(self) -> int:
        """How many tasks may be under way at once; on a cluster it changes as workers come and go."""

    def submit(self, task: Task, *, wait: bool = False) -> Future[RunRecord]:
        """Hand over a task; its future comes back through `messages` when it is done.

        Where another runner trains it, the future raises BusyError, or waits for that runner's record.
        """


def open_pool(workplace: Workplace, *, most: int | None = None) -> AbstractContextManager[Pool]:
    """The pool of a workplace, of no more processes than `most`; its workers are let go of at the end.

    Raises:
        StoreError: The results directory cannot be written. A scheduler that does not answer ends the tasks instead.
    """
    if workplace.cluster is None:
        return LocalPool(workplace, slots=min(workplace.jobs, most or workplace.jobs))
    from bench.execution.cluster.pool import ClusterPool  # noqa: PLC0415 - Dask takes half a second

    return ClusterPool(workplace, workplace.cluster)
