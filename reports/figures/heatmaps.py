"""Draws a heat map: coloured cells with their words in them, in colours that most colour-blind people tell apart."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.patches import Rectangle

from bench.system.text import runs_right_to_left, text_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from reports.document import Heatmap

GREY = "#808080"
"""Lines that are seen on white and on black."""

# Nearly black, not black: text in plain black has no colour of its own in the SVG, and a page may turn it light.
_DARK, _LIGHT = "#010101", "#ffffff"
_MAPS = {
    "sequential": LinearSegmentedColormap.from_list("much", ["#f3f7fa", "#79b4d9", "#0173b2", "#023a5c"]),
    "diverging": LinearSegmentedColormap.from_list(
        "sides", ["#b34a00", "#e2914a", "#f6dfc8", "#f1f1f1", "#cbe1f0", "#559fce", "#0166a0"]
    ),
}
_CHARACTER, _LINE = 0.082, 0.19  # inches of text in a cell
_GAP = 0.02  # of a cell, to its edge
_UNLETTERED = 7.5  # inches of a side of cells without words
_NAME_CHARACTER = 0.085  # inches of a name at an axis
_MOST_CHARACTERS = 32
_SLANTED, _UPRIGHT = 35, 90  # degrees by which names of columns are turned


def cell_inches(panel: Heatmap) -> tuple[float, float]:
    """Width and height of a cell: it holds the longest text of the heat map, or is its part of a fixed width."""
    if not panel.lettered:
        side = _UNLETTERED / max(len(panel.rows), len(panel.columns))
        return side, side
    lines = [text.split("\n") for row in panel.texts for text in row]
    longest = max((len(line) for text in lines for line in text), default=0)
    return max(0.5, _CHARACTER * longest + 0.16), max(0.42, _LINE * max(map(len, lines), default=1) + 0.2)


def draw_heatmap(axes: Axes, panel: Heatmap, *, title: str) -> None:
    """Draw the cells, their words where there is room for them, and the key to their colours."""
    values = np.array([[math.nan if v is None else v for v in row] for row in panel.values], dtype=float)
    norm, colours = _norm(values, panel.kind), _MAPS[panel.kind]
    if panel.lettered:
        _draw_cells(axes, panel, values, norm, colours)
    else:  # one picture, as thousands of cells make a page slow
        ends = (0, len(panel.columns), len(panel.rows), 0)
        axes.imshow(values, norm=norm, cmap=colours, interpolation="none", aspect="auto", extent=ends)
    axes.set(xlim=(0, len(panel.columns)), ylim=(len(panel.rows), 0), title=title)
    _name_axes(axes, panel)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(panel.lettered is False)
    _draw_key(axes, ScalarMappable(norm, colours.resampled(48)), panel)  # from 50 steps on the library draws pixels


def _draw_cells(
    axes: Axes, panel: Heatmap, values: NDArray[np.float64], norm: Normalize, colours: LinearSegmentedColormap
) -> None:
    """Each cell by itself, with its words."""
    for row, column in itertools.product(range(len(panel.rows)), range(len(panel.columns))):
        value, text = values[row, column], panel.texts[row][column]
        known = math.isfinite(value)
        look: dict[str, Any] = {"facecolor": "none", "edgecolor": GREY, "alpha": 0.4, "hatch": "///"}
        if known:
            look = {"facecolor": colours(norm(value))}
        if known or text:
            cell = Rectangle((column + _GAP, row + _GAP), 1 - 2 * _GAP, 1 - 2 * _GAP, linewidth=0, **look)
            cell.set_in_layout(False)
            axes.add_artist(cell)  # limits are set below: to find them anew for each cell takes longest of all
        # Plain black on the page's own ground, whose text a page may colour.
        ink = readable_ink(colours(norm(value))) if known else "#000000"
        axes.text(
            column + 0.5, row + 0.5, text, ha="center", va="center", color=ink, fontsize=9.5,
            fontstyle="normal" if known else "italic", in_layout=False,
        )  # fmt: skip


def _name_axes(axes: Axes, panel: Heatmap) -> None:
    """Names at both axes, of every so many rows and columns where there is no room for all."""
    step = name_step(panel)
    every = f" (one in {step} is named)" if step > 1 else ""
    axes.set(xlabel=f"{panel.x_label}{every}", ylabel=f"{panel.y_label}{every}")
    for axis, names in ((axes.xaxis, panel.columns), (axes.yaxis, panel.rows)):
        axis.set_ticks((np.arange(len(names)) + 0.5)[::step].tolist(), axis_names(names, panel)[::step])
    if angle := name_angle(panel):
        for label in axes.get_xticklabels():
            label.set(rotation=angle, ha="right", rotation_mode="anchor")
            if angle == _UPRIGHT:
                label.set(va="center")


def axis_names(names: Sequence[str], panel: Heatmap) -> list[str]:
    """Names that find room at an axis; those that would be cut to the same text are told apart by their number."""
    most = _MOST_CHARACTERS if panel.lettered else _MOST_CHARACTERS // 2
    short = [shortened(name, most) for name in names]
    numbered = [f"{at} {shortened(name, most - 4)}" for at, name in enumerate(names)]
    return [number if short.count(name) > 1 else name for name, number in zip(short, numbered, strict=True)]


def name_step(panel: Heatmap) -> int:
    """One in so many rows and columns is named."""
    return 1 if panel.lettered else math.ceil(_LINE / cell_inches(panel)[0])


def name_angle(panel: Heatmap) -> int:
    """Degrees by which the names of columns are turned."""
    if not panel.lettered:
        return _UPRIGHT
    longest = max(map(text_width, axis_names(panel.columns, panel)), default=0)
    return _SLANTED if longest * _CHARACTER > cell_inches(panel)[0] else 0


def names_inches(panel: Heatmap) -> tuple[float, float]:
    """Width of the names of rows, and height of those of columns where they are turned."""
    rows, columns = (
        _NAME_CHARACTER * max(map(text_width, axis_names(names, panel)), default=0)
        for names in (panel.rows, panel.columns)
    )
    return rows, columns * math.sin(math.radians(name_angle(panel)))


def _draw_key(axes: Axes, colours: ScalarMappable, panel: Heatmap) -> None:
    """The bar that says which colour is how much; nothing where no cell has a value."""
    if not panel.value_label or not any(value is not None for row in panel.values for value in row):
        return
    assert axes.figure is not None  # noqa: S101 - axes are made by a figure
    bar = axes.figure.colorbar(colours, ax=axes, shrink=0.9, pad=0.02, aspect=24)
    bar.set_label(panel.value_label, labelpad=8)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set(edgecolor="face", linewidth=0.4)  # no seams between the steps
    bar.ax.tick_params(length=0)


def _norm(values: NDArray[np.float64], kind: str) -> Normalize:
    """Colours by the square root, so that small values beside large ones are still seen; the key shows the same."""
    most = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    least, most = -(most or 1.0) if kind == "diverging" else 0.0, most or 1.0
    return FuncNorm(
        (lambda x: np.sign(x) * np.sqrt(np.abs(x)), lambda x: np.sign(x) * np.square(x)), vmin=least, vmax=most
    )


def readable_ink(ground: Any) -> str:
    """Black or white, whichever has the greater contrast on a colour: 4.5 to 1 at least (WCAG 2.2, 1.4.3)."""
    return max((_DARK, _LIGHT), key=lambda ink: contrast(ink, ground))


def contrast(one: Any, other: Any) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Any) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def shortened(label: str, most: int = _MOST_CHARACTERS) -> str:
    """A name that fits beside a picture, cut with an ellipsis; wide characters count twice."""
    if text_width(label) <= most:
        return label
    kept = label[: 4 * most]  # so many letters with three accents each
    while text_width(kept) >= most:
        kept = kept[:-1]
    # A mark (RLM) keeps the ellipsis at the end of what runs from right to left.
    return f"{kept}…\u200f" if runs_right_to_left(kept) else f"{kept}…"
