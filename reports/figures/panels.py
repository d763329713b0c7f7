"""Draws a panel of series: lines with bands or whiskers, or separate points, with their names where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from reports.figures.heatmaps import GREY, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Annotation

    from reports.document import Panel, Point, Series


_MARKERS = "osD^vPX*h"
_DASHES = ("-", "--", "-.", ":")


def draw_panel(axes: Axes, panel: Panel, *, title: str, ids: Iterator[str]) -> dict[str, Any]:
    """Draw the series.

    Returns:
        What the legend shows, by its words.
    """
    drawn = {series.label: _draw_series(axes, series, panel=panel, ids=ids) for series in panel.series}
    if panel.target is not None:
        axes.axhline(panel.target, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.margins(x=(0.22 if panel.named else 0.08) if not panel.joined else 0.04, y=0.1 if panel.named else None)
    axes.set(title=title, xlabel=panel.x_label, ylabel=panel.y_label)
    _scale(axes, panel)
    if panel.floor is not None:  # what lies below must not make room above
        highest = max((p.y if p.high is None else p.high for s in panel.series for p in s.points), default=panel.floor)
        axes.set_ylim(panel.floor, highest + 0.05 * (highest - panel.floor) if highest > panel.floor else None)
    if not panel.named:
        return drawn
    meanings = {panel.filled_means: GREY, panel.hollow_means: "none"}
    return {
        meaning: Line2D([], [], marker="o", markersize=9, linestyle="", color=GREY, markerfacecolor=fill)
        for meaning, fill in meanings.items()
        if meaning
    }


def _scale(axes: Axes, panel: Panel) -> None:
    if panel.log_y:
        axes.set_yscale("log")
        _mark_logarithms(axes.yaxis)
    if panel.log_x:
        axes.set_xscale("log")
        _mark_logarithms(axes.xaxis)
    elif not panel.joined and not any(series.stepped for series in panel.series):
        axes.xaxis.set_major_formatter(FuncFormatter(_short))
    elif all(float(point.x).is_integer() for series in panel.series for point in series.points):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if panel.joined:
            axes.set_xlim(left=0)  # wide enough for whole epochs, even when there is but one
    if panel.x_ticks:
        axes.xaxis.set_major_locator(FixedLocator(list(panel.x_ticks)))
        axes.xaxis.set_minor_locator(NullLocator())


def _mark_logarithms(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(_short))


def _short(value: float, _position: int | None = None) -> str:
    """A number at an axis: 0.5, 2,000, 20k, 1.5M."""
    if abs(value) < 1e4:
        return f"{value:,.6g}"
    return f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value / 1e3:g}k"


def _draw_series(axes: Axes, series: Series, *, panel: Panel, ids: Iterator[str]) -> Any:
    palette = sns.color_palette("colorblind")
    colour = palette[series.style % len(palette)]
    marker, dashes = _MARKERS[series.style % len(_MARKERS)], _DASHES[series.style % len(_DASHES)]
    x, y = [point.x for point in series.points], [point.y for point in series.points]
    low = [point.y if point.low is None else point.low for point in series.points]
    high = [point.y if point.high is None else point.high for point in series.points]
    artists: Sequence[Any]
    joined = panel.joined and len(x) > 1  # a band needs two points; one has whiskers to show its range
    if series.stepped:
        artists = axes.plot(x, y, color=colour, linewidth=1.8, drawstyle="steps-post")
        handle: Any = artists[0]
    elif joined and not panel.whiskers:
        band = axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        crowded = len(x) > 25
        (handle,) = axes.plot(
            x, y, color=colour, marker=marker, markersize=4 if crowded else 6, linewidth=1.8, linestyle=dashes,
            markevery=max(1, len(x) // 12) if crowded else 1, markeredgewidth=0,
        )  # fmt: skip
        artists = [band, handle]
    else:
        whiskers = np.maximum([np.subtract(y, low), np.subtract(high, y)], 0.0)
        ranges = whiskers if whiskers.any() else None  # of no length they would only cross out the markers
        handle = axes.errorbar(
            x, y, yerr=ranges, fmt=marker, color=colour, markersize=6 if joined else 9, capsize=4, capthick=1.4,
            elinewidth=1.6,
            linestyle=dashes if joined else "none", markerfacecolor="none" if series.hollow else colour,
            markeredgecolor=colour, markeredgewidth=1.8 if series.hollow else 1.0,
        )  # fmt: skip
        artists = handle.get_children()
    if panel.named:  # beside each point; `place_labels` moves the name where there is room
        beside: dict[str, Any] = {"textcoords": "offset points", "xytext": (8, 0), "fontsize": 10}
        artists = [*artists, *(axes.annotate(shortened(series.label), at, **beside) for at in zip(x, y, strict=True))]
    for artist in artists:
        artist.set_gid(f"{next(ids)}--s{series.style}")
    return handle


_SIDES = (
    (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 2.6), (0, -2.6), (1, 2.4), (1, -2.4),
    (-1, 2.4), (-1, -2.4),
)  # fmt: skip
"""Directions from the point, in the order in which they are tried; the longer ones lie further off."""

_GAP = 9.5
"""Points (1/72 inch) between a marker's middle and its name."""

_PATIENCE = 1.0
"""Square pixels that a name may cover before the next side is better."""

_ALIGNMENTS = {-1: ("right", "top"), 0: ("center", "center"), 1: ("left", "bottom")}


def place_labels(axes: Axes, labels: Sequence[Annotation], obstacles: Sequence[Bbox]) -> None:
    """Move each label to the side of its point where it covers least; first come, first served.

    The layout must be final; obstacles are markers and whiskers, in pixels.
    """
    taken = list(obstacles)
    inside = axes.get_window_extent()
    for label in labels:
        costs = {}
        for at, side in enumerate(_SIDES):
            _turn(label, side)
            box = _room(label)
            outside = box.width * box.height - _shared(box, inside)
            costs[side] = _PATIENCE * at + 4 * outside + sum(_shared(box, other) for other in taken)
        _turn(label, min(costs, key=lambda side: costs[side]))
        taken.append(_room(label))


def whisker_boxes(axes: Axes, points: Sequence[Point]) -> list[Bbox]:
    """The room, in pixels, that markers and their whiskers take."""
    assert axes.figure is not None  # noqa: S101 - axes are made by a figure
    half = 5.5 * axes.figure.dpi / 72
    boxes = []
    for point in points:
        heights = (point.y, point.y if point.low is None else point.low, point.y if point.high is None else point.high)
        (across, middle), (_, bottom), (_, top) = axes.transData.transform([(point.x, y) for y in heights])
        boxes.append(Bbox([(across - half, middle - half), (across + half, middle + half)]))
        boxes.append(Bbox([(across - half / 2, bottom), (across + half / 2, top)]))
    return boxes


def _room(label: Annotation) -> Bbox:
    """What the label takes, and a little more: the reader's font may be wider than the one at hand."""
    box, side = label.get_window_extent(), label.get_horizontalalignment()
    more = 0.12 * box.width
    left = {"left": 0.0, "center": more / 2, "right": more}[side]  # away from where it is held
    return Bbox.from_extents(box.x0 - left, box.y0, box.x1 + more - left, box.y1)


def _turn(label: Annotation, side: tuple[float, float]) -> None:
    x, y = side
    horizontal = _ALIGNMENTS[(x > 0) - (x < 0)][0]
    vertical = _ALIGNMENTS[(y > 0) - (y < 0)][1]
    lean = 0.7 if x and y else 1.0  # a corner is as far away as a side
    label.set(position=(_GAP * lean * x, _GAP * lean * y), horizontalalignment=horizontal, verticalalignment=vertical)


def _shared(one: Bbox, other: Bbox) -> float:
    """Area that two boxes share."""
    both = Bbox.intersection(one, other)
    return 0.0 if both is None else both.width * both.height
