"""The nouns of a chart: panels of series of points, and heat maps, free of any drawing library.

A chart is data, so that every writer may draw it in its own way from the same numbers.
"""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A point of a chart with the band or the whiskers around it.

    Attributes:
        x: Where it stands.
        y: How high.
        low: Lower end of its band; None without one.
        high: Upper end of its band; None without one.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """What is drawn of one architecture.

    Attributes:
        label: Its name in the legend.
        style: Number of its colour and marker, the same in every figure of a document.
        points: In order of x when they are joined.
        stepped: Drawn as a line in steps, without markers, among the separate points of other series.
        hollow: Drawn with hollow markers, for what counts less.
    """

    label: str
    style: int
    points: tuple[Point, ...]
    stepped: bool = False
    hollow: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: What it shows.
        x_label: With the unit.
        y_label: With the unit.
        series: What is drawn.
        joined: Lines with bands when true, separate points with whiskers otherwise.
        whiskers: Joined points have whiskers instead of a band.
        log_x: Whether x is drawn on a logarithmic scale.
        log_y: The same of y.
        x_ticks: Where x is marked; chosen by the scale when empty.
        target: Height of a reference line; None without one.
        floor: Where y begins, lower points being cut off; None to show all.
        named: Whether names stand beside their points, so that no legend repeats them.
        filled_means: What a filled marker says beside hollow ones; empty where it says nothing.
        hollow_means: What a hollow one says.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...] = ()
    joined: bool = True
    whiskers: bool = False
    log_x: bool = False
    log_y: bool = False
    x_ticks: tuple[float, ...] = ()
    target: float | None = None
    floor: float | None = None
    named: bool = False
    filled_means: str = ""
    hollow_means: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heatmap(Panel):
    """A panel of coloured cells instead of series. Every cell is lettered: colour is never the only meaning.

    Attributes:
        rows: Names from top to bottom; `y_label` says what they are.
        columns: Names from left to right; `x_label` says what they are.
        values: What colours each cell, row by row; one without a value is hatched, or empty when it has no text.
        texts: What stands in each cell; may have several lines.
        kind: "sequential" from nothing to much, or "diverging" with zero in the middle.
        value_label: What the colours mean, with the unit.

    Raises:
        ValueError: Values or texts have another shape than rows × columns.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    kind: Literal["sequential", "diverging"] = "sequential"
    value_label: str = ""

    def __post_init__(self) -> None:
        expected = [len(self.columns)] * len(self.rows)
        for what, cells in (("values", self.values), ("texts", self.texts)):
            if [len(row) for row in cells] != expected:
                size = f"{len(self.rows)} × {len(self.columns)}"
                raise ValueError(f"Heat map '{self.title}': {what} are not {size}.")
