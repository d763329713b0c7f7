"""Who trains: this process, or one worker process per core, behind one `Executor` and one queue of messages."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
import signal
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from bench.events import RunProgress
from bench.worker import Task, Workplace, train_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.records import RunRecord

WORKER_ENVIRONMENT = {
    # glibc hands every activation of a few MB back to the kernel and faults it in again, each step; keeping the memory,
    # in huge pages, nearly doubles the training rate of the larger nets.
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # Tasks run in a thread; only the main arena keeps its memory as told above.
    "MALLOC_ARENA_MAX": "1",
    # One thread each: results then do not depend on the number of cores or workers.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Environment of worker processes, set before they start."""

_TOPIC = "bench-progress"

_DEATHS = 2
"""How often a run whose worker died is tried again before it counts as failed."""


@contextlib.contextmanager
def open_workers(workplace: Workplace) -> Iterator[Workers]:
    """Start the workers and stop them at the end, whatever happened: one job trains here, more in processes."""
    if workplace.jobs == 1:
        with _here(workplace) as workers:
            yield workers
    else:
        with _processes(workplace) as workers:
            yield workers


class Workers:
    """Takes tasks; says what happens to them.

    Attributes:
        messages: Progress of runs under way, and finished futures, as they come.
    """

    def __init__(self, executor: Executor, train: Callable[[Task], RunRecord]) -> None:
        self.messages: queue.SimpleQueue[RunProgress | Future[RunRecord]] = queue.SimpleQueue()
        self._executor, self._train = executor, train

    def submit(self, task: Task) -> Future[RunRecord]:
        """Hand over a task; its future comes back through `messages` when it is done."""
        future: Future[RunRecord] = self._executor.submit(self._train, task)
        future.add_done_callback(self.messages.put)
        return future


@contextlib.contextmanager
def _here(workplace: Workplace) -> Iterator[Workers]:
    """A thread of this process, so that a debugger works; the caller stays free to show progress."""
    stop = threading.Event()

    def report(progress: RunProgress) -> None:
        if stop.is_set():
            raise InterruptedError("The study was interrupted.")
        workers.messages.put(progress)

    with ThreadPoolExecutor(max_workers=1) as executor:
        workers = Workers(executor, lambda task: train_run(task, workplace, report))
        try:
            yield workers
        finally:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _processes(workplace: Workplace) -> Iterator[Workers]:
    """One Dask worker process with one thread for each job; a dead one is started again and its run tried again."""
    import dask  # noqa: PLC0415 - half a second that --jobs 1 does not pay
    from distributed import Client, LocalCluster  # noqa: PLC0415

    settings = {
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        "distributed.scheduler.allowed-failures": _DEATHS,
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        with _interrupts_ignored():
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workplace.jobs,
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
        client.subscribe_topic(_TOPIC, lambda event: workers.messages.put(RunProgress(**event[1]["progress"])))
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

    def __call__(self, task: Task) -> RunRecord:
        from distributed import get_worker  # noqa: PLC0415 - only a worker process gets here

        worker = get_worker()

        def report(progress: RunProgress) -> None:
            worker.log_event(_TOPIC, {"progress": dataclasses.asdict(progress)})

        return train_run(task, self._workplace, report)
