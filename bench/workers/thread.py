"""One job: a thread of this process, so that a debugger works; the caller stays free to show progress."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bench.worker import store_unfinished, train_run
from bench.workers.crew import DEATHS, Workers, hung_reason
from bench.workers.memory import keep_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.events import Note, RunProgress
    from bench.records import RunRecord
    from bench.task import Task, Workplace


class HungError(InterruptedError):
    """A try took too long; the next goes on from its saved state."""


@contextlib.contextmanager
def open_thread(workplace: Workplace) -> Iterator[Workers]:
    """Train here, one run at a time.

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

        for _ in range(DEATHS + 1):
            with contextlib.suppress(HungError):
                return train_run(task, workplace, report, wait=wait, guard=timed)
            ends[0] = math.inf
        return store_unfinished(task, workplace, status="failed", reason=hung_reason(task))

    keep_memory()
    with ThreadPoolExecutor(max_workers=1) as executor:
        workers = Workers(executor, train, lambda: 1)
        try:
            yield workers
        finally:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
