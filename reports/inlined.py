"""Makes an SVG document a part of a page: ids of its own, the page's font, and nothing in it that could act.

Text without a colour of its own takes the page's, light or dark.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterator

SVG = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"
ELEMENTS = frozenset(
    """svg g path rect circle ellipse line polyline polygon text tspan defs use clipPath linearGradient radialGradient
    stop pattern mask marker symbol image style title desc""".split()
)
"""All that a picture needs; anything else is left out, with what it holds."""

TEXTS = frozenset({"text", "tspan", "title", "desc"})
"""Elements whose text is shown."""

SERIES = re.compile(r"--s(\d+)$")
"""How the id of an architecture's group ends: with the number of its colour."""


def inline_svg(svg: str, *, slug: str, title: str, alt: str) -> Markup:
    """The SVG as an element of an HTML page, with title and description.

    Ids begin with `slug`. A group whose id ended in `--s<number>` says so as `data-series` instead, as several groups
    of one figure may belong to one architecture.

    Args:
        svg: An SVG document.
        slug: Unique in the page.
        title: Its title, as plain text.
        alt: What it shows, as plain text.
    """
    root = ET.fromstring(svg)  # noqa: S314 - made by this program, whose XML parser resolves no entities of others
    _clean(root, slug=slug)
    for name in ("width", "height", "aria-label"):
        root.attrib.pop(name, None)
    for child in [child for child in root if child.tag in {"title", "desc"}]:  # its own, for where it stands alone
        root.remove(child)
    root.set("class", "picture")
    root.set("role", "img")
    root.set("aria-labelledby", f"{slug}-title {slug}-alt")
    if width := _width(root):
        root.set("style", f"--w: {width:.0f}px")
    for name, text in (("desc", alt), ("title", title)):
        element = ET.Element(name, {"id": f"{slug}-{'alt' if name == 'desc' else name}"})
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
    element.tag = _local(element.tag)
    element.attrib = dict(_attributes(element, slug=slug))
    for child in list(element):
        if (
            not isinstance(child.tag, str)
            or not child.tag.startswith(f"{{{SVG}}}")
            or _local(child.tag) not in ELEMENTS
        ):
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


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _width(root: ET.Element) -> float:
    """Width in its own units, of which one is shown a little larger than a pixel."""
    numbers = root.get("viewBox", "").replace(",", " ").split()
    return 1.3 * float(numbers[2]) if len(numbers) == 4 else 0.0
