"""What a worker process does around a run: it takes tasks, trains them, and ends itself when one hangs."""

from __future__ import annotations

import contextlib
import faulthandler
import pickle
import signal
import traceback
from typing import TYPE_CHECKING

from bench.core.errors import BenchError, BusyError, WorkerFaultError, first_line
from bench.core.run import RunFiles
from bench.execution.worker import train_run
from bench.system.files import cannot_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.core.events import Note, RunProgress
    from bench.core.records import RunRecord
    from bench.core.run import Task, Workplace
    from bench.system.child import Line


def serve(line: Line, workplace: Workplace) -> None:
    """Train what comes, until nothing will come any more; called in a process of its own.

    Args:
        line: Where pickles of a task, and whether to wait for another runner of it, come from; progress, then the
            record or what training raised, go back.
        workplace: Where to find data and leave results.
    """
    for number in {signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)}:
        signal.signal(number, signal.SIG_IGN)  # the front door hears them, and ends this process

    def report(message: RunProgress | Note) -> None:
        try:
            line.tell(message)
        except OSError as gone:
            raise InterruptedError("Nobody waits for this run any more.") from gone

    with contextlib.suppress(EOFError):
        while True:
            line.tell(_outcome(line.hear(), workplace, report))


def _outcome(
    pickled: bytes, workplace: Workplace, report: Callable[[RunProgress | Note], None]
) -> RunRecord | BaseException:
    """The record of a task, or what training it raised, fit to be sent."""
    try:
        task, wait = pickle.loads(pickled)  # noqa: S301 - of the process that asked for this one; it loads a net's file
        return train_guarded(task, workplace, report, wait=wait)
    except BusyError as busy:
        return busy
    except BenchError as fault:
        fault.__cause__ = fault.__context__ = None
        return fault if len(fault.args) == 1 and type(fault).__init__ is BenchError.__init__ else BenchError(str(fault))
    except BaseException as bug:  # noqa: BLE001 - whatever it is, the process that asked must hear of it
        fault_there = WorkerFaultError(first_line(bug))
        fault_there.add_note(traceback.format_exc())
        return fault_there


def train_guarded(
    task: Task, workplace: Workplace, report: Callable[[RunProgress | Note], None], *, wait: bool
) -> RunRecord:
    """`train_run` in a process that ends when the run hangs; another one then tries it again, from its saved state."""

    def guard() -> AbstractContextManager[None]:
        return ended_when_hung(task, workplace)

    return train_run(task, workplace, report, wait=wait, guard=guard)


@contextlib.contextmanager
def ended_when_hung(task: Task, workplace: Workplace) -> Iterator[None]:
    """End this process when a run takes too long, even inside native code, and leave where it hung in a file."""
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
