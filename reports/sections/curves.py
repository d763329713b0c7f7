"""Learning curves of one condition: the mean over seeds, with the band from the lowest to the highest seed."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING, TypeAlias

from reports.cells import MISSING, column, number_cell, number_column, table_of, text_column
from reports.document import Cell, Figure, Panel, Point, Series, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.core.records import CurvePoint, Study
    from reports.cells import ColumnOf

TABLE_ROWS = 20
"""Rows of one architecture in the table behind a chart; more are thinned evenly, the last one kept."""

_Curve: TypeAlias = "dict[float, tuple[int, Point]]"
"""Number of seeds and point, by epoch in order."""

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


_TRAIN_ACCURACY = _Quantity(title="Training accuracy", unit="%", read=lambda p: p.train_accuracy, scale=100, digits=2)
_VAL_ACCURACY = _Quantity(title="Validation accuracy", unit="%", read=lambda p: p.val_accuracy, scale=100, digits=2)
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
    runs = {
        entry.label: [
            [point for point in study.curves.get(run.run_id, ()) if point.probe == view.probe]
            for run in entry.having("ok")
        ]
        for entry in condition.entries
    }
    curves = [(q, {label: _aggregate(of, q) for label, of in runs.items()}) for q in view.quantities]
    floor = _floor(curves[0][1].values()) if view.probe else None
    title = view.title if floor is None else f"{view.title} (drawn from {floor:g} % up)"
    panels = tuple(
        Panel(
            title=quantity.title,
            x_label="Epochs",
            y_label=f"{quantity.title} ({quantity.unit})",
            series=tuple(
                Series(label=label, style=styles[label], points=tuple(point for _, point in curve.values()))
                for label, curve in drawn.items()
                if curve
            ),
            target=95.0 if view.probe else None,
            floor=floor,
        )
        for quantity, drawn in curves
    )
    what = " and ".join(quantity.title.lower() for quantity in view.quantities)
    alt = f"{title}: {what} of {', '.join(runs)}; a line is the mean over seeds, its band reaches from the lowest to "
    alt += "the highest."
    slug = f"{condition.slug}-{view.slug}"
    return Figure(slug=slug, title=title, alt=alt, panels=panels, table=_table(title, curves))


def _floor(curves: Iterable[_Curve]) -> float | None:
    """Where the axis begins when every net has climbed well above it; the first steps would flatten all else."""
    ends = [[*curve.values()][-1][1].y for curve in curves if curve]
    return FLOOR_PERCENT if ends and min(ends) > FLOOR_PERCENT + 5 else None


def _aggregate(runs: Sequence[Sequence[CurvePoint]], quantity: _Quantity) -> _Curve:
    """Mean and range at each epoch; epochs that fewer than half of the seeds have are left out."""
    at: dict[float, list[float]] = {}
    for run in runs:
        for point in run:
            value = quantity.read(point)
            if value is not None and math.isfinite(value):
                at.setdefault(round(point.epoch, 3), []).append(value)
    scale = quantity.scale  # scaled last, as tables do it: the same seeds then show the same digits everywhere
    return {
        epoch: (
            len(values),
            Point(x=epoch, y=scale * statistics.fmean(values), low=scale * min(values), high=scale * max(values)),
        )
        for epoch, values in sorted(at.items())
        if 2 * len(values) >= len(runs)
    }


def _table(title: str, curves: Sequence[tuple[_Quantity, Mapping[str, _Curve]]]) -> Table:
    def columns_of(quantity: _Quantity, drawn: Mapping[str, _Curve]) -> list[ColumnOf[tuple[str, float]]]:
        def shown(row: tuple[str, float]) -> tuple[Cell, str]:
            if row[1] not in drawn[row[0]]:
                return Cell(MISSING), MISSING
            point, digits = drawn[row[0]][row[1]][1], quantity.digits
            return number_cell(point.y, digits), f"{point.low:.{digits}f} to {point.high:.{digits}f}"

        return [
            column(f"{quantity.title} ({quantity.unit})", lambda row: shown(row)[0]),
            text_column("Lowest to highest", lambda row: shown(row)[1]),
        ]

    def seeds(row: tuple[str, float]) -> int:
        label, epoch = row
        return max(drawn[label][epoch][0] for _, drawn in curves if epoch in drawn[label])

    def thinned(label: str) -> list[float]:
        epochs = sorted({epoch for _, drawn in curves for epoch in drawn[label]})
        return epochs[:: -math.ceil(len(epochs) / TABLE_ROWS) or -1][::-1]

    return table_of(
        f"{title}: mean over seeds, at most {TABLE_ROWS} points of a curve",
        [(label, epoch) for label in curves[0][1] for epoch in thinned(label)],
        [
            text_column("Architecture", lambda row: row[0]),
            column("Epochs", lambda row: Cell(f"{row[1]:g}", row[1])),
            number_column("Seeds", seeds),
            *(each for quantity, drawn in curves for each in columns_of(quantity, drawn)),
        ],
    )
