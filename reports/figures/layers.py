"""Draws the layers of a net as our own SVG: boxes in order of execution, in rows that a phone can show.

Height and width of a box are logarithms of the map's height in pixels and of its number of channels or features.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from bench.system.text import listing, one_line, plural
from reports.document import Drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.metadata import ArchitectureMetadata, LayerRow

MOST_BOXES = 40
"""Of a longer net the first ones are drawn; the table has them all."""

_PER_ROW, _CELL, _MARGIN = 4, 96.0, 6.0
_HIGHEST, _WIDEST, _SLANT = 62.0, 60.0, 7.0
_WORDS = 62.0  # below a box
_LONGEST = 13  # characters of a line in a cell
_COLOURS = {
    "input": "#808080",
    "conv": "#0173b2",
    "linear": "#de8f05",
    "norm": "#029e73",
    "pool": "#cc78bc",
    "other": "#949494",
}
"""Colour by family of layer, that of the charts. The name of the kind says the same in words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Box:
    """A layer, and the kinds of those that follow it and change neither shape nor parameters."""

    kind: str
    shape: tuple[int, ...]
    params: int
    then: tuple[str, ...] = ()


def layer_drawing(metadata: ArchitectureMetadata, slug: str) -> Drawing | None:
    """The net's layers as boxes from left to right; None for a net whose layers are not known."""
    boxes = _boxes(metadata.input_shape, metadata.layers)
    if len(boxes) < 2:
        return None
    drawn = boxes[:MOST_BOXES]
    title = one_line(f"{metadata.architecture} in order of execution")
    if left := len(boxes) - len(drawn):
        title += f" (the first {len(drawn) - 1} boxes; {left:,} more in the table)"
    words = [f"{one_line(box.kind)} {_shape(box.shape)}" for box in drawn]
    alt = f"Layers from input to output: {listing(words)}. Boxes are as high as the map and as wide as its channels."
    return Drawing(slug=slug, title=title, alt=alt, svg=_svg(drawn, title))


def _boxes(input_shape: tuple[int, ...], layers: Sequence[LayerRow]) -> list[_Box]:
    boxes = [_Box(kind="Input", shape=input_shape, params=0)]
    for layer in (layer for layer in layers if layer.name or layer.output_shape):  # not what lies outside all layers
        last = boxes[-1]
        if len(boxes) > 1 and not layer.params and layer.output_shape == last.shape:
            boxes[-1] = dataclasses.replace(last, then=(*last.then, layer.kind))
        else:
            boxes.append(_Box(kind=layer.kind, shape=layer.output_shape, params=layer.params))
    return boxes


def _svg(boxes: Sequence[_Box], title: str) -> str:
    widths = _scaled([box.shape[0] if box.shape else 1 for box in boxes], least=5.0, greatest=_WIDEST)
    heights = _scaled([box.shape[1] if len(box.shape) > 1 else 1 for box in boxes], least=7.0, greatest=_HIGHEST)
    parts, bottom = [], _MARGIN
    for first in range(0, len(boxes), _PER_ROW):
        row = range(first, min(first + _PER_ROW, len(boxes)))
        floor = bottom + max(heights[at] for at in row) + _SLANT
        for at in row:
            size = (widths[at], heights[at])
            parts.append(_draw_box(boxes[at], size, column=at - first, floor=floor, first=at == 0))
        bottom = floor + _WORDS
    width, height = 2 * _MARGIN + min(_PER_ROW, len(boxes)) * _CELL, bottom
    # Where the drawing is a document of its own nobody else chooses the colour of its words.
    alone = "<style>svg:root{color:#1d2327}@media (prefers-color-scheme:dark){svg:root{color:#e6e9eb}}</style>"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{1.3 * width:g}" '
        f'height="{1.3 * height:g}" role="img" aria-label={quoteattr(title)} fill="currentColor" '
        'style="max-width:100%;height:auto;font-family:system-ui,sans-serif">'
    )
    return "\n".join([head, f"<title>{escape(title)}</title>", alone, *parts, "</svg>\n"])


def _draw_box(box: _Box, size: tuple[float, float], *, column: int, floor: float, first: bool) -> str:
    """A box standing on `floor` with its words below, and the arrow that leads to it."""
    wide, high = size
    middle = _MARGIN + (column + 0.5) * _CELL
    left, top = middle - (wide + _SLANT) / 2, floor - high
    slant, right = _SLANT * high / _HIGHEST + 2, left + wide
    families = ["input"] if first else [name for name in ("conv", "linear", "norm", "pool") if name in box.kind.lower()]
    colour = f'fill="{_COLOURS[next(iter(families), "other")]}"'
    upper = f"M{left:.1f} {top:.1f}l{slant:.1f} {-slant:.1f}h{wide:.1f}l{-slant:.1f} {slant:.1f}z"
    side = f"M{right:.1f} {top:.1f}l{slant:.1f} {-slant:.1f}v{high:.1f}l{-slant:.1f} {slant:.1f}z"
    params = f"{box.params:,} param." if box.params else ""
    then = "+ " + ", ".join(box.then) if box.then else ""
    full = f"{box.kind}, {_shape(box.shape)}, {plural(box.params, 'parameter')}{f', then {then[2:]}' if then else ''}"
    x, y = middle - _CELL / 2 - 5, floor - 8
    arrow = (
        f'<path d="M{x:.1f} {y:.1f}h9m-3.5 -3l3.5 3l-3.5 3" fill="none" stroke="currentColor" stroke-opacity=".6" '
        'stroke-width="1.2"/>'
    )
    parts = (
        f"<g><title>{escape(one_line(full))}</title>",
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" {colour}/>',
        f'<path d="{upper}" {colour} fill-opacity=".6"/><path d="{side}" {colour} fill-opacity=".8"/>',
        "" if first else arrow,
        _text(box.kind, middle, floor + 15, size=11.5, weight=600),
        _text(_shape(box.shape), middle, floor + 29, size=11.5),
        _text(params, middle, floor + 42, size=10.5, opacity=0.75),
        _text(then, middle, floor + 54, size=10.5, opacity=0.75),
        "</g>",
    )
    return "\n".join(parts)


def _text(text: str, x: float, y: float, *, size: float, weight: int = 400, opacity: float = 1.0) -> str:
    """A centred line; a longer one is drawn narrower, and one far too long is cut."""
    shown = one_line(text)
    if not shown:
        return ""
    if len(shown) > _LONGEST + 5:
        shown = shown[: _LONGEST + 4] + "…"
    squeezed = f' textLength="{_CELL - 6:g}" lengthAdjust="spacingAndGlyphs"' if len(shown) > _LONGEST else ""
    faint = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
    bold = f' font-weight="{weight}"' if weight != 400 else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="middle"{bold}{faint}{squeezed}>'
        f"{escape(shown)}</text>"
    )


def _scaled(values: Sequence[int], *, least: float, greatest: float) -> list[float]:
    most = max(values)
    shares = [math.log2(max(value, 1)) / math.log2(most) if most > 1 else 1.0 for value in values]
    return [least + (greatest - least) * share for share in shares]


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "scalar"
