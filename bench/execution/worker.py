"""What a worker does with one run: it holds the run against other runners, trains it and stores it."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING

from bench.core.errors import BenchError, BusyError
from bench.core.run import RunFiles
from bench.models.determinism import fixed_arithmetic
from bench.store.postgres import PATIENCE_SECONDS
from bench.store.store import open_store
from bench.training.checkpoint import load_state
from bench.training.result import Outcome, make_record
from bench.training.run import Run, environment_at_start, progress_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bench.core.events import Note, RunProgress
    from bench.core.records import RunRecord
    from bench.core.run import Task, Workplace


TRIES = 3
"""How often a run whose worker dies or hangs is tried before it counts as failed."""
DIED = (
    "The worker process died each time that it trained this run: out of memory (try fewer --jobs or a smaller "
    "--batch-size), a fault in native code or, on another host, a run that hung."
)
"""Reason of a LostRunError where nothing more is known."""
_IMPORTED_LATE = ("torch._dynamo", "sklearn.model_selection")
"""What a first optimizer and a first split import: seconds on a busy machine, and no hang of the run's."""


def train_run(
    task: Task,
    workplace: Workplace,
    report: Callable[[RunProgress | Note], None],
    *,
    wait: bool = True,
    guard: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> RunRecord:
    """Train, evaluate and store one run, from where an earlier try was cut short; what goes wrong becomes its record.

    Args:
        task: The run.
        workplace: Where to find data and leave results.
        report: Called with progress a few times an epoch; what it raises ends the run unstored.
        wait: Wait for another runner that trains the run.
        guard: Makes a context to train in, such as one that ends a process which hangs.

    Returns:
        The record as stored; that of another runner, when it trained the run meanwhile.

    Raises:
        BusyError: Another runner trains the run, and it is not waited for.
        StoreError: The run could not be stored.
    """

    def waiting() -> None:
        if not wait:
            raise BusyError
        report(progress_of(task))

    files = RunFiles(task.run_id, workplace.results)
    with (
        open_store(workplace.store_url, patience_seconds=PATIENCE_SECONDS) as store,
        store.hold(task.run_id, waiting=waiting),
    ):
        stored = store.runs.find(task.run_id)
        if stored is not None and stored.status != "interrupted":
            files.clean_up()  # a try may have been killed between storing and this
            return stored
        run = Run(task, workplace, report)
        for module in _IMPORTED_LATE:
            importlib.import_module(module)
        with guard(), fixed_arithmetic(task.request.device):
            run.train()
        record = run.record()
        if not store.runs.add(record, run.outcome.curve, run.outcome.predictions):
            record = store.runs.find(task.run_id) or record
        if record.status != "interrupted":  # a paused one goes on from its saved state
            files.clean_up()
    return record


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
    environment = environment_at_start(task.request.device)
    record = make_record(task, outcome, jobs=workplace.jobs, environment=environment)
    with (
        open_store(workplace.store_url, patience_seconds=PATIENCE_SECONDS) as store,
        store.hold(task.run_id, waiting=waiting),
    ):
        store.runs.add(record, outcome.curve)
        record = store.runs.find(task.run_id) or record
        if record.status != "interrupted":
            files.clean_up()
    return record
