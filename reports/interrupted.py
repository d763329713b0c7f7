"""What a user reads who interrupts a command: at once that it stops, and at the end how far it came."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

from bench.task import RunFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from bench.experiment import Experiment


@contextlib.contextmanager
def announced_interrupt(console: Console) -> Iterator[None]:
    """Answer Ctrl-C at once: stopping the workers takes seconds, in which a silent program is interrupted again."""

    def stop(_number: int, _frame: object) -> None:
        console.print("Stopping …")
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
