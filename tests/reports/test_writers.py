"""One document, three writers: the same numbers everywhere, nothing foreign acted upon."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import html
import io
import math
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from synthetic import make_facts, make_record, make_study, study_of

from reports.build import build_document
from reports.document import Cell, Column, Document, Drawing, Figure, Gallery, Section, Table, Tile
from reports.figures import draw_svg
from reports.html import write_html
from reports.markdown import escape_markdown, write_markdown
from reports.sprites import draw_sprite
from reports.terminal import show_summary

if TYPE_CHECKING:
    from bench.records import Study
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

TOTALLED = Table(
    caption="Layers",
    columns=(Column(name="Layer", numeric=False), Column(name="Parameters")),
    rows=((Cell(text="fc2"), Cell(text="510", value=510)), (Cell(text="conv1"), Cell(text="260", value=260))),
    total=(Cell(text="Total"), Cell(text="1,234,567,890,770", value=770)),
)


class _Page(HTMLParser):
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
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open:
            return
        self.texts[self.open[-1]][-1] += data
        if self.open[-1] in {"td", "th"}:
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
        [[column.name for column in table.columns], *([cell.text for cell in row] for row in table.all_rows)]
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


def test_markdown_has_the_caption_of_every_table_as_the_page_has() -> None:
    document = build_document(make_study())
    blocks = [block for section in document.sections for block in section.blocks]
    tables = [b if isinstance(b, Table) else b.table for b in blocks if isinstance(b, Table | Figure | Drawing)]
    captions = [table.caption for table in tables if table is not None]
    found = re.findall(r"^(.*):\n\n\| ", write_markdown(document), re.MULTILINE)
    assert [html.unescape(re.sub(r"\\(.)", r"\1", caption)) for caption in found] == captions
    shown = re.findall(r"<caption><span>(.*?)</span>", _page(document)[0])
    assert [html.unescape(caption) for caption in shown] == captions


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


def _with_pictures(document: Document, *blocks: Block) -> Document:
    section = Section(title="Pictures", slug="pictures", blocks=blocks or (GALLERY, DRAWING))
    return dataclasses.replace(document, sections=(*document.sections, section))


def test_page_is_offline_and_every_picture_is_described() -> None:
    document = _with_pictures(build_document(make_study()))
    text, page = _page(document)
    assert "img" not in page.tags
    drawn = [picture for picture in page.pictures if "viewbox" in picture]
    described = [
        (block.title, block.alt)
        for section in document.sections
        for block in section.blocks
        if isinstance(block, (Figure, Drawing))
    ]
    assert len(drawn) == len(described) > 10
    found = re.findall(r'<title id="[\w-]+-title">([^<]*)</title><desc id="[\w-]+-alt">([^<]*)</desc>', text)
    assert [(html.unescape(title), html.unescape(alt)) for title, alt in found] == described
    for picture in drawn:
        assert set((picture["aria-labelledby"] or "").split()) < set(page.ids)
    assert [picture["aria-label"] for picture in page.pictures if picture not in drawn] == [
        f"grey {20 * at}" for at in range(10)
    ]
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert set(re.findall(r"url\((?!#)([^,)]*),", text)) == {"data:image/png;base64"}
    assert "@import" not in text


def test_the_policy_lets_our_script_run_and_no_other() -> None:
    text, page = _page(build_document(make_study()))
    (script,) = page.texts["script"]
    expected = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["script-src"] == f"'sha256-{expected}'"
    assert directives["default-src"] == "'none'"


def test_the_sprite_holds_each_tile_where_the_page_looks_for_it() -> None:
    text, _ = _page(_with_pictures(build_document(make_study())))
    (uri,) = re.findall(r"url\(data:image/png;base64,([^)]*)\)", text)
    places = re.findall(r'aria-label="grey (\d+)" style="--c:(\d+);--r:(\d+)"', text)
    with Image.open(io.BytesIO(base64.b64decode(uri))) as sprite:
        assert sprite.info == {"Software": "architecture-bench"}
        found = [sprite.getpixel((2 * int(column), 3 * int(row))) for _, column, row in places]
    assert found == [int(grey) for grey, _, _ in places] == [20 * at for at in range(10)]


def test_a_coloured_tile_colours_the_sprite_and_leaves_grey_ones_grey() -> None:
    red = Tile(pixels=np.full((3, 2, 3), (200, 10, 20), dtype=np.uint8), caption="", alt="")
    grey = Tile(pixels=np.full((3, 2), 77, dtype=np.uint8), caption="", alt="")
    png = draw_sprite(Gallery(slug="s", title="t", tiles=(red, grey)), scale=2, gap=1)
    with Image.open(io.BytesIO(png)) as sprite:
        assert sprite.size == (9, 6)
        assert [sprite.getpixel((x, 5)) for x in (3, 4, 5)] == [(200, 10, 20), (255, 255, 255), (77, 77, 77)]


def test_markdown_and_terminal_of_pictures() -> None:
    document = _with_pictures(Document(title="t", lead=(), sections=()))
    markdown = write_markdown(document)
    assert "](figures/tiles.png)" in markdown
    assert "![One box.](figures/drawn.svg)" in markdown
    captions = [f"tile {at}|" for at in range(10)]
    assert _markdown_tables(markdown)[0][1:] == [captions[:8], [*captions[8:], *[""] * 6]]
    console = Console(file=io.StringIO(), width=100, color_system=None)
    show_summary(document, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "tile" not in shown
    assert "One box" not in shown
    assert "in the written report" in shown


def test_bars_stand_on_one_scale_for_the_column() -> None:
    cells = (
        Cell(text="0", value=0.0, interval=(-5.0, 5.0)),
        Cell(text="5", value=5.0, interval=(0.0, math.inf)),
        Cell(text="never", value=math.inf, interval=(0.0, 1.0)),
        Cell(text="15", value=15.0, interval=(5.0, 15.0)),
        Cell(text="alone", value=99.0),
    )
    table = Table(
        caption="Bars", columns=(Column(name="a"), Column(name="b")), rows=tuple((Cell(text="r"), c) for c in cells)
    )
    text, _ = _page(Document(title="t", lead=(), sections=(Section(title="s", slug="s", blocks=(table,)),)))
    found = re.findall(r'<line class="reach" x1="([\d.]+)%" x2="([\d.]+)%" y1="5" y2="5"/><circle cx="([\d.]+)%"', text)
    # From -5 to 15 on the 92 percent between 4 and 96: one is 4.6 percent.
    assert [tuple(map(float, bar)) for bar in found] == [(4.0, 50.0, 27.0), (27.0, 96.0, 50.0), (50.0, 96.0, 96.0)]
    assert text.count('class="zero" x1="27.00%"') == 3
    assert re.findall(r'data-v="([^"]*)"', text) == ["0.0", "5.0", "Infinity", "15.0", "99.0"]


def test_an_inlined_drawing_cannot_act() -> None:
    svg = """<?xml version="1.0"?><!DOCTYPE svg><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"
      xmlns:xlink="http://www.w3.org/1999/xlink" onload="alert(1)"><script>alert(1)</script>
      <style>path { fill: red }</style><a href="javascript:alert(1)"><text>linked</text></a>
      <foreignObject><p xmlns="http://www.w3.org/1999/xhtml">html</p></foreignObject>
      <image href="https://example.org/x.png"/><use xlink:href="https://example.org/#x"/>
      <path id="mark" onclick="alert(1)"/><use xlink:href="#mark" clip-path="url(#mark)"/>
      <text>&lt;script&gt;alert(1)&lt;/script&gt; &amp;</text></svg>"""
    hostile = Drawing(slug="d", title=HOSTILE[0], alt='"><script>alert(2)</script>', svg=svg)
    text, page = _page(_with_pictures(Document(title="t", lead=(), sections=()), hostile))
    assert page.tags.isdisjoint({"foreignobject"})
    assert "linked" not in text
    assert len(page.texts["script"]) == 1
    assert "example.org" not in text
    assert "javascript:" not in text
    assert not re.search(r"<[^>]*\son\w+=", text)
    assert page.texts["text"] == ["<script>alert(1)</script> &"]
    assert page.texts["desc"] == [hostile.alt]
    assert 'href="#d-mark"' in text
    assert 'clip-path="url(#d-mark)"' in text
    assert "#d-figure { path { fill: red } }" in text


def test_hostile_names_do_nothing() -> None:
    document = build_document(_hostile_study())
    text, page = _page(document)
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
    figure = build_document(_hostile_study()).figures[0]
    root = ET.fromstring(draw_svg(figure))  # noqa: S314 - our own picture
    texts = {(element.text or "").strip() for element in root.iter() if element.tag.endswith("text")}
    assert texts.issuperset(HOSTILE)
    assert not any(element.tag.endswith("script") for element in root.iter())


def test_same_study_same_bytes() -> None:
    first, second = (_with_pictures(build_document(make_study()), copy.deepcopy(GALLERY), DRAWING) for _ in range(2))
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


def test_a_total_stands_below_the_rows_in_every_format() -> None:
    document = Document(title="t", lead=(), sections=(Section(title="s", slug="s", blocks=(TOTALLED,)),))
    text, _ = _page(document)
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
    text, _ = _page(Document(title="t", lead=(), sections=(Section(title="s", slug="s", blocks=(table,)),)))
    assert "<tfoot" not in text
