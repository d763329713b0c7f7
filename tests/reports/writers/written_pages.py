"""Documents with pictures and with hostile names, and readers of what writers make of them."""

from __future__ import annotations

import dataclasses
import html
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np

from reports.document import Document, Drawing, Gallery, Section, Table, Tile
from reports.figures.svg import draw_svg
from reports.writers.html import write_html
from tests.factories import make_metadata, make_run, study_of

if TYPE_CHECKING:
    from bench.core.records import Study
    from reports.document import Block

HOSTILE = ("<script>alert(1)</script>", "a|b", "$\\frac{1$", "[bold]x[/bold]", "`*_~&amp;")
VOID = {"meta", "img", "input"}
GALLERY = Gallery(
    slug="tiles",
    title="Tiles | of all",
    tiles=tuple(
        Tile(pixels=np.full((3, 2), 20 * at, dtype=np.uint8), caption=f"tile {at}|", alt=f"grey {20 * at}")
        for at in range(10)
    ),
    scale=4,
)
DRAWING = Drawing(
    slug="drawn",
    title="A net",
    alt="One box.",
    svg='<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><text id="word">1 × 28 × 28</text></svg>',
)


class Page(HTMLParser):
    """Collects tables, pictures and scripts of a page and checks that its tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.pictures: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what opens, and what it is called, shows and leads to."""
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if ("role", "img") in attrs:
            self.pictures.append(dict(attrs))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """What closes is what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect, by tag and by cell."""
        if not self.open:
            return
        self.texts[self.open[-1]][-1] += data
        if self.open[-1] in {"td", "th"}:
            self.tables[-1][-1][-1] += data


def read_page(document: Document) -> tuple[str, Page]:
    """The page of a document, and what was read of it."""
    text = write_html(document, {part.slug: draw_svg(part) for part in document.pictures})
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return text, page


def markdown_tables(text: str) -> list[list[list[str]]]:
    """Reads pipe tables as GitHub does: a cell ends at a pipe without a backslash."""
    tables: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("| "):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            tables[-1].append([html.unescape(re.sub(r"\\(.)", r"\1", cell)) for cell in cells])
        elif tables[-1]:
            tables.append([])
    return [[table[0], *table[2:]] for table in tables if table]


def all_tables(document: Document) -> list[list[list[str]]]:
    """Every table as texts, the header first."""
    blocks = [block for section in document.sections for block in section.blocks]
    tables = [b if isinstance(b, Table) else getattr(b, "table", None) for b in blocks]
    return [
        [[column.name for column in table.columns], *([cell.text for cell in row] for row in table.all_rows)]
        for table in tables
        if table is not None
    ]


def hostile_study() -> Study:
    """Nets, errors, a study and a command named so that every format might act on them."""
    runs = []
    metadata = {}
    for number, name in enumerate(HOSTILE):
        for seed in range(3):
            record, curve = make_run("bn25k", seed=seed)
            run_id = f"{number}-{seed}"
            named = dataclasses.replace(record, run_id=run_id, architecture=name, architecture_hash=f"hash{number}")
            runs.append((named, curve))
        metadata[f"hash{number}"] = dataclasses.replace(
            make_metadata("bn25k"), architecture=name, architecture_hash=f"hash{number}", summary=name, source=name
        )
    failed, _ = make_run("bn25k", seed=9, status="failed")
    runs.append((dataclasses.replace(failed, run_id="x", error="\x1b[31m<img src=x onerror=alert(1)>\n| $a$ |"), ()))
    study = study_of(*runs, name=HOSTILE[0])
    return dataclasses.replace(study, architectures=metadata, command="echo ```` <b>")


def with_pictures(document: Document, *blocks: Block) -> Document:
    """The document with a section of these, or of a gallery and a drawing."""
    section = Section(title="Pictures", slug="pictures", blocks=blocks or (GALLERY, DRAWING))
    return dataclasses.replace(document, sections=(*document.sections, section))
