"""Finds places for names beside their points, where they hide neither points nor each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

    from reports.document import Point

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

    Args:
        axes: Whose layout is final.
        labels: Made with `textcoords="offset points"`; their order decides who chooses first.
        obstacles: Markers and whiskers, in pixels.
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
