"""One job: one process that trains run after run, so that a net which ends its process does not end the command."""

from __future__ import annotations

import contextlib
import math
import pickle
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError, BusyError, DiedError, HungError, WorkerFaultError, first_line
from bench.core.events import Note, RunProgress
from bench.core.run import RunFiles
from bench.execution.pool import DEATHS, Workers, hung_reason
from bench.execution.process import train_here
from bench.execution.worker import store_unfinished, train_run
from bench.system.process import Apart, keep_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.core.records import RunRecord
    from bench.core.run import Task, Workplace
    from bench.system.child import Line


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


@contextlib.contextmanager
def open_single(workplace: Workplace) -> Iterator[Workers]:
    """Train one run at a time; a process that dies is started again and its run tried again."""
    stop = threading.Event()

    def train(task: Task, wait: bool) -> RunRecord:  # noqa: FBT001 - the executor passes it by place
        trains = in_thread if task.request.architecture.file is None else in_process
        return trains(task, wait=wait)

    with ThreadPoolExecutor(max_workers=1) as executor:
        workers = Workers(executor, train, lambda: 1)
        in_thread = ThreadTrain(workplace, workers.messages.put, stop=stop)
        in_process = _ProcessTrain(workplace, workers.messages.put, stop=stop)
        try:
            yield workers
        finally:
            stop.set()
            in_process.kill()
            executor.shutdown(wait=True, cancel_futures=True)
            in_process.end()


class _ProcessTrain:
    """Trains a task in a process that lives until it dies or nobody needs it any more."""

    def __init__(
        self, workplace: Workplace, say: Callable[[RunProgress | Note], None], *, stop: threading.Event
    ) -> None:
        self._workplace, self._say, self._stop = workplace, say, stop
        self._apart: Apart | None = None
        self._starting = threading.Lock()

    def __call__(self, task: Task, *, wait: bool) -> RunRecord:
        death = DiedError("did not start")
        for _ in range(DEATHS + 1):
            try:
                return self._try(task, wait=wait)
            except DiedError as last:
                death = last
                self.end()
                if self._stop.is_set():
                    raise InterruptedError("The study was interrupted.") from death
        hang = RunFiles(task.run_id, self._workplace.results).read_hang()
        reason = f"The worker process died each time that it trained this run: the last one {death}."
        return store_unfinished(
            task,
            self._workplace,
            status="failed",
            reason=hung_reason(task) if hang else reason,
            traceback=hang or death.trace,
            fault="net" if hang or death.trace else "machine",  # killed without a word, as for its memory
        )

    def kill(self) -> None:
        """End the process while another thread may listen to it, which then hears of its end."""
        with self._starting:
            if self._apart is not None:
                self._apart.kill()

    def end(self) -> None:
        """Let go of the process, which nobody listens to any more."""
        if self._apart is not None:
            self._apart.end()
            self._apart = None

    def _try(self, task: Task, *, wait: bool) -> RunRecord:
        """Have it trained there and pass on what is said of it.

        Raises:
            DiedError: The process ended meanwhile.
        """
        with self._starting:
            if self._stop.is_set():
                raise DiedError("is wanted no more")
            if self._apart is None:
                output = "shown" if self._workplace.shows_output else "dropped"
                self._apart = Apart(serve, self._workplace, output=output)
        self._apart.tell(pickle.dumps((task, wait)))
        while True:
            kind, message = self._apart.listen()
            if kind != "told":
                raise DiedError("ended before the run did", trace=str(message))
            if isinstance(message, RunProgress | Note):
                self._say(message)
            elif isinstance(message, BaseException):
                raise message
            else:
                record: RunRecord = message
                return record


def serve(line: Line, workplace: Workplace) -> None:
    """Train what comes, until nothing will come any more; called in a process of its own.

    Args:
        line: Where tasks come from, and results go.
        workplace: Where to find data and leave results.
    """

    def report(message: RunProgress | Note) -> None:
        try:
            line.tell(message)
        except OSError as gone:
            raise InterruptedError("Nobody waits for this run any more.") from gone

    while True:
        try:
            pickled = line.hear()
        except EOFError:
            return
        line.tell(_outcome(pickled, workplace, report))


def _outcome(pickled: bytes, workplace: Workplace, report: Callable[[RunProgress | Note], None]) -> Any:
    """The record of a task, or what training it raised."""
    try:
        task, wait = pickle.loads(pickled)  # noqa: S301 - of the process that asked for this one; it loads a net's file
        return train_here(task, workplace, report, wait=wait)
    except BusyError as busy:
        return busy
    except BenchError as fault:
        fault.__cause__ = fault.__context__ = None
        return fault if len(fault.args) == 1 and type(fault).__init__ is BenchError.__init__ else BenchError(str(fault))
    except BaseException as bug:  # noqa: BLE001 - whatever it is, the process that asked must hear of it
        fault_there = WorkerFaultError(first_line(bug))
        fault_there.add_note(traceback.format_exc())
        return fault_there
