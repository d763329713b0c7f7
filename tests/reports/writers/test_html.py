"""The page: offline, described, and nothing in it that could act but our own script."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import math
import re

from PIL import Image

from reports.build import build_document
from reports.document import Cell, Column, Document, Drawing, Figure, Section, Table
from tests.factories import make_study
from tests.reports.writers.written_pages import HOSTILE, read_page, with_pictures


def test_page_is_offline_and_every_picture_is_described() -> None:
    document = with_pictures(build_document(make_study()))
    text, page = read_page(document)
    assert "img" not in page.tags
    drawn = [picture for picture in page.pictures if "viewbox" in picture]
    described = [
        (picture.title, picture.alt)
        for section in document.sections
        for block in section.blocks
        if isinstance(block, (Figure, Drawing))
        for picture in (block.parts if isinstance(block, Figure) else [block])
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
    text, page = read_page(build_document(make_study()))
    (script,) = page.texts["script"]
    expected = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["script-src"] == f"'sha256-{expected}'"
    assert directives["default-src"] == "'none'"


def test_the_sprite_holds_each_tile_where_the_page_looks_for_it() -> None:
    text, _ = read_page(with_pictures(build_document(make_study())))
    (uri,) = re.findall(r"url\(data:image/png;base64,([^)]*)\)", text)
    places = re.findall(r'aria-label="grey (\d+)" style="--c:(\d+);--r:(\d+)"', text)
    with Image.open(io.BytesIO(base64.b64decode(uri))) as sprite:
        assert sprite.info == {"Software": "architecture-bench"}
        found = [sprite.getpixel((2 * int(column), 3 * int(row))) for _, column, row in places]
    assert found == [int(grey) for grey, _, _ in places] == [20 * at for at in range(10)]


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
    text, _ = read_page(Document(title="t", lead=(), sections=(Section(title="s", slug="s", blocks=(table,)),)))
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
    text, page = read_page(with_pictures(Document(title="t", lead=(), sections=()), hostile))
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
