"""Shows a command's work while it happens, and keeps its report up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from bench.errors import StoreError
from bench.events import Note, RunFinished, TrialFinished, TuningStarted
from reports.interrupted import announced_interrupt, show_interrupted
from reports.live import LiveView, Verbosity

if TYPE_CHECKING:
    from collections.abc import Generator

    from bench.events import Event
    from bench.experiment import Experiment
    from reports.keeper import ReportKeeper


def follow(
    events: Generator[Event, None, None], experiment: Experiment, *, keeper: ReportKeeper, console: Console
) -> int:
    """Show the events to their end.

    Args:
        events: What happens.
        experiment: What it happens to.
        keeper: Writes the report.
        console: Where.

    Returns:
        How many runs failed.

    Raises:
        KeyboardInterrupt: The user interrupted; how far it came is said and the report written.
    """
    failed = trials = 0
    view = LiveView(console, verbosity=Verbosity(min(max(experiment.arguments.verbosity + 1, 0), 2)))
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
                keeper.write()
            except StoreError as fault:
                summary.print(str(fault), markup=False, soft_wrap=True)
            raise
    return failed
