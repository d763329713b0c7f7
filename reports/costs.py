"""Accuracy against what it cost: parameters, and training seconds on one machine."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.stats.estimates import AccuracyEstimate, estimate_accuracy, median_of
from reports.charts import Panel, Point, Series
from reports.comparison import accuracy_of, interval_text
from reports.conditions import setting_of
from reports.document import Cell, Column, Figure, Table
from reports.wording import listing, number_cell, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reports.conditions import Condition, Setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Cost:
    """One architecture's cost and what it bought."""

    label: str
    cost: float
    accuracy: AccuracyEstimate


def parameters_figure(condition: Condition, styles: Mapping[str, int]) -> Figure | None:
    """Test accuracy against parameters; None while no run ended ok.

    Args:
        condition: Whose runs are drawn.
        styles: Colour and marker by architecture label.
    """
    costs = [
        _Cost(label=entry.label, cost=params, accuracy=accuracy_of(entry, condition))
        for entry in condition.entries
        if (params := median_of([run.params for run in entry.having("ok")])) is not None
    ]
    return _figure(condition, costs, styles=styles, name="parameters", slug="parameters", digits=0)


def seconds_figure(condition: Condition, setting: Setting, *, styles: Mapping[str, int], number: int) -> Figure | None:
    """Test accuracy against training seconds under one setting; None while no run ended ok there.

    Args:
        condition: Whose runs are drawn.
        setting: Machine, device, threads and jobs of the runs that are drawn.
        styles: Colour and marker by architecture label.
        number: Position of the setting among the condition's, from 1, for the name of the file.
    """
    images = condition.dataset.test_images if condition.dataset else None
    costs = []
    for entry in condition.entries:
        runs = [run for run in entry.having("ok") if setting_of(run) == setting]
        seconds = median_of([run.train_seconds for run in runs])
        if seconds is not None:
            values = [run.test_accuracy for run in runs if run.test_accuracy is not None]
            costs.append(_Cost(label=entry.label, cost=seconds, accuracy=estimate_accuracy(values, images=images)))
    slug = "seconds" if number == 1 else f"seconds-{number}"
    return _figure(condition, costs, styles=styles, name="training seconds (median)", slug=slug, digits=1)


def _figure(
    condition: Condition, costs: Sequence[_Cost], *, styles: Mapping[str, int], name: str, slug: str, digits: int
) -> Figure | None:
    series = tuple(
        Series(label=cost.label, style=styles[cost.label], points=points) for cost in costs if (points := _points(cost))
    )
    if not series:
        return None
    paid = [cost.cost for cost in costs]
    log_x = min(paid) > 0 and max(paid) > 5 * min(paid)
    mark = " (selected on test)" if condition.selected_on_test else ""
    title = f"Test accuracy{mark} against {name}"
    panel = Panel(
        title=title,
        x_label=name.capitalize(),
        y_label=f"Test accuracy{mark} (%)",
        series=series,
        joined=False,
        log_x=log_x,
    )
    rows = tuple(
        (
            Cell(text=cost.label),
            number_cell(cost.cost, digits),
            Cell(text=listing([percent(value) for value in _shown(cost.accuracy)])),
            Cell(text=interval_text(cost.accuracy)),
        )
        for cost in costs
    )
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name=name.capitalize()),
        Column(name=f"Test accuracy{mark} (%)"),
        Column(name="95 % interval (%)", numeric=False),
    )
    labels = ", ".join(cost.label for cost in costs)
    logarithmic = ", the horizontal axis is logarithmic" if log_x else ""
    return Figure(
        slug=f"{condition.slug}-{slug}",
        title=title,
        alt=f"{title} for {labels}; whiskers are 95 % intervals{logarithmic}.",
        panels=(panel,),
        table=Table(caption=title, columns=columns, rows=rows),
    )


def _shown(accuracy: AccuracyEstimate) -> tuple[float, ...]:
    """Two seeds are shown as two values, more as their mean."""
    if len(accuracy.values) == 2:
        return accuracy.values
    return () if accuracy.mean is None else (accuracy.mean,)


def _points(cost: _Cost) -> tuple[Point, ...]:
    low, high = cost.accuracy.low, cost.accuracy.high
    return tuple(
        Point(
            x=cost.cost,
            y=100 * value,
            low=None if low is None else 100 * low,
            high=None if high is None else 100 * high,
        )
        for value in _shown(cost.accuracy)
    )
