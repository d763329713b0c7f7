"""The nouns of a chart: panels of series of points, free of any drawing library.

A chart is data, so that every writer may draw it in its own way from the same numbers.
"""

from __future__ import annotations

import dataclasses


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
        log_x: Whether x is drawn on a logarithmic scale.
        target: Height of a reference line; None without one.
        floor: Where y begins, lower points being cut off; None to show all.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    joined: bool = True
    log_x: bool = False
    target: float | None = None
    floor: float | None = None
