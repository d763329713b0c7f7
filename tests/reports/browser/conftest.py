"""Fixtures that open the documents of `browser_pages` in chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reports.figures.svg import draw_svg
from reports.writers.html import write_html
from tests.chromium import browser
from tests.reports.browser.pages import DOCUMENTS, Opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

__all__ = ["browser"]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The documents as files, by name."""
    folder = tmp_path_factory.mktemp("pages")
    for name, make in DOCUMENTS.items():
        document = make()
        text = write_html(document, {part.slug: draw_svg(part) for part in document.pictures})
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in DOCUMENTS}


@pytest.fixture
def open_page(browser: Browser, pages: dict[str, Path]) -> Iterator[Any]:
    """Opens a document by its name; at the end, none may have complained or asked for anything beside itself."""
    opened: list[Opened] = []

    def open_named(name: str, **options: Any) -> Page:
        opened.append(Opened(browser, pages[name], **options))
        return opened[-1].page

    yield open_named
    for each in opened:
        each.context.close()
        assert each.complaints == []
        assert [url for url in each.requests if not url.startswith(("file:", "data:"))] == []
        assert sum(url.startswith("file:") for url in each.requests) == 1
