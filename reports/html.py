"""Writes a document as one HTML file that needs nothing beside it: styles inside, figures as data."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reports.document import Block, Document

TEMPLATES = Path(__file__).parent / "templates"


def write_html(document: Document, pictures: Mapping[str, str]) -> str:
    """The document as a page; everything in it is escaped by the template engine.

    Args:
        document: What to show.
        pictures: SVG text of each figure, by slug.

    Raises:
        KeyError: A figure has no picture.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.tests["prose"] = lambda block: _kind(block) == "Prose"
    environment.tests["code"] = lambda block: _kind(block) == "Code"
    environment.tests["table"] = lambda block: _kind(block) == "Table"
    uris = {figure.slug: _data_uri(pictures[figure.slug]) for figure in document.figures}
    return environment.get_template("report.html").render(document=document, uris=uris)


def _kind(block: Block) -> str:
    return type(block).__name__


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
