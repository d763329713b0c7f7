"""A real browser for tests, and what axe finds in a page that it shows."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "no chromium on the PATH: install it, or leave these tests out with -m 'not browser'"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium)
        yield started
        started.close()


def find_grave(page: Page) -> list[tuple[Any, ...]]:
    """Serious and critical findings of axe in a page on which it has found enough to look at."""
    from axe_playwright_python.sync_playwright import Axe

    findings = Axe().run(page).response
    assert len(findings["passes"]) > 10
    return [
        (each["id"], each["nodes"][0]["html"][:200], each["nodes"][0].get("failureSummary"))
        for each in findings["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
