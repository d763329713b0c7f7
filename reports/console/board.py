"""The moving part of the live view: what is under way, and how long all of it will still take."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.core.events import (
    Event,
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

    from rich.console import Console, ConsoleOptions, RenderResult

_NAME_WIDTH = 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class _UnderWay:
    """A run that trains now."""

    architecture: str
    seed: int
    epoch: float = 0.0
    epochs: float = 0.0
    val_accuracy: float | None = None
    images_per_second: float = 0.0


class Board:
    """Remembers what the events said and renders itself, at any moment, as a table for rich."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._runs: dict[str, _UnderWay] = {}
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
            case RunStarted():
                self._runs[event.run_id] = _UnderWay(architecture=event.architecture, seed=event.seed)
            case RunProgress():
                self._runs[event.run_id] = _UnderWay(
                    architecture=event.architecture,
                    seed=event.seed,
                    epoch=event.epoch,
                    epochs=event.epochs,
                    val_accuracy=event.val_accuracy,
                    images_per_second=event.images_per_second,
                )
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

    def _table(self, runs: list[_UnderWay], *, width: int) -> Table:
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
            progress = [ProgressBar(total=run.epochs or 1.0, completed=run.epoch)] if bar else []
            numbers = [
                Text(f"{run.epoch:.1f} of {run.epochs:.3g}" if run.epochs else "starting"),
                Text("" if run.val_accuracy is None else percent(run.val_accuracy)),
                Text(f"{run.images_per_second:,.0f}" if run.images_per_second else ""),
            ]
            label = Text(one_line(run.architecture))
            table.add_row(label, Text(str(run.seed)), *progress, *numbers[: 3 if speed else 2])
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
