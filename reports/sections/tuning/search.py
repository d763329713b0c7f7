"""How a search went: each trial in order with the best so far, and what fewer trials would have found."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from bench.analysis.stats.expected_best import FAILED_ACCURACY, ExpectedBest, expected_best
from bench.system.text import percent, plural, span
from reports.cells import number_column, percent_column, table_of, text_column
from reports.document import Figure, Panel, Point, Prose, Series, Table

if TYPE_CHECKING:
    from bench.core.tuning import Tuning
    from reports.document import Block

_SPREADS = 4
_LEAST_SPREAD = 0.5
"""Points of validation accuracy (%) that lie so many spreads below the best are not drawn, a spread being what lies
between the best and the middle trial: one that learned nothing would flatten all others."""


def history_figure(tuning: Tuning, *, label: str, slug: str, style: int) -> list[Block]:
    """Validation accuracy by trial; empty while no trial has a value."""
    complete, pruned = _points(tuning, "complete"), _points(tuning, "pruned")
    best = best_so_far(tuning)
    if not complete and not pruned:
        return []
    floor = _floor([point.y for point in complete or pruned], also=[point.y for point in pruned])
    series = (
        Series(label="complete", style=style, points=_above(complete, floor)),
        Series(label="pruned, when it was", style=style, points=_above(pruned, floor), hollow=True),
        Series(label="best so far of complete trials", style=style, points=_above(best, floor), stepped=True),
    )
    panel = Panel(
        title="Trials in order",
        x_label="Trial",
        y_label="Validation accuracy (%)",
        series=tuple(each for each in series if each.points),
        joined=False,
    )
    reached = {point.x: point.y for point in best}
    table = table_of(
        f"Trials of {label} in order",
        tuning.trials,
        [
            number_column("Trial", lambda trial: trial.number),
            text_column("State", lambda trial: trial.state),
            percent_column("Validation accuracy (%)", lambda trial: trial.values[0] if trial.values else None),
            number_column("Best so far (%)", lambda trial: reached.get(trial.number), 2),
        ],
    )
    title = f"Trials of {label} in order{_said(floor)}"
    alt = _alt(tuning, label, best)
    return [Figure(slug=f"{slug}-history", title=title, alt=alt, panels=(panel,), table=table)]


def best_so_far(tuning: Tuning) -> tuple[Point, ...]:
    """The best validation accuracy (%) of complete trials up to each of them; of those that count."""
    points: list[Point] = []
    for point in _points(tuning, "complete"):
        if point.x < tuning.counted:
            points.append(Point(x=point.x, y=max([point.y, *(p.y for p in points[-1:])])))
    return tuple(points)


def _points(tuning: Tuning, state: str) -> tuple[Point, ...]:
    found = [trial for trial in tuning.trials if trial.state == state and trial.values]
    return tuple(Point(x=float(trial.number), y=100 * trial.values[0]) for trial in found)


def _floor(values: list[float], also: list[float] | None = None) -> float | None:
    """From which accuracy (%) on is drawn; None where all is."""
    best = max(values)
    floor = math.floor(10 * (best - _SPREADS * max(best - statistics.median(values), _LEAST_SPREAD))) / 10
    return floor if min([*values, *(also or ())]) < floor else None


def _above(points: tuple[Point, ...], floor: float | None) -> tuple[Point, ...]:
    return tuple(point for point in points if floor is None or point.y >= floor)


def _said(floor: float | None) -> str:
    return "" if floor is None else f" (drawn from {floor:g} % up)"


def count_states(tuning: Tuning) -> tuple[int, int, int]:
    """Trials that are complete, pruned and failed."""
    states = [trial.state for trial in tuning.trials]
    return states.count("complete"), states.count("pruned"), states.count("failed")


def _alt(tuning: Tuning, label: str, best: tuple[Point, ...]) -> str:
    complete, pruned, failed = count_states(tuning)
    rise = f" The best so far goes from {best[0].y:.2f} % to {best[-1].y:.2f} %." if best else ""
    return (
        f"Validation accuracy of the trials of {label} in order: {complete} complete, {pruned} pruned (hollow), "
        f"{failed} failed (not drawn).{rise}"
    )


def best_figure(tuning: Tuning, *, label: str, slug: str, style: int) -> list[Block]:
    """The expected best of n trials, or why there is no such curve."""
    if not tuning.independent:
        text = (
            "What fewer trials would have found cannot be told from these: each was chosen in the light of earlier "
            "ones or cut short beside them. Random search without pruning would show it."
        )
        return [Prose(text)]
    drawn = [trial for trial in tuning.trials if not (trial.number == 0 and tuning.starts_with_default)]
    found = expected_best([trial.values[0] if trial.values else FAILED_ACCURACY for trial in drawn])
    if not found:
        return []
    floor = _floor([100 * each.mean for each in found])
    points = tuple(
        Point(x=float(e.n), y=100 * e.mean, low=max(100 * e.low, floor or 0.0), high=100 * e.high) for e in found
    )
    panel = Panel(
        title="Expected best",
        x_label="Trials",
        y_label="Expected best validation accuracy (%)",
        series=(Series(label=label, style=style, points=_above(points, floor)),),
        floor=floor,
    )
    without = ", the default recipe left out, which was not drawn" if len(drawn) < len(tuning.trials) else ""
    text = (
        f"The best that n of these {plural(len(drawn), 'trial')} find on average{without}; a failed trial counts as 0. "
        "The band is a 95 % percentile interval over trials drawn again; it describes, and cannot rise above the best "
        "that was seen."
    )
    title = f"Expected best of n trials of {label}{_said(floor)}"
    alt = f"{title}: from {percent(found[0].mean)} % for one trial to {percent(found[-1].mean)} % for all {len(found)}."
    figure = Figure(slug=f"{slug}-best", title=title, alt=alt, panels=(panel,), table=_best_table(found, label))
    return [Prose(text), figure]


def _best_table(found: tuple[ExpectedBest, ...], label: str) -> Table:
    return table_of(
        f"Expected best validation accuracy of {label}",
        found,
        [
            number_column("Trials", lambda best: best.n),
            percent_column("Expected best (%)", lambda best: best.mean),
            text_column("95 % interval (%)", lambda best: span(best.low, best.high)),
        ],
    )
