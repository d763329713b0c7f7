"""Shows a command's work while it happens, keeps its report up to date, and says what an interrupt left."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from rich.console import Console

from bench.core.errors import StoreError
from bench.core.events import Note, RunFinished, TrialFinished, TuningStarted
from bench.core.run import RunFiles
from bench.studies.load import read_study
from bench.system.interrupts import stoppable
from reports.console.ending import show_report
from reports.console.live import LiveView, Verbosity, Waiting, estimate_report
from reports.write import write_report

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from bench.core.events import Event
    from bench.core.records import Study
    from bench.studies.experiment import Experiment
    from bench.system.interrupts import Stop
    from reports.write import WrittenReport

_SHARE = 0.03
"""Share of the time since the last report that the next may cost."""


class ReportKeeper:
    """Writes a study's report now and then."""

    def __init__(self, load: Callable[[], Study], results: Path) -> None:
        self._load, self._results = load, results
        self._cost_seconds, self._written = 0.0, float("-inf")

    def refresh(self) -> str:
        """Write the report if the last one is old enough for its cost; the first time always.

        Returns:
            Why it could not be written, else nothing: the training goes on, and the last report of all must succeed.
        """
        if (time.monotonic() - self._written) * _SHARE >= self._cost_seconds:
            try:
                self.write()
            except StoreError as fault:
                self._written = time.monotonic()
                return str(fault)
        return ""

    def finish(self, console: Console) -> WrittenReport:
        """Write it for the last time, which a terminal sees: the one before tells how long it takes."""
        with stoppable() as stop, Waiting(console, "Writing the report", seconds=self._cost_seconds or None):
            try:
                return self.write()
            except KeyboardInterrupt:
                if not stop.told:
                    said = "Interrupted while the report was written; every run is stored, and --report writes it."
                    Console(highlight=False).print(said, soft_wrap=True)
                    stop.told = True
                raise

    def write(self) -> WrittenReport:
        """Write the report as the study stands now."""
        started = time.monotonic()
        report = write_report(self._load(), self._results)
        self._written = time.monotonic()
        self._cost_seconds = self._written - started
        return report


@contextlib.contextmanager
def announced_interrupt(console: Console) -> Iterator[Stop]:
    """Answer Ctrl-C at once: stopping the workers takes seconds, in which a silent program is interrupted again."""
    with stoppable() as stop:
        before, stop.announce = stop.announce, lambda: console.print("Stopping …")
        try:
            yield stop
        finally:
            stop.announce = before


def show_interrupted(experiment: Experiment, trials: int, console: Console) -> None:
    """Print how many runs have ended and how to go on."""
    if not experiment.begun:
        console.print(f"Interrupted. {trials} trials have ended and are stored; the same command goes on from there.")
        return
    ended = {task.run_id: experiment.store.runs.find(task.run_id) for plan in experiment.begun for task in plan.tasks}
    unfinished = [run_id for run_id, record in ended.items() if record is None or record.status == "interrupted"]
    saved = sum(RunFiles(run_id, experiment.workplace.results).state.is_file() for run_id in unfinished)
    more = f", {saved} more {'has' if saved == 1 else 'have'} saved epochs" if saved else ""
    fresh = "without --fresh no stored run is trained again."
    hint = fresh if experiment.options.fresh else "the same command goes on from there."
    begun = sum(len(plan.reused) for plan in experiment.begun) + len(ended)
    done = f"{begun - len(unfinished)} of {begun} runs begun so far"
    console.print(f"Interrupted. {done} have ended and are stored{more}; {hint}")


def follow_study(
    events: Generator[Event, None, None], experiment: Experiment, *, verbosity: int, console: Console
) -> tuple[ReportKeeper, int]:
    """Show the events and bring the report up to date with them; what keeps it, and how many runs failed."""
    options = experiment.options
    keeper = ReportKeeper(lambda: read_study(experiment.store, experiment.name, options), options.results)
    return keeper, follow(events, experiment, keeper=keeper, verbosity=verbosity, console=console)


def show_end(keeper: ReportKeeper, failed: int, console: Console) -> int:
    """Show the last report of what was trained; 1 when a run failed."""
    report = keeper.finish(console)
    console.print()  # apart from the lines of the runs
    show_report(report)
    return int(failed > 0)


def follow(
    events: Generator[Event, None, None],
    experiment: Experiment,
    *,
    keeper: ReportKeeper,
    verbosity: int,
    console: Console,
) -> int:
    """Show the events to their end.

    Returns:
        How many runs failed.

    Raises:
        KeyboardInterrupt: The user interrupted; how far it came is said and the report written.
    """
    failed = trials = 0
    report_seconds = estimate_report(len(experiment.architectures))
    view = LiveView(console, verbosity=Verbosity(min(max(verbosity + 1, 0), 2)), report_seconds=report_seconds)
    with announced_interrupt(console) as stop:  # to the end: a second Ctrl-C must not cut short what the first one does
        try:
            with view:
                for event in events:
                    view.show(event)
                    if isinstance(event, RunFinished):
                        failed += event.record.status == "failed"
                    if isinstance(event, TuningStarted | TrialFinished):
                        trials = event.done
                    if isinstance(event, RunFinished | TrialFinished) and (fault := keeper.refresh()):
                        view.show(Note(text=fault))
        except KeyboardInterrupt:
            events.close()
            summary = Console(highlight=False)  # which --quiet leaves too
            show_interrupted(experiment, trials, summary)
            stop.told = True
            try:
                report = keeper.finish(summary)
                summary.print(f"Report so far: {report.html}", markup=False, soft_wrap=True)
            except StoreError as fault:
                summary.print(str(fault), markup=False, soft_wrap=True)
            raise
    return failed
