"""Draws a heat map: coloured cells with their words in them, in colours that most colour-blind people tell apart."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm, LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.patches import Rectangle

if TYPE_CHECKING:
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


def cell_inches(panel: Heatmap) -> tuple[float, float]:
    """Width and height of a cell that holds the longest text of the heat map."""
    lines = [text.split("\n") for row in panel.texts for text in row]
    longest = max((len(line) for text in lines for line in text), default=0)
    return max(0.5, _CHARACTER * longest + 0.16), max(0.42, _LINE * max(map(len, lines), default=1) + 0.2)


def draw_heatmap(axes: Axes, panel: Heatmap, *, title: str) -> None:
    """Draw the cells, their words and the key to their colours."""
    values = np.array([[math.nan if v is None else v for v in row] for row in panel.values], dtype=float)
    norm, colours = _norm(values, panel.kind), _MAPS[panel.kind]
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
    axes.set(xlim=(0, len(panel.columns)), ylim=(len(panel.rows), 0), title=title)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    axes.set_xticks(np.arange(len(panel.columns)) + 0.5, [shortened(name) for name in panel.columns])
    axes.set_yticks(np.arange(len(panel.rows)) + 0.5, [shortened(name) for name in panel.rows])
    if max(map(len, panel.columns), default=0) * _CHARACTER > cell_inches(panel)[0]:
        for label in axes.get_xticklabels():
            label.set(rotation=35, ha="right", rotation_mode="anchor")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _draw_key(axes, ScalarMappable(norm, colours.resampled(48)), panel)  # from 50 steps on the library draws pixels


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


def shortened(label: str, most: int = 32) -> str:
    """A name that fits beside a picture, cut with an ellipsis."""
    return label if len(label) <= most else label[: most - 1] + "…"
