"""What a worker does with one run: it holds the run against other runners, trains it and stores it.

A worker process takes one task after the other, and ends itself when a run hangs: another one then goes on with it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import importlib
import pickle
import signal
import traceback as tracebacks
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError, BusyError, WorkerFaultError, first_line
from bench.core.run import RunFiles
from bench.models.determinism import fixed_arithmetic
from bench.store.database.postgres import PATIENCE_SECONDS
from bench.store.store import open_store
from bench.system.files import writing
from bench.system.process import TO_TRAIN
from bench.training.checkpoint import load_state
from bench.training.engine import describe_surroundings
from bench.training.result import Outcome, make_record
from bench.training.run import ProcessState, Run, progress_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bench.core.events import Note, RunProgress
    from bench.core.records import RunRecord
    from bench.core.run import Task, Workplace
    from bench.store.store import Store
    from bench.system.child import Line

    Report = Callable[[RunProgress | Note], None]

TRIES = 3
"""How often a run whose worker dies or hangs is tried before it counts as failed."""
DIED = (
    "The worker process died each time that it trained this run: out of memory (try fewer --jobs or a smaller "
    "--batch-size), a fault in native code or, on another host, a run that hung."
)
"""Reason of a LostRunError where nothing more is known."""


def train_run(
    task: Task,
    workplace: Workplace,
    report: Report,
    *,
    wait: bool = True,
    guard: AbstractContextManager[None] | None = None,
    state: ProcessState | None = None,
) -> RunRecord:
    """Train, evaluate and store one run, from where an earlier try was cut short; what goes wrong becomes its record.

    Args:
        task: The run.
        workplace: Where to find data and leave results.
        report: Called with progress a few times an epoch; what it raises ends the run unstored.
        wait: Wait for another runner that trains the run, and take its record.
        guard: A context to train in, such as one that ends a process which hangs.
        state: What this process keeps from one run to the next.

    Raises:
        BusyError: Another runner trains the run, and it is not waited for.
        StoreError: The run could not be stored.
    """

    def waiting() -> None:
        if not wait:
            raise BusyError
        report(progress_of(task))

    files = RunFiles(task.run_id, workplace.results)
    with _held(task, workplace, waiting) as store:
        stored = store.runs.find(task.run_id)
        if stored is not None and stored.status != "interrupted":
            files.clean_up()  # a try may have been killed between storing and this
            return stored
        run = Run(task, workplace, report, state or ProcessState())
        for module in TO_TRAIN:  # where it was not imported before: seconds on a busy machine, and no hang of the run's
            importlib.import_module(module)
        with guard or contextlib.nullcontext(), fixed_arithmetic(task.request.device):
            run.train()
        return _store(store, run.record(), run.outcome, files)


def store_unfinished(
    task: Task,
    workplace: Workplace,
    *,
    status: str,
    reason: str,
    traceback: str = "",
    fault: str = "machine",
    waiting: Callable[[], None] = lambda: None,
) -> RunRecord:
    """Store, in its place, a run that a dead or stopped worker left behind; one that is stored already stays.

    Args:
        task: The run.
        workplace: Where to leave results.
        status: "failed" or "interrupted".
        reason: Why it did not end, one line.
        traceback: Where it was then.
        fault: Whose it is that it failed, "net" or "machine".
        waiting: Called twice a second while another runner trains the run; what it raises ends the waiting.
    """
    files = RunFiles(task.run_id, workplace.results)
    outcome = Outcome(status=status, error=reason, traceback=traceback, fault=fault if status == "failed" else "")
    with contextlib.suppress(OSError, BenchError):
        state = load_state(files.state, run_id=task.run_id)
        outcome.saved, outcome.started_at = state["training"], state["started_at"]
        outcome.wall_seconds = state["wall_seconds"]
    environment = _environment_at_first(task.request.device, task.request.engine)
    record = make_record(task, outcome, jobs=workplace.jobs, environment=environment)
    with _held(task, workplace, waiting) as store:
        return _store(store, record, outcome, files)


@functools.cache
def _environment_at_first(device: str, engine: str) -> dict[str, Any]:
    """The environment as this process first saw it: later commits are not what its runs began with."""
    return describe_surroundings(device, engine)


def _store(store: Store, record: RunRecord, outcome: Outcome, files: RunFiles) -> RunRecord:
    """Store a run, unless it is there already; the record that is stored."""
    if not store.runs.add(record, outcome.curve, outcome.predictions):
        record = store.runs.find(record.run_id) or record
    if record.status != "interrupted":  # one that is paused or interrupted goes on from its saved state
        files.clean_up()
    return record


@contextlib.contextmanager
def _held(task: Task, workplace: Workplace, waiting: Callable[[], None]) -> Iterator[Store]:
    with (
        open_store(workplace.store_url, patience_seconds=PATIENCE_SECONDS) as store,
        store.hold(task.run_id, waiting=waiting),
    ):
        yield store


def serve(line: Line, workplace: Workplace) -> None:
    """Train what comes, until nothing will come any more; called in a process of its own.

    Pickles of a task, and whether to wait for another runner of it, come by the line; progress, then the record or what
    training raised, go back.
    """
    for number in {signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)}:
        signal.signal(number, signal.SIG_IGN)  # the front door hears them, and ends this process
    state = ProcessState()

    def report(message: RunProgress | Note) -> None:
        try:
            line.tell(message)
        except OSError as gone:
            raise InterruptedError("Nobody waits for this run any more.") from gone

    with contextlib.suppress(EOFError):
        while True:
            line.tell(_outcome(line.hear(), workplace, report, state))


def _outcome(pickled: bytes, workplace: Workplace, report: Report, state: ProcessState) -> RunRecord | BaseException:
    """The record of a task, or what training it raised, fit to be sent."""
    try:
        task, wait = pickle.loads(pickled)  # noqa: S301 - of the process that asked for this one; it loads a net's file
        return train_run(task, workplace, report, wait=wait, guard=ended_when_hung(task, workplace), state=state)
    except BusyError as busy:
        return busy
    except BenchError as fault:
        fault.__cause__ = fault.__context__ = None
        return fault if len(fault.args) == 1 and type(fault).__init__ is BenchError.__init__ else BenchError(str(fault))
    except BaseException as bug:  # noqa: BLE001 - whatever it is, the process that asked must hear of it
        fault_there = WorkerFaultError(first_line(bug))
        fault_there.add_note(tracebacks.format_exc())
        return fault_there


@contextlib.contextmanager
def ended_when_hung(task: Task, workplace: Workplace) -> Iterator[None]:
    """End this process when a run takes too long, even inside native code, and leave where it hung in a file."""
    hang = RunFiles(task.run_id, workplace.results).hang
    with writing(workplace.results):
        hang.parent.mkdir(parents=True, exist_ok=True)
        trace = hang.open("w", encoding="utf-8")
    with trace:
        faulthandler.dump_traceback_later(task.timeout_seconds, exit=True, file=trace)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
