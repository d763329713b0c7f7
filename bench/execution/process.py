"""What a worker process does with a task: it trains it, says how far it is, and ends itself when it hangs."""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import functools
import os
from typing import TYPE_CHECKING, Any

from bench.core.events import Note, RunProgress
from bench.core.run import RunFiles
from bench.execution.worker import train_run
from bench.system.files import cannot_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from bench.core.records import RunRecord
    from bench.core.run import Task, Workplace
    from bench.execution.pool import Packed


class RemoteTrain:
    """Trains a task inside a worker process of this machine and sends its progress back."""

    def __init__(self, workplace: Workplace, topic: str) -> None:
        """Know where.

        Args:
            workplace: Where this process finds data and leaves results.
            topic: What to send progress under.
        """
        self._workplace, self._topic = workplace, topic

    def __call__(self, packed: Packed, wait: bool) -> RunRecord:  # noqa: FBT001 - the executor passes it by place
        """Train a task.

        Args:
            packed: The run.
            wait: Wait for another runner that trains it.

        Raises:
            BusyError: Another runner trains it, and it is not waited for.
            StoreError: The run could not be stored.
        """
        if not self._workplace.shows_output:
            drop_output()
        task = packed.unpack()
        return train_here(task, self._workplace, functools.partial(tell, self._topic), wait=wait)


@functools.cache
def drop_output() -> None:
    """Let what nets print in this worker process go nowhere: what it has to say it says to its scheduler."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def train_here(
    task: Task, workplace: Workplace, report: Callable[[RunProgress | Note], None], *, wait: bool
) -> RunRecord:
    """`train_run` in a process that is ended, and started again by its nanny, when the run hangs."""

    def guard() -> AbstractContextManager[None]:
        return ended_when_hung(task, workplace)

    return train_run(task, workplace, report, wait=wait, guard=guard)


def tell(topic: str, message: RunProgress | Note) -> None:
    """Send a message from a worker process to whoever listens to a topic."""
    from distributed import get_worker  # noqa: PLC0415 - only a worker process gets here

    get_worker().log_event(topic, {"kind": type(message).__name__, "fields": dataclasses.asdict(message)})


def unpack(sent: Mapping[str, Any]) -> RunProgress | Note:
    """What `tell` sent."""
    kinds: dict[str, type[RunProgress | Note]] = {kind.__name__: kind for kind in (RunProgress, Note)}
    return kinds[sent["kind"]](**sent["fields"])


@contextlib.contextmanager
def ended_when_hung(task: Task, workplace: Workplace) -> Iterator[None]:
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
