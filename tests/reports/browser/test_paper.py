"""The page on paper: everything is shown, headers are repeated, and nothing promises a click."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from reports.document import Cell, Column, Document, Section, Table
from reports.writers.html import write_html
from tests.reports.browser.pages import GREYS, Opened

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_paper_shows_what_is_folded_and_no_buttons(open_page: Any) -> None:
    page = open_page("small")
    folded = page.locator("details:not(.contents) table").first
    assert folded.bounding_box() is None or folded.bounding_box()["height"] == 0 or not folded.is_visible()
    page.emulate_media(media="print")
    assert folded.is_visible()
    assert page.locator("summary:visible, .strip:visible, dialog:visible").count() == 0
    after = "getComputedStyle(document.querySelector('.sort'), '::after').display"
    assert page.evaluate(after) == "none"
    assert page.locator(".gallery .pixels:visible").count() == len(GREYS)
    assert page.pdf().startswith(b"%PDF")


def test_printing_opens_what_is_folded_and_closes_it_again(open_page: Any) -> None:
    page = open_page("small")
    opened = "document.querySelectorAll('details[open]').length"
    everything = page.locator("details").count()
    assert page.evaluate(opened) == 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(opened) == everything
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(opened) == 0


def test_paper_has_the_heading_and_all_of_each_fold(open_page: Any) -> None:
    page = open_page("long")
    within = page.locator(".fold table:visible").count()
    assert within == 0
    page.emulate_media(media="print")
    headings = page.locator(".fold > summary :is(h2, h3)")
    assert headings.count() > 10
    assert all(heading.is_visible() for heading in headings.all())
    assert page.locator(".fold > .scroll").count() > 5
    assert page.locator(".fold > .scroll:visible").count() == page.locator(".fold > .scroll").count()


PLANTED = """thead th { background: rgb(1 2 3) !important; } tfoot th { background: rgb(3 2 1) !important; }
th { print-color-adjust: exact; }"""
HEADER, FOOTER = rb"\.0039 \.0078 \.0118 rg", rb"\.0118 \.0078 \.0039 rg"
"""These colours as a PDF says them: 1, 2 and 3 of 255."""


def _drawn_pages(pdf: bytes) -> list[bytes]:
    """What is drawn on each page of a PDF of chromium, in order."""
    streams = re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return [drawn for stream in streams if b" rg" in (drawn := zlib.decompress(stream))]


def test_a_long_table_has_its_header_on_every_page_and_its_total_at_the_end_alone(
    browser: Browser, tmp_path: Path
) -> None:
    rows = tuple((Cell(text=f"net {number}"), Cell(text=str(number))) for number in range(150))
    total = (Cell(text="Total"), Cell(text="11,175"))
    columns = (Column(name="Net", numeric=False), Column(name="MACs"))
    table = Table(caption="Long", columns=columns, rows=rows, total=total)
    document = Document(title="t", lead=(), sections=(Section(title="s", slug="s", blocks=(table,)),))
    file = tmp_path / "long.html"
    file.write_text(write_html(document, {}), encoding="utf-8")
    opened = Opened(browser, file)
    opened.page.add_style_tag(content=PLANTED)
    pages = _drawn_pages(opened.page.pdf())
    opened.context.close()
    assert len(pages) > 2
    assert [len(re.findall(HEADER, page)) for page in pages] == [2] * len(pages)  # two columns
    assert [len(re.findall(FOOTER, page)) for page in pages] == [*[0] * (len(pages) - 1), 1]
