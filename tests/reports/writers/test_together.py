"""One document, three writers: the same numbers everywhere, nothing foreign acted upon."""

from __future__ import annotations

import copy
import dataclasses
import html
import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from reports.build import build_document
from reports.document import Cell, Column, Document, Drawing, Figure, Section, Table
from reports.figures.svg import draw_svg
from reports.writers.html import write_html
from reports.writers.markdown import write_markdown
from reports.writers.terminal import show_summary
from tests.factories import make_study
from tests.reports.writers.written_pages import (
    DRAWING,
    GALLERY,
    HOSTILE,
    all_tables,
    hostile_study,
    markdown_tables,
    read_page,
    with_pictures,
)

if TYPE_CHECKING:
    from bench.core.records import Study

TOTALLED = Table(
    caption="Layers",
    columns=(Column(name="Layer", numeric=False), Column(name="Parameters")),
    rows=((Cell(text="fc2"), Cell(text="510", value=510)), (Cell(text="conv1"), Cell(text="260", value=260))),
    total=(Cell(text="Total"), Cell(text="1,234,567,890,770", value=770)),
)


@pytest.mark.parametrize("study", [make_study(), hostile_study()], ids=["usual", "hostile"])
def test_html_and_markdown_hold_the_documents_tables_word_for_word(study: Study) -> None:
    document = build_document(study)
    expected = all_tables(document)
    assert len(expected) > 10
    assert read_page(document)[1].tables == expected
    # a row of empty cells stands for the line between two groups, which Markdown does not know
    found = [[row for row in table if any(row)] for table in markdown_tables(write_markdown(document))]
    assert found == expected


def test_markdown_has_the_caption_of_every_table_as_the_page_has() -> None:
    document = build_document(make_study())
    blocks = [block for section in document.sections for block in section.blocks]
    tables = [b if isinstance(b, Table) else b.table for b in blocks if isinstance(b, Table | Figure | Drawing)]
    captions = [table.caption for table in tables if table is not None]
    found = re.findall(r"^(.*):\n\n\| ", write_markdown(document), re.MULTILINE)
    assert [html.unescape(re.sub(r"\\(.)", r"\1", caption)) for caption in found] == captions
    shown = re.findall(r"<caption><span>(.*?)</span>", read_page(document)[0])
    assert [html.unescape(caption) for caption in shown] == captions


def test_markdown_and_terminal_of_pictures() -> None:
    document = with_pictures(Document(title="t", lead=(), sections=()))
    markdown = write_markdown(document)
    assert "](figures/tiles.png)" in markdown
    assert "![One box.](figures/drawn.svg)" in markdown
    captions = [f"tile {at}|" for at in range(10)]
    assert markdown_tables(markdown)[0][1:] == [captions[:8], [*captions[8:], *[""] * 6]]
    console = Console(file=io.StringIO(), width=100, color_system=None)
    show_summary(document, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "tile" not in shown
    assert "One box" not in shown
    assert "in the written report" in shown


def test_hostile_names_do_nothing() -> None:
    document = build_document(hostile_study())
    text, page = read_page(document)
    assert "b" not in page.tags
    assert len(page.texts["script"]) == 1  # the page's own
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
    figure = build_document(hostile_study()).figures[0]
    root = ET.fromstring(draw_svg(figure))  # noqa: S314 - our own picture
    texts = {(element.text or "").strip() for element in root.iter() if element.tag.endswith("text")}
    assert texts.issuperset(HOSTILE)
    assert not any(element.tag.endswith("script") for element in root.iter())


def test_same_study_same_bytes() -> None:
    first, second = (with_pictures(build_document(make_study()), copy.deepcopy(GALLERY), DRAWING) for _ in range(2))
    assert first == second
    pictures = [{part.slug: draw_svg(part) for part in document.pictures} for document in (first, second)]
    assert pictures[0] == pictures[1]
    assert write_html(first, pictures[0]) == write_html(second, pictures[1])
    assert write_markdown(first) == write_markdown(second)
    assert not any("<dc:date>" in svg for svg in pictures[0].values())


def test_a_total_stands_below_the_rows_in_every_format() -> None:
    document = Document(title="t", lead=(), sections=(Section(title="s", slug="s", blocks=(TOTALLED,)),))
    text, _ = read_page(document)
    body, foot = re.findall(r"<tbody>(.*)</tbody>\s*<tfoot>(.*)</tfoot>", text, re.DOTALL)[0]
    assert re.findall(r"<t[hd][^>]*>([^<]+)", body) == ["fc2", "510", "conv1", "260"]
    assert re.findall(r"<t[hd][^>]*>([^<]+)", foot) == ["Total", "1,234,567,890,770"]
    assert write_markdown(document).endswith("| fc2 | 510 |\n| conv1 | 260 |\n| Total | 1,234,567,890,770 |\n")
    console = Console(file=io.StringIO(), width=40, color_system=None)
    show_summary(document, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    words = [line.split() for line in lines if line.split()]
    assert words[-1] == ["Total", "1,234,567,890,770"]
    assert words.index(["fc2", "510"]) < words.index(["conv1", "260"]) < len(words) - 1


def test_a_table_without_a_total_has_no_footer() -> None:
    table = dataclasses.replace(TOTALLED, total=None)
    text, _ = read_page(Document(title="t", lead=(), sections=(Section(title="s", slug="s", blocks=(table,)),)))
    assert "<tfoot" not in text
