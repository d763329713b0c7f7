"""Shows the engine's events as they come: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from enum import IntEnum
from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.core.events import (
    Event,
    Note,
    Planned,
    RunFinished,
    RunProgress,
    RunPutAside,
    RunStarted,
    TimingFinished,
    TimingStarted,
    TrialFinished,
    TuningStarted,
)
from bench.system.text import duration, one_line, percent, plural

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import Console, ConsoleOptions, RenderResult

    from bench.core.records import RunRecord


_NAME_WIDTH = 24


class Board:
    """Remembers what the events said and renders itself, at any moment, as a table for rich."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._runs: dict[str, RunStarted | RunProgress] = {}
        self._done = 0
        self._total = 0
        self._failed = 0
        self._ends_at: float | None = None
        self._timing = 0
        self._counted = "run"

    def take(self, event: Event) -> None:
        """Remember what an event says."""
        match event:
            case Planned():
                self._done, self._total = 0, event.to_train  # a study until decided plans stage after stage
                self._counted, self._failed = "run", 0
                self._expect(event.estimate_seconds)
            case RunStarted() | RunProgress():
                self._runs[event.run_id] = event
            case RunFinished():
                self._runs.pop(event.record.run_id, None)
                self._done, self._total = event.done, event.total
                self._failed += event.record.status != "ok"
                self._expect(event.seconds_left)
            case TuningStarted():
                self._done, self._total, self._counted = event.done, event.trials, "trial"
            case RunPutAside():
                self._runs.pop(event.run_id, None)
            case TrialFinished():
                self._done, self._total = event.done, event.total
                self._failed += event.trial.state == "failed"
                self._expect(event.seconds_left)
            case TimingStarted():
                self._timing = event.architectures
                self._expect(event.estimate_seconds)
            case TimingFinished():
                self._timing = 0

    def _expect(self, seconds_left: float | None) -> None:
        self._ends_at = None if seconds_left is None else self._clock() + seconds_left

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts: list[Table | Text] = []
        if self._runs:
            # Header, blank line and summary take three lines; rich would cut a taller table off at its end.
            room = max(1, options.size.height - 4)
            parts.append(self._table(list(self._runs.values())[:room], width=options.max_width))
            if len(self._runs) > room:
                parts.append(Text(f"and {len(self._runs) - room} more", style="dim"))
        parts.append(self._summary())
        yield Group(*parts)

    def _table(self, runs: list[RunStarted | RunProgress], *, width: int) -> Table:
        bar, speed = width >= 56, width >= 70
        table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
        table.add_column(
            "Architecture", no_wrap=True, overflow="ellipsis", max_width=_NAME_WIDTH, ratio=None if bar else 1
        )
        table.add_column("Seed", justify="right", no_wrap=True)
        if bar:
            table.add_column("Progress", ratio=1, min_width=8)
        for name in ("Epoch", "Val. (%)", "Images/s")[: 3 if speed else 2]:
            table.add_column(name, justify="right", no_wrap=True)
        for run in runs:
            done, epochs, numbers = 0.0, 1.0, ["starting", "", ""]
            if isinstance(run, RunProgress):
                done, epochs = run.epoch, run.epochs
                accuracy = "" if run.val_accuracy is None else percent(run.val_accuracy)
                speed_text = f"{run.images_per_second:,.0f}" if run.images_per_second else ""
                numbers = [f"{done:.1f} of {epochs:.3g}" if epochs else "starting", accuracy, speed_text]
            progress = [ProgressBar(total=epochs or 1.0, completed=done)] if bar else []
            label = Text(one_line(run.architecture))
            table.add_row(label, Text(str(run.seed)), *progress, *map(Text, numbers[: 3 if speed else 2]))
        return table

    def _summary(self) -> Text:
        if self._timing:
            nets = plural(self._timing, "architecture")
            return Text(f"Timing {nets}, alone on the machine{self._left()} …", style="bold")
        text = Text(f"{self._done:,} of {plural(self._total, self._counted)} done", style="bold")
        if self._failed:
            text.append(f", {self._failed:,} not ok", style="red")
        if self._done < self._total:
            text.append(self._left(), style="not bold")
        return text

    def _left(self) -> str:
        """`, about 21 s left`; nothing when it is not known or has passed."""
        left = 0.0 if self._ends_at is None else self._ends_at - self._clock()
        return f", about {duration(left)} left" if left >= 1 else ""


class Verbosity(IntEnum):
    """How much is shown while training."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class LiveView:
    """Shows events while it is entered; leaves the finished runs' lines and a clean terminal behind.

    On a terminal a table with one bar for each run under way stands below the lines; it is gone at the end. Elsewhere
    (or with TTY_INTERACTIVE=0, which rich reads) there is one plain line a finished run and nothing moves.
    """

    def __init__(
        self,
        console: Console,
        *,
        verbosity: Verbosity = Verbosity.NORMAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the view; nothing is shown before it is entered."""
        self._console = console
        self._verbosity = verbosity
        self._board = Board(clock=clock)
        self._whole_epochs: dict[str, int] = {}
        self._live: Live | None = None
        if console.is_interactive and verbosity > Verbosity.QUIET:
            self._live = Live(self._board, console=console, transient=True, refresh_per_second=4)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        self._board.take(event)
        line = self._line(event)
        if line is not None and self._verbosity > Verbosity.QUIET:
            # soft_wrap: off a terminal a line stays one line, however long
            self._console.print(line, soft_wrap=not self._console.is_terminal)

    def _line(self, event: Event) -> Text | None:
        line: Text | None = None
        match event:
            case RunFinished():  # the live table says how long it takes still
                line = _finished(event, verbose=self._verbosity >= Verbosity.VERBOSE, left=self._live is None)
            case TrialFinished():
                line = _trial(event, left=self._live is None)
            case RunStarted() | RunProgress():
                line = self._detail(event) if self._verbosity >= Verbosity.VERBOSE else None
            case Note():
                line = Text(one_line(event.text), style="yellow")
            case Planned():
                line = Text(_plan(event))
            case TuningStarted():
                line = Text(_tuning(event))
            case TimingStarted() | TimingFinished():
                line = Text(_timing(event))
        return line

    def _detail(self, event: RunStarted | RunProgress) -> Text | None:
        """That a run began, or that it has passed another whole epoch."""
        name = f"{event.architecture} seed {event.seed}"
        if isinstance(event, RunStarted):
            return Text(one_line(f"{name}: started ({event.run_id})"), style="dim")
        whole = int(event.epoch)
        if whole <= self._whole_epochs.get(event.run_id, 0):
            return None
        self._whole_epochs[event.run_id] = whole
        accuracy = "" if event.val_accuracy is None else f", validation {percent(event.val_accuracy)} %"
        speed = f"{event.images_per_second:,.0f} images/s"
        return Text(one_line(f"{name}: epoch {whole} of {event.epochs:.3g}{accuracy}, {speed}"), style="dim")


def _plan(plan: Planned) -> str:
    reused = f", {plan.reused:,} stored already" if plan.reused else ""
    about = "" if plan.estimate_seconds is None or not plan.to_train else f", about {duration(plan.estimate_seconds)}"
    return f"{plural(plan.to_train, 'run')} to train{reused}{about}."


def _tuning(event: TuningStarted) -> str:
    done = f", {event.done:,} stored already" if event.done else ""
    return f"{plural(event.trials, 'trial')} of {plural(event.architectures, 'architecture')}{done}."


def _trial(event: TrialFinished, *, left: bool) -> Text:
    """`[ 7/80] bn25k trial 3: validation 98.91 %, pruned after 1 epoch (best 99.02 %), 12 min left`."""
    trial = event.trial
    line = Text(f"[{event.done:>{len(str(event.total))}}/{event.total}] ", style="dim")
    line.append(one_line(f"{event.architecture} trial {trial.number}"), style="not dim bold")
    failed = trial.state == "failed"
    parts = [one_line(f"failed: {trial.reason}")] if failed else [f"validation {percent(trial.values[0])} %"]
    if trial.state == "pruned":
        parts.append(f"pruned after {plural(round(trial.epochs), 'epoch')}")
    if trial.repeats is not None:
        parts.append(f"the same as trial {trial.repeats}, not trained again")
    line.append(f": {', '.join(parts)}", style="not dim red" if failed else "not dim")
    if event.best is not None:
        line.append(f" (best {percent(event.best)} %)", style="not dim")
    if left and event.seconds_left:
        line.append(f", {duration(event.seconds_left)} left")
    return line


def _timing(event: TimingStarted | TimingFinished) -> str:
    nets = plural(event.architectures, "architecture")
    if isinstance(event, TimingStarted):
        return f"Timing {nets}, about {duration(event.estimate_seconds)}; nothing trains meanwhile."
    disturbed = "" if event.quiet else "; other work shared the machine, so the timings are marked and not compared"
    return f"Timed {nets} in {duration(event.seconds)}{disturbed}."


def _finished(event: RunFinished, *, verbose: bool, left: bool) -> Text:
    record = event.record
    count = f"[{event.done:>{len(str(event.total))}}/{event.total}] "
    line = Text(count, style="dim")
    tuned = ", tuned" if record.recipe_name.startswith("tuned") else ""
    line.append(one_line(f"{record.architecture} seed {record.seed}{tuned}"), style="not dim bold")
    line.append(": ", style="not dim")
    line.append(_outcome(record), style="not dim" if record.status == "ok" else "not dim red")
    if verbose and record.status == "ok" and record.train_images_per_second is not None:
        layout = f", {record.layout}" if record.layout else ""
        line.append(
            one_line(f", {record.train_images_per_second:,.0f} images/s{layout} ({record.run_id})"), style="not dim"
        )
    if left and event.seconds_left is not None and event.done < event.total:
        line.append(f", {duration(event.seconds_left)} left")
    return line


def _outcome(record: RunRecord) -> str:
    if record.status != "ok":
        return one_line(f"{record.status}: {record.error or 'no reason given'}")
    parts = []
    if record.test_accuracy is not None:
        parts.append(f"test {percent(record.test_accuracy)} %")
    if record.val_accuracy is not None:
        parts.append(f"validation {percent(record.val_accuracy)} %")
    if record.train_seconds is not None:
        parts.append(f"{record.train_seconds:,.1f} s of training")
    return ", ".join(parts) or "ok"
