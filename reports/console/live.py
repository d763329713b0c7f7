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
    StepStarted,
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
_REPORT_SECONDS, _REPORT_SECONDS_PER_NET = 1.5, 1.5
"""What a report takes on one machine, most of it to draw its pictures; for plans."""


def estimate_report(nets: int) -> float:
    """About how many seconds a report of so many architectures takes."""
    return _REPORT_SECONDS + _REPORT_SECONDS_PER_NET * nets


class Board:
    """Remembers what the events said and renders itself, at any moment, as a table for rich."""

    def __init__(self, *, clock: Callable[[], float], report_seconds: float = 0.0) -> None:
        self._clock, self._report_seconds = clock, report_seconds
        self._runs: dict[str, RunStarted | RunProgress] = {}
        self._done = 0
        self._total = 0
        self._failed = 0
        self._ends_at: float | None = None
        self._timing = 0
        self._then = 0.0  # what follows the phase under way takes
        self._step = ""
        self._counted = "run"

    def take(self, event: Event) -> None:
        """Remember what an event says."""
        self._step = event.text if isinstance(event, StepStarted) else ""
        match event:
            case Planned():
                self._then = event.then_seconds + self._report_seconds
                self._done, self._total = 0, event.to_train  # a study until decided plans stage after stage
                self._counted, self._failed = "run", 0
                self._expect(event.estimate_seconds)
            case RunStarted() | RunProgress():
                self._runs[event.run_id] = event
            case RunFinished():
                self._runs.pop(event.record.run_id, None)
                self._failed += event.record.status != "ok"
            case TuningStarted():
                self._done, self._total, self._counted = event.done, event.trials, "trial"
            case RunPutAside():
                self._runs.pop(event.run_id, None)
            case TrialFinished():
                self._failed += event.trial.state == "failed"
            case TimingStarted():
                self._timing, self._then = event.architectures, self._report_seconds
                self._expect(event.estimate_seconds)
            case TimingFinished():
                self._timing = 0
        if isinstance(event, RunFinished | TrialFinished):
            self._done, self._total = event.done, event.total
            self._expect(event.seconds_left)

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
        bar, shown = width >= 56, 3 if width >= 70 else 2
        table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
        ratio = None if bar else 1
        table.add_column("Architecture", no_wrap=True, overflow="ellipsis", max_width=_NAME_WIDTH, ratio=ratio)
        table.add_column("Seed", justify="right", no_wrap=True)
        if bar:
            table.add_column("Progress", ratio=1, min_width=8)
        for name in ("Epoch", "Val. (%)", "Images/s")[:shown]:
            table.add_column(name, justify="right", no_wrap=True)
        for run in runs:
            done, epochs, numbers = 0.0, 1.0, ["starting", "", ""]
            if isinstance(run, RunProgress):
                done, epochs = run.epoch, run.epochs
                accuracy = "" if run.val_accuracy is None else percent(run.val_accuracy)
                speed = f"{run.images_per_second:,.0f}" if run.images_per_second else ""
                numbers = [f"{done:.1f} of {epochs:.3g}" if epochs else "starting", accuracy, speed]
            progress = [ProgressBar(total=epochs or 1.0, completed=done)] if bar else []
            label = Text(one_line(run.architecture))
            table.add_row(label, Text(str(run.seed)), *progress, *map(Text, numbers[:shown]))
        return table

    def _summary(self) -> Text:
        if self._timing:
            nets = plural(self._timing, "architecture")
            return Text(f"Timing {nets}, alone on the machine{self._left()} …", style="bold")
        if self._step:
            return Text(f"{self._step} …", style="bold")
        text = Text(f"{self._done:,} of {plural(self._total, self._counted)} done", style="bold")
        if self._failed:
            text.append(f", {self._failed:,} not ok", style="red")
        if self._done < self._total:
            text.append(self._left(), style="not bold")
        return text

    def _left(self) -> str:
        """`, about 21 s left`, the phases that follow included; nothing when it is not known or has passed."""
        left = 0.0 if self._ends_at is None else self._ends_at - self._clock()
        return _about(left + self._then) if left > 0 else ""


def _about(seconds: float) -> str:
    """`, about 21 s left`; nothing under a second."""
    return f", about {duration(seconds)} left" if seconds >= 1 else ""


class _Moving:
    """What moves on a terminal while it is entered, and is gone once it is left; elsewhere nothing does."""

    def __init__(self, shown: Board | Waiting, console: Console, *, silent: bool = False) -> None:
        moves = console.is_interactive and not console.quiet and not silent  # TTY_INTERACTIVE=0, which rich reads, too
        self._live = Live(shown, console=console, transient=True, refresh_per_second=4) if moves else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()


class Waiting(_Moving):
    """One line that moves on a terminal while nothing else does: what is done and how much longer; elsewhere nothing.

    It is gone once it is left.
    """

    def __init__(
        self,
        console: Console,
        text: str,
        *,
        seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it: what is done, as the start of a sentence, and about how long it takes."""
        self._clock = clock
        self.say(text, seconds=seconds)
        super().__init__(self, console)

    def say(self, text: str, *, seconds: float | None = None) -> None:
        """Say what is done now."""
        self._text, self._ends_at = text, None if seconds is None else self._clock() + seconds

    def count_to(self, total: int) -> Callable[[int], None]:
        """What is told how many of so many are done: the line says it and, by the pace so far, how long is left."""
        started, text = self._clock(), self._text

        def watch(done: int) -> None:
            left = (self._clock() - started) / done * (total - done) if done else None
            self.say(f"{text} {done:,} of {total:,} done", seconds=left)

        return watch

    def __rich__(self) -> Text:
        left = 0.0 if self._ends_at is None else self._ends_at - self._clock()
        return Text(f"{self._text}{_about(left)} …", style="bold")


class Verbosity(IntEnum):
    """How much is shown while training."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class LiveView(_Moving):
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
        report_seconds: float = 0.0,
    ) -> None:
        """Make it; about how long the report takes that is written at the end belongs to what is left."""
        self._console, self._verbosity, self._report_seconds = console, verbosity, report_seconds
        self._board = Board(clock=clock, report_seconds=report_seconds)
        self._whole_epochs: dict[str, int] = {}
        super().__init__(self._board, console, silent=verbosity == Verbosity.QUIET)

    def show(self, event: Event) -> None:
        """Show one event."""
        self._board.take(event)
        line = self._line(event)
        if line is not None and self._verbosity > Verbosity.QUIET:
            # soft_wrap: off a terminal a line stays one line, however long
            self._console.print(line, soft_wrap=not self._console.is_terminal)

    def _line(self, event: Event) -> Text | None:
        left, verbose = self._live is None, self._verbosity >= Verbosity.VERBOSE  # the live table has what is left
        line: Text | None = None
        match event:
            case RunFinished():
                line = _finished(event, verbose=verbose, left=left)
            case TrialFinished():
                line = _trial(event, left=left)
            case RunStarted() if verbose:
                started = f"{event.architecture} seed {event.seed}: started ({event.run_id})"
                line = Text(one_line(started), style="dim")
            case RunProgress() if verbose and int(event.epoch) > self._whole_epochs.get(event.run_id, 0):
                self._whole_epochs[event.run_id] = int(event.epoch)
                line = Text(one_line(_progress(event)), style="dim")
            case Note():
                line = Text(one_line(event.text), style="yellow")
            case Planned() | TuningStarted() | TimingStarted() | TimingFinished():
                line = Text(_announcement(event, self._report_seconds))
        return line


def _progress(event: RunProgress) -> str:
    accuracy = "" if event.val_accuracy is None else f", validation {percent(event.val_accuracy)} %"
    epoch = f"epoch {int(event.epoch)} of {event.epochs:.3g}"
    return f"{event.architecture} seed {event.seed}: {epoch}{accuracy}, {event.images_per_second:,.0f} images/s"


def _planned(event: Planned, report_seconds: float) -> str:
    """`24 runs to train, about 2 min in all: training 1 min 34 s, timing 18 s, the report 8 s.`."""
    stored = f", {event.reused:,} stored already" if event.reused else ""
    about = ""
    if event.estimate_seconds is not None and event.to_train:
        phases = {"training": event.estimate_seconds, "timing": event.then_seconds, "the report": report_seconds}
        parts = [f"{name} {duration(seconds)}" for name, seconds in phases.items() if seconds]
        about = f", about {duration(sum(phases.values()))}" + (f" in all: {', '.join(parts)}" if parts[1:] else "")
    return f"{plural(event.to_train, 'run')} to train{stored}{about}."


def _announcement(event: Planned | TuningStarted | TimingStarted | TimingFinished, report_seconds: float) -> str:
    if isinstance(event, Planned):
        return _planned(event, report_seconds)
    nets = plural(event.architectures, "architecture")
    if isinstance(event, TuningStarted):
        stored = f", {event.done:,} stored already" if event.done else ""
        return f"{plural(event.trials, 'trial')} of {nets}{stored}."
    if isinstance(event, TimingStarted):
        return f"Timing {nets}, about {duration(event.estimate_seconds)}; nothing trains meanwhile."
    disturbed = "" if event.quiet else "; other work shared the machine, so the timings are marked and not compared"
    return f"Timed {nets} in {duration(event.seconds)}{disturbed}."


def _counted(event: RunFinished | TrialFinished, name: str, outcome: str, *, ok: bool) -> Text:
    """`[ 7/80] bn25k seed 3: test 98.91 %`."""
    line = Text(f"[{event.done:>{len(str(event.total))}}/{event.total}] ", style="dim")
    line.append(one_line(name), style="not dim bold")
    return line.append(f": {outcome}", style="not dim" if ok else "not dim red")


def _trial(event: TrialFinished, *, left: bool) -> Text:
    """`[ 7/80] bn25k trial 3: validation 98.91 %, pruned after 1 epoch (best 99.02 %), 12 min left`."""
    trial = event.trial
    failed = trial.state == "failed"
    outcome = one_line(f"failed: {trial.reason}") if failed else f"validation {percent(trial.values[0])} %"
    if trial.state == "pruned":
        outcome += f", pruned after {plural(round(trial.epochs), 'epoch')}"
    if trial.repeats is not None:
        outcome += f", the same as trial {trial.repeats}, not trained again"
    line = _counted(event, f"{event.architecture} trial {trial.number}", outcome, ok=not failed)
    if event.best is not None:
        line.append(f" (best {percent(event.best)} %)", style="not dim")
    if left and event.seconds_left:
        line.append(f", {duration(event.seconds_left)} left")
    return line


def _finished(event: RunFinished, *, verbose: bool, left: bool) -> Text:
    record = event.record
    tuned = ", tuned" if record.recipe_name.startswith("tuned") else ""
    name = f"{record.architecture} seed {record.seed}{tuned}"
    line = _counted(event, name, _outcome(record), ok=record.status == "ok")
    if verbose and record.status == "ok" and record.train_images_per_second is not None:
        layout = f", {record.layout}" if record.layout else ""
        speed = f", {record.train_images_per_second:,.0f} images/s{layout} ({record.run_id})"
        line.append(one_line(speed), style="not dim")
    if left and event.seconds_left is not None and event.done < event.total:
        line.append(f", {duration(event.seconds_left)} left")
    return line


def _outcome(record: RunRecord) -> str:
    if record.status != "ok":
        return one_line(f"{record.status}: {record.error or 'no reason given'}")
    accuracies = (("test", record.test_accuracy), ("validation", record.val_accuracy))
    parts = [f"{what} {percent(accuracy)} %" for what, accuracy in accuracies if accuracy is not None]
    if record.train_seconds is not None:
        parts.append(f"{record.train_seconds:,.1f} s of training")
    return ", ".join(parts) or "ok"
