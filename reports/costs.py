"""Accuracy against what it cost: size and speed of the net side by side, and training seconds on one machine."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.stats.estimates import AccuracyEstimate, estimate_accuracy, median_of
from bench.stats.ranking import Standing
from bench.text import one_line
from reports.charts import Panel, Point, Series
from reports.comparison import accuracy_of, interval_text
from reports.document import Cell, Column, Figure, Table
from reports.fronts import LATENCY, standing_text
from reports.machines import setting_of
from reports.wording import MISSING, listing, number_cell, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reports.conditions import Condition
    from reports.fronts import CostFront
    from reports.machines import Setting

_MOST_NAMED = 14
"""Architectures whose names find room beside their points; of more a legend tells."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Cost:
    """A kind of cost: how it is called, drawn and worded."""

    name: str
    digits: int
    paid: Mapping[str, float]


def cost_figure(condition: Condition, front: CostFront, styles: Mapping[str, int]) -> Figure | None:
    """Test accuracy against parameters, MACs and, where all were timed, latency; None while no run ended ok.

    Hollow markers are architectures that are confidently dominated over all costs; all others may be on the front.

    Args:
        condition: Whose runs are drawn.
        front: What its architectures cost.
        styles: Colour and marker by architecture label.
    """
    known = {entry.label: accuracy_of(entry, condition) for entry in condition.entries if entry.having("ok")}
    kinds = {"params": ("parameters", 1.0, 0), "MACs": ("MACs per image", 1.0, 0)}
    kinds[LATENCY] = ("milliseconds a pass at batch 1", 1000.0, 3)
    costs = []
    for kind, (name, scale, digits) in kinds.items():
        paid = {label: scale * front.costs[label][kind] for label in known if kind in front.costs[label]}
        costs.append(_Cost(name=name, digits=digits, paid=paid))
    standings = {label: standing_text(place) for label, place in front.places.items()}
    dominated = {label for label, place in front.places.items() if place.standing == Standing.DOMINATED}
    figure = _figure(condition, known, costs, styles=styles, standings=standings, dominated=dominated)
    return figure and dataclasses.replace(figure, slug=f"{condition.slug}-costs")


def seconds_figure(condition: Condition, setting: Setting, *, styles: Mapping[str, int], number: int) -> Figure | None:
    """Test accuracy against training seconds under one setting; None while no run ended ok there.

    Args:
        condition: Whose runs are drawn.
        setting: Machine, device, threads and jobs of the runs that are drawn.
        styles: Colour and marker by architecture label.
        number: Position of the setting among the condition's, from 1, for the name of the file.
    """
    images = condition.dataset.test_images if condition.dataset else None
    known, paid = {}, {}
    for entry in condition.entries:
        runs = [run for run in entry.having("ok") if setting_of(run) == setting]
        seconds = median_of([run.train_seconds for run in runs])
        if seconds is not None:
            values = [run.test_accuracy for run in runs if run.test_accuracy is not None]
            known[entry.label] = estimate_accuracy(values, images=images)
            paid[entry.label] = seconds
    machine = f", machine {one_line(setting[0])}" if condition.has_unlike_machines else ""
    cost = _Cost(name=f"training seconds (median{machine})", digits=1, paid=paid)
    figure = _figure(condition, known, [cost], styles=styles)
    slug = "seconds" if number == 1 else f"seconds-{number}"
    return figure and dataclasses.replace(figure, slug=f"{condition.slug}-{slug}")


def _figure(
    condition: Condition,
    known: Mapping[str, AccuracyEstimate],
    costs: Sequence[_Cost],
    *,
    styles: Mapping[str, int],
    standings: Mapping[str, str] | None = None,
    dominated: set[str] | frozenset[str] = frozenset(),
) -> Figure | None:
    mark = " (selected on test)" if condition.selected_on_test else ""
    panels = [_panel(cost, known, mark=mark, styles=styles, dominated=dominated) for cost in costs]
    panels = [panel for panel in panels if panel.series]
    if not panels:
        return None
    drawn = [cost for cost in costs if cost.paid]
    title = f"Test accuracy{mark} against {listing([cost.name for cost in drawn])}"
    labels = ", ".join(label for label in known if any(label in cost.paid for cost in drawn))
    logarithmic = [panel.x_label.lower() for panel in panels if panel.log_x]
    axis = f", the horizontal axis of {listing(logarithmic)} is logarithmic" if logarithmic else ""
    behind = f" Confidently dominated, with hollow markers: {listing(sorted(dominated))}." if dominated else ""
    return Figure(
        slug=f"{condition.slug}-costs",
        title=title,
        alt=f"{title} for {labels}; whiskers are 95 % intervals{axis}.{behind}",
        panels=tuple(panels),
        table=_table(title, known, drawn, mark=mark, standings=standings),
    )


def _panel(
    cost: _Cost,
    known: Mapping[str, AccuracyEstimate],
    *,
    mark: str,
    styles: Mapping[str, int],
    dominated: set[str] | frozenset[str],
) -> Panel:
    series = tuple(
        Series(label=label, style=styles[label], points=points, hollow=label in dominated)
        for label, accuracy in known.items()
        if label in cost.paid and (points := _points(cost.paid[label], accuracy))
    )
    paid = list(cost.paid.values())
    return Panel(
        title=cost.name[0].upper() + cost.name[1:],
        x_label=cost.name[0].upper() + cost.name[1:],
        y_label=f"Test accuracy{mark} (%)",
        series=series,
        joined=False,
        log_x=bool(paid) and min(paid) > 0 and max(paid) > 3 * min(paid),  # a shorter axis has no room for its marks
        named=len(series) <= _MOST_NAMED,
        filled_means="possibly on the front" if dominated else "",
        hollow_means="confidently dominated" if dominated else "",
    )


def _table(
    title: str,
    known: Mapping[str, AccuracyEstimate],
    costs: Sequence[_Cost],
    *,
    mark: str,
    standings: Mapping[str, str] | None,
) -> Table:
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name=f"Test accuracy{mark} (%)"),
        Column(name="95 % interval (%)", numeric=False),
        *(Column(name=cost.name[0].upper() + cost.name[1:]) for cost in costs),
        *([Column(name="Standing", numeric=False)] if standings else []),
    )
    rows = tuple(
        (
            Cell(text=label),
            Cell(text=listing([percent(value) for value in _shown(accuracy)]) or MISSING),
            Cell(text=interval_text(accuracy)),
            *(number_cell(cost.paid.get(label), cost.digits) for cost in costs),
            *([Cell(text=standings.get(label, MISSING))] if standings else []),
        )
        for label, accuracy in known.items()
    )
    return Table(caption=title, columns=columns, rows=rows)


def _shown(accuracy: AccuracyEstimate) -> tuple[float, ...]:
    """Two seeds are shown as two values, more as their mean."""
    if len(accuracy.values) == 2:
        return accuracy.values
    return () if accuracy.mean is None else (accuracy.mean,)


def _points(cost: float, accuracy: AccuracyEstimate) -> tuple[Point, ...]:
    low, high = accuracy.low, accuracy.high
    return tuple(
        Point(
            x=cost,
            y=100 * value,
            low=None if low is None else 100 * low,
            high=None if high is None else 100 * high,
        )
        for value in _shown(accuracy)
    )
