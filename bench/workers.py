"""Who trains: this process, or one worker process per core, behind one `Executor` and one queue of messages."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import faulthandler
import logging
import math
import queue
import signal
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bench.events import Note, RunProgress
from bench.files import cannot_write
from bench.task import RunFiles
from bench.worker import store_unfinished, train_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from bench.records import RunRecord
    from bench.task import Task, Workplace

WORKER_ENVIRONMENT = {
    # glibc hands every activation of a few MB back to the kernel and faults it in again, each step; keeping the memory,
    # in huge pages, nearly doubles the training rate of the larger nets. Tasks run in a thread: only the main arena
    # keeps its memory as told here, so there is no other.
    "GLIBC_TUNABLES": ":".join(
        (
            f"glibc.malloc.mmap_threshold={4 * 2**30}",
            f"glibc.malloc.trim_threshold={8 * 2**30}",
            f"glibc.malloc.top_pad={256 * 2**20}",
            "glibc.malloc.arena_max=1",
            "glibc.malloc.hugetlb=1",
        )
    ),
    # One thread each: results then do not depend on the number of cores or workers.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Environment of worker processes, set before they start."""

_QUIET = {
    # Dask's own threads wake up for the interpreter's lock while a run trains: its sampling profiler every 10 ms, its
    # clock every 20 ms, its monitor every 500 ms. Together they cost fc3136 6 % of its training rate.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}

_MALLOPT = {-8: 1, -3: 2**31 - 1, -1: 2**31 - 1, -2: 256 * 2**20}
"""glibc's M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD (malloc.h)."""

_TOPIC = "bench-progress"

_DEATHS = 2
"""How often a run whose worker died is tried again before it counts as failed."""


@contextlib.contextmanager
def open_workers(workplace: Workplace, *, most: int | None = None) -> Iterator[Workers]:
    """Start the workers and stop them at the end, whatever happened: one job trains here, more in processes.

    Args:
        workplace: Where they find data and leave results, and how many may train at once.
        most: No more processes than that, as for a plan of fewer runs.
    """
    if workplace.jobs == 1:
        with _here(workplace) as workers:
            yield workers
    else:
        with _processes(workplace, count=min(workplace.jobs, most or workplace.jobs)) as workers:
            yield workers


class Workers:
    """Takes tasks; says what happens to them.

    Attributes:
        messages: Progress of runs under way, notes, and finished futures, as they come.
    """

    def __init__(self, executor: Executor, train: Callable[[Task, bool], RunRecord]) -> None:
        self.messages: queue.SimpleQueue[RunProgress | Note | Future[RunRecord]] = queue.SimpleQueue()
        self._executor, self._train = executor, train

    def submit(self, task: Task, *, wait: bool = False) -> Future[RunRecord]:
        """Hand over a task; its future comes back through `messages` when it is done.

        Args:
            task: The run.
            wait: Wait for another runner that trains it, where the future would else say BusyError.
        """
        future: Future[RunRecord] = self._executor.submit(self._train, task, wait)
        future.add_done_callback(self.messages.put)
        return future


@contextlib.contextmanager
def _here(workplace: Workplace) -> Iterator[Workers]:
    """A thread of this process, so that a debugger works; the caller stays free to show progress.

    A run that hangs inside one step cannot be ended here without ending the whole program; one that is only slow can.
    """
    stop, ends = threading.Event(), [math.inf]

    def report(message: RunProgress | Note) -> None:
        if stop.is_set():
            raise InterruptedError("The study was interrupted.")
        if time.monotonic() > ends[0]:
            raise HungError
        workers.messages.put(message)

    def train(task: Task, wait: bool) -> RunRecord:  # noqa: FBT001 - the executor passes it by place
        @contextlib.contextmanager
        def timed() -> Iterator[None]:
            ends[0] = time.monotonic() + task.timeout_seconds
            yield

        for _ in range(_DEATHS + 1):
            with contextlib.suppress(HungError):
                return train_run(task, workplace, report, wait=wait, guard=timed)
            ends[0] = math.inf
        return store_unfinished(task, workplace, status="failed", reason=hung_reason(task))

    keep_memory()
    with ThreadPoolExecutor(max_workers=1) as executor:
        workers = Workers(executor, train)
        try:
            yield workers
        finally:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)


class HungError(InterruptedError):
    """A try took too long; the next goes on from its saved state."""


def hung_reason(task: Task) -> str:
    """What is stored of a run whose last try hung."""
    return f"The last of three tries did not end within {task.timeout_seconds:g} s; allow more with --run-timeout."


def keep_memory() -> None:
    """Tell glibc, in a process that has started already, what `WORKER_ENVIRONMENT` says; elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for option, value in _MALLOPT.items():
            mallopt(option, value)


@contextlib.contextmanager
def _processes(workplace: Workplace, *, count: int) -> Iterator[Workers]:
    """One Dask worker process with one thread for each job; a dead one is started again and its run tried again."""
    import dask  # noqa: PLC0415 - half a second that --jobs 1 does not pay
    from distributed import Client, LocalCluster  # noqa: PLC0415

    settings = _QUIET | {
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        "distributed.worker.preload": ["bench.uninterrupted"],
        "distributed.scheduler.allowed-failures": _DEATHS,
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        with _interrupts_ignored():
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    dashboard_address=None,
                    # Without a port of its own it warns when another study has Dask's default one.
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                    memory_limit=0,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
        # Identical calls must not be merged: each is a run of its own.
        workers = Workers(client.get_executor(pure=False), _RemoteTrain(workplace))
        client.subscribe_topic(_TOPIC, lambda event: workers.messages.put(_unpack(event[1])))
        yield workers


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal; those started in here leave it to the front door."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _RemoteTrain:
    """Trains a task inside a worker process and sends its progress back."""

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

    def __call__(self, task: Task, wait: bool) -> RunRecord:  # noqa: FBT001 - the executor passes it by place
        from distributed import get_worker  # noqa: PLC0415 - only a worker process gets here

        worker = get_worker()

        def report(message: RunProgress | Note) -> None:
            worker.log_event(_TOPIC, {"kind": type(message).__name__, "fields": dataclasses.asdict(message)})

        def guard() -> AbstractContextManager[None]:
            return _ended_when_hung(task, self._workplace)

        return train_run(task, self._workplace, report, wait=wait, guard=guard)


def _unpack(sent: Mapping[str, Any]) -> RunProgress | Note:
    kinds: dict[str, type[RunProgress | Note]] = {kind.__name__: kind for kind in (RunProgress, Note)}
    return kinds[sent["kind"]](**sent["fields"])


@contextlib.contextmanager
def _ended_when_hung(task: Task, workplace: Workplace) -> Iterator[None]:
    """End this process when a run takes too long, even inside native code, and leave where it hung in a file.

    The nanny then starts another process and the scheduler tries the run again there, from its saved state.
    """
    hang = RunFiles(task.run_id, workplace.results).hang
    try:
        hang.parent.mkdir(parents=True, exist_ok=True)
        trace = hang.open("w", encoding="utf-8")
    except OSError as fault:
        raise cannot_write(workplace.results, fault) from fault
    with trace:
        faulthandler.dump_traceback_later(task.timeout_seconds, exit=True, file=trace)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
