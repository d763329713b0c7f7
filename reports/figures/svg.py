"""Draws a figure as SVG: the same figure gives the same bytes, and foreign text is never read as mathematics.

The ground is transparent and text has no colour of its own, so that a page may show a figure in light and dark. What is
drawn of a series has ids that end in `--s` and the number of its style, so that a page may hide and show it.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import warnings
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine

from reports.document import Heatmap
from reports.figures.heatmaps import GREY, cell_inches, draw_heatmap, names_inches, shortened
from reports.figures.panels import draw_panel, place_labels, whisker_boxes

if TYPE_CHECKING:
    from reports.document import Figure, Panel

CREATOR = "architecture-bench"
"""Stands in every SVG's metadata: by it a figure of ours is known again."""

_HEIGHT, _WIDTH, _NARROW = 4.2, 4.6, 3.6  # inches of a panel of series
_LINE, _FREE_LINES = 0.22, 3  # inches of a legend's line, and how many a panel has room for
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small files, selectable, searchable
    "text.parse_math": False,  # a "$" in a name is a "$"
    "font.family": "sans-serif",
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.edgecolor": GREY,
    "axes.labelcolor": "#000000",  # plain black is written as no colour at all: the page's own
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GREY,
    "grid.alpha": 0.22,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    "text.color": "#000000",
    "xtick.color": GREY,
    "xtick.labelcolor": "#000000",
    "ytick.color": GREY,
    "ytick.labelcolor": "#000000",
}
# Only where the drawing is a document of its own; inside a page `:root` is the page, which colours text itself.
_ALONE = (
    "<style>svg:root text{fill:#1d2327}"
    "@media (prefers-color-scheme:dark){svg:root text{fill:#e6e9eb}}</style>"
)  # fmt: skip


def draw_svg(figure: Figure) -> str:
    """The figure as an SVG document on a transparent ground."""
    beside = max(figure.of, len(figure.panels))
    sizes = [_panel_inches(panel, of=beside) for panel in figure.panels]
    width, height = sum(width for width, _ in sizes) + 1.6, max(height for _, height in sizes)
    style = dict(sns.axes_style("whitegrid")) | _STYLE | {"svg.hashsalt": f"{CREATOR} {figure.slug}"}
    with mpl.rc_context(style), warnings.catch_warnings():
        # Names in scripts that the font at hand lacks are drawn by the reader's own font: only widths are guessed.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas = Canvas(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1))
        ratios = [width for width, _ in sizes]
        shared = len({panel.y_label for panel in figure.panels}) == 1 and not isinstance(figure.panels[0], Heatmap)
        all_axes = canvas.subplots(1, len(figure.panels), squeeze=False, width_ratios=ratios, sharey=shared)[0]
        numbers = itertools.count(1)
        handles: dict[str, Any] = {}
        for axes, panel in zip(all_axes, figure.panels, strict=True):
            title = panel.title if beside > 1 else ""
            if isinstance(panel, Heatmap):
                draw_heatmap(axes, panel, title=title)
            else:
                ids = (f"{figure.slug}-{number}" for number in numbers)
                handles |= draw_panel(axes, panel, title=title, ids=ids)
            if shared and axes is not all_axes[0]:
                axes.set_ylabel("")
        _draw_legend(canvas, handles, width=width)
        _name_points(canvas, figure)
        text = io.StringIO()
        canvas.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": CREATOR})
    # The library numbers its groups anew in every drawing: two of them in one page would share ids.
    plain = re.sub(r'<g id="[\w.]+_\d+"', "<g", text.getvalue())
    return plain.replace("</metadata>", f"</metadata>\n {_ALONE}", 1)


def _panel_inches(panel: Panel, *, of: int) -> tuple[float, float]:
    """Width and height that a panel asks for; of three and more each is narrower."""
    if not isinstance(panel, Heatmap):
        return _WIDTH if of < 3 else _NARROW, _HEIGHT
    width, height = cell_inches(panel)
    of_rows, of_columns = names_inches(panel)
    return (
        max(3.0, width * len(panel.columns) + of_rows),
        max(2.4, height * len(panel.rows) + 1.4 + of_columns),
    )


def _draw_legend(canvas: Canvas, handles: dict[str, Any], *, width: float) -> None:
    if not handles:
        return
    labels = [shortened(label) for label in handles]
    columns = max(1, min(int(11 * width / (6 + max(map(len, labels)))), len(labels)))  # about 11 characters to the inch
    lines = math.ceil(len(labels) / columns)
    canvas.set_figheight(canvas.get_figheight() + _LINE * max(0, lines - _FREE_LINES))
    canvas.legend(list(handles.values()), labels, loc="outside lower center", ncols=columns)


def _name_points(canvas: Canvas, figure: Figure) -> None:
    """Find room for the names, once the layout is known."""
    if not any(panel.named for panel in figure.panels):
        return
    canvas.draw_without_rendering()
    canvas.set_layout_engine("none")  # what was laid out stays where it is
    for axes, panel in zip(canvas.axes, figure.panels, strict=False):
        if panel.named:
            points = [point for series in panel.series for point in series.points]
            labels: Any = list(axes.texts)
            place_labels(axes, labels, whisker_boxes(axes, points))
