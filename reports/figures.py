"""Draws a figure as SVG: the same figure gives the same bytes, and foreign text is never read as mathematics."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from reports.charts import Panel, Series
    from reports.document import Figure

CREATOR = "architecture-bench"
"""Stands in every SVG's metadata: by it a figure of ours is known again."""

_MARKERS = "osD^vPX*h"
_DASHES = ("-", "--", "-.", ":")
_LABEL_LENGTH = 32
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small files, selectable, searchable
    "svg.hashsalt": CREATOR,  # ids repeat from run to run
    "text.parse_math": False,  # a "$" in a name is a "$"
    "font.family": "sans-serif",
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
}


def draw_svg(figure: Figure) -> str:
    """The figure as an SVG document on a white ground.

    Args:
        figure: What to draw.

    Returns:
        The SVG's text, the same for the same figure.
    """
    width = 4.6 * len(figure.panels) + 1.6
    style: dict[Any, Any] = dict(sns.axes_style("whitegrid"))
    with mpl.rc_context(style | _STYLE), warnings.catch_warnings():
        # Names in scripts that the font at hand lacks are drawn by the reader's own font: only widths are guessed.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas = Canvas(figsize=(width, 4.2), layout="constrained")
        all_axes = canvas.subplots(1, len(figure.panels), squeeze=False)[0]
        handles: dict[str, Any] = {}
        for axes, panel in zip(all_axes, figure.panels, strict=True):
            handles |= _draw_panel(axes, panel, title=panel.title if len(all_axes) > 1 else "")
        labels = [_shortened(label) for label in handles]
        columns = int(11 * width / (6 + max(map(len, labels), default=1)))  # about 11 characters to the inch
        canvas.legend(
            list(handles.values()), labels, loc="outside lower center", ncols=max(1, min(columns, len(labels)))
        )
        text = io.StringIO()
        canvas.savefig(text, format="svg", metadata={"Date": None, "Creator": CREATOR})
    return text.getvalue()


def _draw_panel(axes: Axes, panel: Panel, *, title: str) -> dict[str, Any]:
    drawn = {series.label: _draw_series(axes, series, joined=panel.joined) for series in panel.series}
    if panel.target is not None:
        axes.axhline(panel.target, color="#666666", linewidth=1, linestyle=(0, (4, 3)))
    axes.margins(x=0.08 if not panel.joined else 0.04)
    axes.set(title=title, xlabel=panel.x_label, ylabel=panel.y_label)
    if panel.log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    elif not panel.joined and not any(series.stepped for series in panel.series):
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    elif all(float(point.x).is_integer() for series in panel.series for point in series.points):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if panel.joined:
            axes.set_xlim(left=0)  # wide enough for whole epochs, even when there is but one
    if panel.floor is not None:
        axes.set_ylim(bottom=panel.floor)
    return drawn


def _draw_series(axes: Axes, series: Series, *, joined: bool) -> Any:
    palette = sns.color_palette("colorblind")
    colour = palette[series.style % len(palette)]
    marker = _MARKERS[series.style % len(_MARKERS)]
    x = [point.x for point in series.points]
    y = [point.y for point in series.points]
    low = [point.y if point.low is None else point.low for point in series.points]
    high = [point.y if point.high is None else point.high for point in series.points]
    if series.stepped:
        (steps,) = axes.plot(x, y, color=colour, linewidth=1.8, drawstyle="steps-post")
        return steps
    if not joined or len(x) == 1:  # a band needs two points; one has whiskers to show its range
        whiskers = [
            [max(0.0, below - end) for below, end in zip(y, low, strict=True)],
            [max(0.0, end - above) for above, end in zip(y, high, strict=True)],
        ]
        fill, edge = ("none", colour) if series.hollow else (colour, "#333333")
        ranges = whiskers if any(map(any, whiskers)) else None  # of no length they would only cross out the markers
        return axes.errorbar(
            x, y, yerr=ranges, fmt=marker, color=colour, markersize=9, markerfacecolor=fill, markeredgecolor=edge,
            capsize=4,
        )  # fmt: skip
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    (line,) = axes.plot(
        x, y, color=colour, marker=marker, markersize=6, linewidth=1.8,
        linestyle=_DASHES[series.style % len(_DASHES)], markeredgecolor="white", markeredgewidth=0.5,
    )  # fmt: skip
    return line


def _shortened(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else label[: _LABEL_LENGTH - 1] + "…"
