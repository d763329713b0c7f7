"""Writes a document as one HTML file that needs nothing beside it: styles, script, figures and pictures inside."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.bars import column_scales, draw_bar
from reports.inlined import inline_svg, series_colours
from reports.sprites import draw_sprite, sprite_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.document import Block, Cell, Document, Drawing, Figure

TEMPLATES = Path(__file__).parent / "templates"

SHOWN_TILES = 24
"""Tiles of a gallery that are shown at once; more are folded behind them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """An entry of the page's legend: an architecture that figures draw.

    Attributes:
        style: Number of its colour.
        label: Its name.
        colour: Its colour, for CSS.
    """

    style: int
    label: str
    colour: str


def write_html(document: Document, pictures: Mapping[str, str]) -> str:
    """The document as a page; everything in it is escaped by the template engine or the SVG's serializer.

    Args:
        document: What to show.
        pictures: SVG text of each figure, by slug.

    Raises:
        KeyError: A figure has no picture.
    """
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals |= {"column_scales": column_scales, "draw_bar": draw_bar, "sprite_columns": sprite_columns}
    environment.globals |= {"kind": _kind, "sort_value": _sort_value, "shown_tiles": SHOWN_TILES}
    drawn = {**pictures, **{drawing.slug: drawing.svg for drawing in document.drawings}}
    shown: list[Figure | Drawing] = [*document.figures, *document.drawings]
    inlined = {
        each.slug: inline_svg(drawn[each.slug], slug=each.slug, title=each.title, alt=each.alt) for each in shown
    }
    script, *_ = loader.get_source(environment, "report.js")
    return environment.get_template("report.html").render(
        document=document,
        inlined=inlined,
        sprites={gallery.slug: _data_uri(draw_sprite(gallery)) for gallery in document.galleries},
        keys=_keys(document, inlined),
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _kind(block: Block) -> str:
    return type(block).__name__


def _sort_value(cell: Cell) -> str | None:
    """The number behind a cell as JavaScript reads it; None without one."""
    if cell.value is None or math.isnan(cell.value):
        return None
    return repr(float(cell.value)).replace("inf", "Infinity")


def _data_uri(png: bytes) -> Markup:
    return Markup("data:image/png;base64," + base64.b64encode(png).decode())  # noqa: S704 - no sign that acts


def _keys(document: Document, inlined: Mapping[str, str]) -> tuple[Key, ...]:
    """One entry for every architecture that some figure draws as a group of its own, by name."""
    labels: dict[int, str] = {}
    colours: dict[int, str] = {}
    for figure in document.figures:
        for style, colour in series_colours(inlined[figure.slug]).items():
            colours.setdefault(style, colour)
        for panel in figure.panels:
            for series in panel.series:
                labels.setdefault(series.style, series.label)
    found = [Key(style=style, label=labels[style], colour=colours[style]) for style in colours if style in labels]
    return tuple(sorted(found, key=lambda key: (key.label, key.style)))
