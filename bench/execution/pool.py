"""A pool is whoever takes tasks: processes of this machine, or the workers of a cluster.

Each job of this machine has a process, so that a net which ends its process does not end the command.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, Self

from bench.core.errors import DiedError, HungError, LostRunError
from bench.core.records import RunRecord
from bench.execution.worker import DIED, TRIES, serve, train_run
from bench.system.process import ChildProcess
from bench.system.worker_environment import keep_memory
from bench.training.run import ProcessState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.core.events import Note, RunProgress
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


class LocalPool:
    """Worker processes of this machine; a net without a file, which no other process could load, trains in this one.

    Each task waits in a thread for the process that trains it.
    """

    def __init__(self, workplace: Workplace, *, slots: int) -> None:
        self.messages: queue.SimpleQueue[RunProgress | Note | Future[RunRecord]] = queue.SimpleQueue()
        self.slots = slots
        self._workplace, self._stop = workplace, threading.Event()
        self._alone, self._state = threading.Lock(), ProcessState()  # of this process, when it trains
        self._threads = ThreadPoolExecutor(max_workers=slots)
        self._processes = [_WorkerProcess(workplace, self.messages.put) for _ in range(slots)]
        self._idle = queue.LifoQueue[_WorkerProcess]()  # the last one that worked has loaded its data
        for process in self._processes:
            self._idle.put(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for process in self._processes:
            process.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for process in self._processes:
            process.end()

    def submit(self, task: Task, *, wait: bool = False) -> Future[RunRecord]:
        """Hand over a task, as `Pool` says."""
        train = self._train_in_process if task.request.architecture.can_be_sent else self._train_here
        future = self._threads.submit(train, task, wait=wait)
        future.add_done_callback(self.messages.put)
        return future

    def _train_in_process(self, task: Task, *, wait: bool) -> RunRecord:
        process = self._idle.get()
        try:
            return process.train(task, wait=wait)
        except LostRunError as lost:
            if self.slots > 1 and not lost.hung:  # what others took may have been the cause
                raise LostRunError(DIED, trace=lost.trace) from lost
            raise
        finally:
            self._idle.put(process)

    def _train_here(self, task: Task, *, wait: bool) -> RunRecord:
        """Train in this thread, one run at a time: seeds and settings of torch are the whole process's.

        A run that hangs inside one step cannot be ended here without ending the program; one that is only slow can.
        """
        ends = math.inf

        @contextlib.contextmanager
        def timed() -> Iterator[None]:
            nonlocal ends
            ends = time.monotonic() + task.timeout_seconds
            yield

        def report(message: RunProgress | Note) -> None:
            if self._stop.is_set():
                raise InterruptedError("The study was interrupted.")
            if time.monotonic() > ends:
                raise HungError
            self.messages.put(message)

        keep_memory()
        with self._alone:
            for _ in range(TRIES):
                with contextlib.suppress(HungError):
                    return train_run(task, self._workplace, report, wait=wait, guard=timed(), state=self._state)
                ends = math.inf
        raise LostRunError("It was too slow.", hung=True)


class _WorkerProcess:
    """One worker process: started for its first task, and started again when it has died."""

    def __init__(self, workplace: Workplace, report: Callable[[RunProgress | Note], None]) -> None:
        self._workplace, self._report = workplace, report
        self._child: ChildProcess | None = None
        self._stopped = False
        self._starting = threading.Lock()

    def train(self, task: Task, *, wait: bool) -> RunRecord:
        """Train a task there, again from its saved state when the process dies; LostRunError when it died each time."""
        death = DiedError("did not start")
        for _ in range(TRIES):
            try:
                return self._try(task, wait=wait)
            except DiedError as last:
                death = last
                self.end()
        reason = f"The worker process died each time that it trained this run: the last one {death}."
        raise LostRunError(reason, trace=death.trace)

    def stop(self) -> None:
        """End the process for good while another thread may listen to it, which then hears of its end."""
        with self._starting:
            self._stopped = True
            if self._child is not None:
                self._child.kill()

    def end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _try(self, task: Task, *, wait: bool) -> RunRecord:
        with self._starting:
            if self._stopped:
                raise InterruptedError("The study was interrupted.")
            if self._child is None:
                output = "shown" if self._workplace.shows_output else "dropped"
                self._child = ChildProcess(serve, self._workplace, output=output)
        self._child.tell(pickle.dumps((task, wait)))
        while True:
            kind, message = self._child.listen()
            if kind != "told":
                raise DiedError("ended before the run did", trace=str(message))
            if isinstance(message, RunRecord):
                return message
            if isinstance(message, BaseException):
                raise message
            self._report(message)
