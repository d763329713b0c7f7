"""Learning curves of one condition: the mean over seeds, with the band from the lowest to the highest seed."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING

from reports.cells import MISSING, number_cell
from reports.document import Cell, Column, Figure, Panel, Point, Series, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bench.analysis.conditions import Condition, Entry
    from bench.core.records import CurvePoint, Study

TABLE_ROWS = 20
"""Rows of one architecture in the table behind a chart; more are thinned evenly, the last one kept."""

FLOOR_PERCENT = 80.0
"""Validation accuracy, in %, from which the first epochs are drawn."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Quantity:
    """What is drawn of a curve point, and how it is worded."""

    title: str
    unit: str
    read: Callable[[CurvePoint], float | None]
    scale: float
    digits: int


_TRAIN_ACCURACY = _Quantity(
    title="Training accuracy", unit="%", read=lambda point: point.train_accuracy, scale=100, digits=2
)
_VAL_ACCURACY = _Quantity(
    title="Validation accuracy", unit="%", read=lambda point: point.val_accuracy, scale=100, digits=2
)
_TRAIN_LOSS = _Quantity(title="Training loss", unit="nats", read=lambda point: point.train_loss, scale=1, digits=4)
_VAL_LOSS = _Quantity(title="Validation loss", unit="nats", read=lambda point: point.val_loss, scale=1, digits=4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _View:
    """What one figure draws of the curves: quantities, on the probe within epochs or on all images at their ends."""

    slug: str
    title: str
    quantities: tuple[_Quantity, ...]
    probe: bool = False


_VIEWS = (
    _View(slug="accuracy", title="Accuracy over the epochs", quantities=(_TRAIN_ACCURACY, _VAL_ACCURACY)),
    _View(slug="loss", title="Loss over the epochs", quantities=(_TRAIN_LOSS, _VAL_LOSS)),
    _View(
        slug="first-epochs",
        title="The first epochs, on the fixed probe of validation images",
        quantities=(_VAL_ACCURACY,),
        probe=True,
    ),
)


def curve_figures(condition: Condition, study: Study, styles: Mapping[str, int]) -> tuple[Figure, ...]:
    """Accuracy and loss over epochs for training and validation, and the first epochs on the validation probe.

    Runs that did not end ok are left out. A figure without a single point is left out too.

    Args:
        condition: Whose runs are drawn.
        study: Holds the curves.
        styles: Colour and marker by architecture label.
    """
    smoothed = label_smoothing(condition)
    views = [_with_smoothed_loss(view, smoothed) for view in _VIEWS] if smoothed else _VIEWS
    figures = (_figure(condition, study, view, styles=styles) for view in views)
    return tuple(figure for figure in figures if any(panel.series for panel in figure.panels))


def label_smoothing(condition: Condition) -> str:
    """The label smoothing of its runs, `0.1`, or `up to 0.1` where they have several; empty without any."""
    shares = {float(run.recipe.get("label_smoothing", 0.0)) for run in condition.records}
    if not any(shares):
        return ""
    return f"{'up to ' if len(shares) > 1 else ''}{max(shares):g}"


def _with_smoothed_loss(view: _View, smoothed: str) -> _View:
    """The view with a training loss that says of which labels it is: validation loss is never of smoothed ones."""
    loss = dataclasses.replace(_TRAIN_LOSS, title=f"Training loss (labels smoothed by {smoothed})")
    return dataclasses.replace(
        view, quantities=tuple(loss if quantity is _TRAIN_LOSS else quantity for quantity in view.quantities)
    )


def _figure(condition: Condition, study: Study, view: _View, *, styles: Mapping[str, int]) -> Figure:
    curves = {
        entry.label: [
            [point for point in study.curves.get(run.run_id, ()) if point.probe == view.probe]
            for run in entry.having("ok")
        ]
        for entry in condition.entries
    }
    drawn = {
        quantity.title: {label: _aggregate(runs, quantity) for label, runs in curves.items()}
        for quantity in view.quantities
    }
    floor = _floor(drawn[view.quantities[0].title].values()) if view.probe else None
    title = view.title if floor is None else f"{view.title} (drawn from {floor:g} % up)"
    panels = tuple(
        Panel(
            title=quantity.title,
            x_label="Epochs",
            y_label=f"{quantity.title} ({quantity.unit})",
            series=tuple(
                Series(label=label, style=styles[label], points=tuple(point for _, point in points))
                for label, points in drawn[quantity.title].items()
                if points
            ),
            target=95.0 if view.probe else None,
            floor=floor,
        )
        for quantity in view.quantities
    )
    return Figure(
        slug=f"{condition.slug}-{view.slug}",
        title=title,
        alt=_alt(title, condition.entries, view.quantities),
        panels=panels,
        table=_table(title, drawn, view.quantities),
    )


def _floor(series: Iterable[list[tuple[int, Point]]]) -> float | None:
    """Where the axis begins when every net has climbed well above it; the first steps would flatten all else."""
    ends = [points[-1][1].y for points in series if points]
    return FLOOR_PERCENT if ends and min(ends) > FLOOR_PERCENT + 5 else None


def _aggregate(runs: Sequence[Sequence[CurvePoint]], quantity: _Quantity) -> list[tuple[int, Point]]:
    """Number of seeds and point, by epoch; epochs that fewer than half of the seeds have are left out."""
    at: dict[float, list[float]] = {}
    for run in runs:
        for point in run:
            value = quantity.read(point)
            if value is not None and math.isfinite(value):
                at.setdefault(round(point.epoch, 3), []).append(value)
    return [
        (len(values), _point(epoch, values, quantity.scale))
        for epoch, values in sorted(at.items())
        if 2 * len(values) >= len(runs)
    ]


def _point(epoch: float, values: Sequence[float], scale: float) -> Point:
    """Mean and range, scaled last, as the tables scale them: the same seeds then show the same digits everywhere."""
    return Point(x=epoch, y=scale * statistics.fmean(values), low=scale * min(values), high=scale * max(values))


def _alt(title: str, entries: Sequence[Entry], quantities: Sequence[_Quantity]) -> str:
    what = " and ".join(quantity.title.lower() for quantity in quantities)
    labels = ", ".join(entry.label for entry in entries)
    return (
        f"{title}: {what} of {labels}; a line is the mean over seeds, its band reaches from the lowest to the highest."
    )


def _table(
    title: str, drawn: Mapping[str, Mapping[str, list[tuple[int, Point]]]], quantities: Sequence[_Quantity]
) -> Table:
    columns = [Column(name="Architecture", numeric=False), Column(name="Epochs"), Column(name="Seeds")]
    for quantity in quantities:
        columns.append(Column(name=f"{quantity.title} ({quantity.unit})"))
        columns.append(Column(name="Lowest to highest", numeric=False))
    rows = []
    for label in drawn[quantities[0].title]:
        by_epoch = [{point.x: (n, point) for n, point in drawn[q.title][label]} for q in quantities]
        epochs = sorted({epoch for points in by_epoch for epoch in points})
        for epoch in _thin(epochs):
            found = [points.get(epoch) for points in by_epoch]
            seeds = max(n for n, _ in filter(None, found))
            cells = [Cell(text=label), Cell(text=f"{epoch:g}", value=epoch), number_cell(seeds)]
            for quantity, entry in zip(quantities, found, strict=True):
                cells.extend(_cells(entry[1] if entry else None, quantity.digits))
            rows.append(tuple(cells))
    return Table(
        caption=f"{title}: mean over seeds, at most {TABLE_ROWS} points of a curve",
        columns=tuple(columns),
        rows=tuple(rows),
    )


def _thin(epochs: list[float]) -> list[float]:
    step = math.ceil(len(epochs) / TABLE_ROWS)
    return epochs[::-step][::-1] if epochs else []


def _cells(point: Point | None, digits: int) -> tuple[Cell, Cell]:
    if point is None:
        return Cell(text=MISSING), Cell(text=MISSING)
    return number_cell(point.y, digits), Cell(text=f"{point.low:.{digits}f} to {point.high:.{digits}f}")
