"""Writes a document as one HTML file that needs nothing beside it: styles, script, figures and pictures inside.

Text without a colour of its own takes the page's, light or dark.

Bars in cells repeat what the text of the cell says, so that they are hidden from those who hear a page.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.document import LABELS, Drawing, Gallery
from reports.figures.sprites import draw_sprite, sprite_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reports.document import Cell, Document, Figure, Table

LINK = "{http://www.w3.org/1999/xlink}href"
ELEMENTS = frozenset(
    "{http://www.w3.org/2000/svg}" + name
    for name in """svg g path rect circle ellipse line polyline polygon text tspan defs use clipPath linearGradient
    radialGradient stop pattern mask marker symbol image style title desc""".split()
)
"""All that a picture needs; anything else is left out, with what it holds."""

TEXTS = frozenset({"text", "tspan", "title", "desc"})
"""Elements whose text is shown."""

SERIES = re.compile(r"--s(\d+)$")
"""How the id of an architecture's group ends: with the number of its colour."""


def inline_svg(svg: str, *, slug: str, title: str, alt: str) -> Markup:
    """The SVG as an element of an HTML page, with title and description, both plain text.

    Ids begin with `slug`, which is unique in the page. A group whose id ended in `--s<number>` says so as `data-series`
    instead, as several groups of one figure may belong to one architecture.
    """
    root = ET.fromstring(svg)  # noqa: S314 - made by this program, whose XML parser resolves no entities of others
    _clean(root, slug=slug)
    for name in ("width", "height", "aria-label"):
        root.attrib.pop(name, None)
    for child in [child for child in root if child.tag in {"title", "desc"}]:  # its own, for where it stands alone
        root.remove(child)
    for name, value in (("class", "picture"), ("role", "img"), ("aria-labelledby", f"{slug}-title {slug}-alt")):
        root.set(name, value)
    box = root.get("viewBox", "").replace(",", " ").split()
    if len(box) == 4:  # a unit is shown a little larger than a pixel
        root.set("style", f"--w: {1.3 * float(box[2]):.0f}px")
    for tag, name, text in (("desc", "alt", alt), ("title", "title", title)):
        element = ET.Element(tag, {"id": f"{slug}-{name}"})
        element.text = text
        root.insert(0, element)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - the serializer escapes every text


def series_colours(inlined: str) -> dict[int, str]:
    """The colour of each number of a series that an inlined SVG draws."""
    colours: dict[int, str] = {}
    for piece in inlined.split('data-series="')[1:]:  # up to the next one: a name at a point has no colour of its own
        found = re.search(r"#[0-9a-f]{6}", piece)
        if found:
            colours.setdefault(int(piece.partition('"')[0]), found[0])
    return colours


def _clean(element: ET.Element, *, slug: str) -> None:
    """Strip namespaces, prefix ids and drop what a picture does not need, from here down."""
    element.tag = element.tag.rpartition("}")[2]
    element.attrib = dict(_attributes(element, slug=slug))
    for child in list(element):
        if child.tag not in ELEMENTS:
            element.remove(child)
            continue
        _clean(child, slug=slug)
        if element.tag not in TEXTS:
            child.tail = None
    if element.tag == "style":
        # Its rules would hold for the whole page.
        element.text = f"#{slug}-figure {{ {' '.join((element.text or '').split())} }}"
    elif element.tag not in TEXTS:
        element.text = None


def _attributes(element: ET.Element, *, slug: str) -> Iterator[tuple[str, str]]:
    for name, value in element.attrib.items():
        if name in {"href", LINK}:
            if value.startswith("#"):
                yield "href", f"#{slug}-{value[1:]}"
            elif element.tag == "image" and value.startswith("data:image/png;base64,"):
                yield "href", value
        elif name == "id":
            series = SERIES.search(value)
            yield ("data-series", series[1]) if series else ("id", f"{slug}-{value}")
        elif name == "style":
            yield "style", _prefixed(re.sub(r"\s*font-family:[^;]*;?", "", value), slug)
        elif not name.startswith(("on", "{")):
            yield name, _prefixed(" ".join(value.split()), slug)


def _prefixed(value: str, slug: str) -> str:
    return re.sub(r"url\((['\"]?)#", rf"url(\1#{slug}-", value)


MARGIN = 4.0
"""Percent of the width that stay free at both ends, for the dot."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """What the left and the right end of a bar stand for."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """How far from the left a value stands; one beyond an end stands at that end."""
        if self.high == self.low:
            return 50.0
        share = (value - self.low) / (self.high - self.low)
        return MARGIN + (100 - 2 * MARGIN) * min(1.0, max(0.0, share))


def column_scales(table: Table) -> tuple[Scale | None, ...]:
    """The scale of each column: as wide as its finite values and ends of intervals; None where no cell has a bar."""
    found: list[Scale | None] = []
    for at in range(len(table.columns)):
        values = [number for row in table.all_rows for number in _ends(row[at]) if math.isfinite(number)]
        found.append(Scale(low=min(values), high=max(values)) if values else None)
    return tuple(found)


def draw_bar(cell: Cell, scale: Scale | None) -> Markup:
    """The bar as SVG; nothing where the cell has no finite value with an interval."""
    numbers = _ends(cell)
    if scale is None or not numbers:
        return Markup("")
    value, low, high = (f"{scale.percent(number):.2f}%" for number in numbers)
    marks = [f'<line class="reach" x1="{low}" x2="{high}" y1="5" y2="5"/>']
    if scale.low < 0 < scale.high:
        zero = f"{scale.percent(0):.2f}%"
        marks.insert(0, f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="10"/>')
    marks.append(f'<circle cx="{value}" cy="5" r="3.2"/>')
    return Markup(f'<svg class="bar" aria-hidden="true" focusable="false">{"".join(marks)}</svg>')  # noqa: S704 - numbers only


def _ends(cell: Cell) -> tuple[float, ...]:
    """Value and ends of the interval that a bar shows; empty where the cell has none."""
    if cell.value is None or cell.interval is None or not math.isfinite(cell.value):
        return ()
    return () if any(map(math.isnan, cell.interval)) else (cell.value, *cell.interval)


TEMPLATES = Path(__file__).parents[1] / "templates"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """An entry of the page's legend: an architecture that figures draw, the number of its colour, and the colour."""

    style: int
    label: str
    colour: str


def write_html(document: Document, pictures: Mapping[str, str]) -> str:
    """The document as a page; everything in it is escaped by the template engine or the SVG's serializer.

    Raises:
        KeyError: A figure has no picture.
    """
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"column_scales": column_scales, "draw_bar": draw_bar, "sprite_columns": sprite_columns}
    environment.globals |= {"kind": lambda block: type(block).__name__, "sort_value": _sort_value}
    environment.globals |= {"labels": LABELS}
    environment.globals |= {"shown_tiles": 24}  # of a gallery at once; more are folded behind them
    svgs: list[tuple[Figure | Drawing, str]] = [(part, pictures[part.slug]) for part in document.pictures]
    svgs += [(drawing, drawing.svg) for drawing in document.having(Drawing)]
    inlined = {of.slug: inline_svg(svg, slug=of.slug, title=of.title, alt=of.alt) for of, svg in svgs}
    script, *_ = loader.get_source(environment, "report.js")
    return environment.get_template("report.html").render(
        document=document,
        inlined=inlined,
        sprites={
            gallery.slug: Markup("data:image/png;base64,") + base64.b64encode(draw_sprite(gallery)).decode()
            for gallery in document.having(Gallery)
        },
        keys=_keys(document, inlined),
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _sort_value(cell: Cell) -> str | None:
    """The number behind a cell as JavaScript reads it; None without one."""
    if cell.value is None or math.isnan(cell.value):
        return None
    return repr(float(cell.value)).replace("inf", "Infinity")


def _keys(document: Document, inlined: Mapping[str, str]) -> tuple[Key, ...]:
    """One entry for every architecture that some figure draws as a group of its own, by name."""
    labels: dict[int, str] = {}
    colours: dict[int, str] = {}
    for figure in document.figures:
        for part in figure.parts:
            colours = series_colours(inlined[part.slug]) | colours
        labels = {series.style: series.label for panel in figure.panels[::-1] for series in panel.series[::-1]} | labels
    found = [Key(style=style, label=labels[style], colour=colours[style]) for style in colours if style in labels]
    return tuple(sorted(found, key=lambda key: (key.label, key.style)))
