"""One document, three writers: the same numbers everywhere, nothing foreign acted upon."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from synthetic import make_facts, make_record, make_study, study_of

from reports.build import build_document
from reports.document import Document, Table
from reports.figures import draw_svg
from reports.html import write_html
from reports.markdown import escape_markdown, write_markdown
from reports.terminal import show_summary

if TYPE_CHECKING:
    from bench.records import Study

HOSTILE = ("<script>alert(1)</script>", "a|b", "$\\frac{1$", "[bold]x[/bold]", "`*_~&amp;")
VOID = {"meta", "img"}


class _Page(HTMLParser):
    """Collects tables and images of a page and checks that its tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th"}:
            self.tables[-1][-1][-1] += data


def _page(document: Document) -> tuple[str, _Page]:
    text = write_html(document, {figure.slug: draw_svg(figure) for figure in document.figures})
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return text, page


def _markdown_tables(text: str) -> list[list[list[str]]]:
    """Reads pipe tables as GitHub does: a cell ends at a pipe without a backslash."""
    tables: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line.startswith("| "):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            tables[-1].append([html.unescape(re.sub(r"\\(.)", r"\1", cell)) for cell in cells])
        elif tables[-1]:
            tables.append([])
    return [[table[0], *table[2:]] for table in tables if table]


def _all_tables(document: Document) -> list[list[list[str]]]:
    blocks = [block for section in document.sections for block in section.blocks]
    tables = [b if isinstance(b, Table) else getattr(b, "table", None) for b in blocks]
    return [
        [[column.name for column in table.columns], *([cell.text for cell in row] for row in table.rows)]
        for table in tables
        if table is not None
    ]


def _hostile_study() -> Study:
    runs = []
    facts = {}
    for number, name in enumerate(HOSTILE):
        for seed in range(3):
            record, curve = make_record("bn25k", seed=seed)
            run_id = f"{number}-{seed}"
            named = dataclasses.replace(record, run_id=run_id, architecture=name, architecture_hash=f"hash{number}")
            runs.append((named, curve))
        facts[f"hash{number}"] = dataclasses.replace(
            make_facts("bn25k"), architecture=name, architecture_hash=f"hash{number}", summary=name, source=name
        )
    failed, _ = make_record("bn25k", seed=9, status="failed")
    runs.append((dataclasses.replace(failed, run_id="x", error="\x1b[31m<img src=x onerror=alert(1)>\n| $a$ |"), ()))
    study = study_of(*runs, name=HOSTILE[0])
    return dataclasses.replace(study, architectures=facts, command="echo ```` <b>")


@pytest.mark.parametrize("study", [make_study(), _hostile_study()], ids=["usual", "hostile"])
def test_html_and_markdown_hold_the_documents_tables_word_for_word(study: Study) -> None:
    document = build_document(study)
    expected = _all_tables(document)
    assert len(expected) > 10
    assert _page(document)[1].tables == expected
    assert _markdown_tables(write_markdown(document)) == expected


def test_terminal_holds_every_comparison_cell() -> None:
    document = build_document(make_study())
    console = Console(file=io.StringIO(), width=200, color_system=None)
    show_summary(document, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for section in document.sections:
        for block in section.blocks:
            if isinstance(block, Table) and not section.detail:
                assert all(cell.text in shown for row in block.rows for cell in row)


def test_the_terminals_first_line_names_the_study() -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    show_summary(build_document(study_of(make_record("bn25k", seed=0), name="weekly")), console)
    assert "study weekly" in console.file.getvalue().splitlines()[0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_terminal_stays_inside_its_width(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show_summary(build_document(make_study()), console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    if width >= 80:
        rows = [line for line in lines if line.strip().startswith("fc3136") and "421,642" in line]
        assert len(rows) == 2, "one in the comparison, one in the costs"


def test_page_is_offline_and_every_picture_is_described() -> None:
    document = build_document(make_study())
    text, page = _page(document)
    assert len(page.images) == len(document.figures) == 10
    assert all(image["alt"] and len(image["alt"]) > 40 for image in page.images)
    assert all(link.startswith(("data:image/svg+xml;base64,", "#")) for link in page.links)
    assert "url(" not in text
    assert "@import" not in text
    svg = base64.b64decode((page.images[0]["src"] or "").partition("base64,")[2])
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own picture


def test_hostile_names_do_nothing() -> None:
    document = build_document(_hostile_study())
    text, page = _page(document)
    assert page.tags.isdisjoint({"script", "b"})
    assert "<img src=x" not in text
    assert "\x1b" not in text
    markdown = write_markdown(document)
    assert not re.search(r"<(?!/?(details|summary)>)", markdown.replace("echo ```` <b>", ""))
    assert "`````sh\necho ```` <b>\n`````" in markdown
    assert "\x1b" not in markdown
    console = Console(file=io.StringIO(), width=100, color_system=None)
    show_summary(document, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in shown
    assert "[bold]x[/bold]" in shown


def test_names_stand_in_svg_as_they_are() -> None:
    figure = build_document(_hostile_study()).figures[0]
    root = ET.fromstring(draw_svg(figure))  # noqa: S314 - our own picture
    texts = {(element.text or "").strip() for element in root.iter() if element.tag.endswith("text")}
    assert texts.issuperset(HOSTILE)
    assert not any(element.tag.endswith("script") for element in root.iter())


def test_same_study_same_bytes() -> None:
    first, second = build_document(make_study()), build_document(make_study())
    assert first == second
    pictures = [{f.slug: draw_svg(f) for f in document.figures} for document in (first, second)]
    assert pictures[0] == pictures[1]
    assert write_html(first, pictures[0]) == write_html(second, pictures[1])
    assert write_markdown(first) == write_markdown(second)
    assert not any("<dc:date>" in svg for svg in pictures[0].values())


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("# title", "\\# title"),
        ("1. first", "1\\. first"),
        ("98.93", "98.93"),
        ("- item", "\\- item"),
        ("-0.5 to 1", "\\-0.5 to 1"),
        ("a|b*c_d`e", "a\\|b\\*c\\_d\\`e"),
        ("<b> & $x$", "&lt;b&gt; &amp; \\$x\\$"),
        ("[a](b)", "\\[a\\](b)"),
        ("plain, text (3 %)", "plain, text (3 %)"),
    ],
)
def test_markdown_escapes(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 0 cells, 1 columns"):
        Table(caption="t", columns=build_document(make_study()).figures[0].table.columns[:1], rows=((),))
