"""Foreign words act nowhere, and axe finds nothing that shuts a reader out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.chromium import find_grave
from tests.reports.browser.pages import DOCUMENTS, Opened

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", ["small", "hostile"])
def test_foreign_words_run_nowhere(open_page: Any, name: str) -> None:
    page = open_page(name)
    assert page.title() == DOCUMENTS[name]().title
    assert page.locator("img, script").count() == 1  # the page's own script
    assert page.locator(".picture text", has_text="<img src=x").count() > 0
    assert page.evaluate("[...document.querySelectorAll('*')].flatMap(one => [...one.attributes]).filter("
                         "attribute => attribute.name.startsWith('on')).length") == 0  # fmt: skip


def test_a_script_that_is_not_ours_is_refused(browser: Browser, pages: dict[str, Path]) -> None:
    text = pages["small"].read_text(encoding="utf-8").replace("</main>", "<script>document.title = 'hacked'</script>")
    planted = pages["small"].with_name("planted.html")
    planted.write_text(text, encoding="utf-8")
    opened = Opened(browser, planted)
    assert opened.page.title() == "A report"
    assert any("Content Security Policy" in complaint for complaint in opened.complaints)
    opened.context.close()


@pytest.mark.parametrize("name", ["small", "long"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1300])
def test_no_serious_finding_of_axe(open_page: Any, name: str, scheme: str, width: int) -> None:
    page = open_page(name, color_scheme=scheme, viewport={"width": width, "height": 900})
    assert find_grave(page) == []


def test_axe_finds_a_planted_fault(open_page: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page("small")
    page.evaluate("document.querySelector('.pixels').removeAttribute('aria-label')")
    assert "aria-command-name" in {each["id"] for each in Axe().run(page).response["violations"]}
