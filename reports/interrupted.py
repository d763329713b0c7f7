"""What a user reads who interrupts a command: at once that it stops, and at the end how far it came."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench.interrupts import stoppable
from bench.task import RunFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from bench.experiment import Experiment
    from bench.interrupts import Stop


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
    """Print how many runs have ended and how to go on.

    Args:
        experiment: What was interrupted.
        trials: Trials of its tuning that have ended; they are told where no run to compare has begun.
        console: Where.
    """
    if not experiment.begun:
        console.print(f"Interrupted. {trials} trials have ended and are stored; the same command goes on from there.")
        return
    reused = sum(len(plan.reused) for plan in experiment.begun)
    ended = {task.run_id: experiment.store.find_run(task.run_id) for plan in experiment.begun for task in plan.tasks}
    unfinished = [run_id for run_id, record in ended.items() if record is None or record.status == "interrupted"]
    saved = sum(RunFiles(run_id, experiment.workplace.results).state.is_file() for run_id in unfinished)
    more = f", {saved} more {'has' if saved == 1 else 'have'} saved epochs" if saved else ""
    fresh = "without --fresh no stored run is trained again."
    hint = fresh if experiment.arguments.fresh else "the same command goes on from there."
    done = reused + len(ended) - len(unfinished)
    console.print(
        f"Interrupted. {done} of {reused + len(ended)} runs begun so far have ended and are stored{more}; {hint}"
    )
