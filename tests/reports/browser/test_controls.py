"""What answers to mouse and keyboard: sorting, the legend, enlarged pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.reports.browser.pages import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def _first_column(page: Page) -> list[str]:
    names: list[str] = page.locator("#result > .scroll tbody th").all_inner_texts()
    return names


def test_a_click_sorts_by_the_number_behind_and_the_third_restores(open_page: Any) -> None:
    page = open_page("small")
    head = page.locator("#result > .scroll thead th").nth(1)
    before = ["b", "never", "c", "none", "a"]
    assert _first_column(page) == before
    assert head.get_attribute("aria-sort") is None
    head.get_by_role("button").click()
    assert (_first_column(page), head.get_attribute("aria-sort")) == (["b", "a", "c", "never", "none"], "ascending")
    head.get_by_role("button").click()
    assert (_first_column(page), head.get_attribute("aria-sort")) == (["c", "b", "a", "never", "none"], "descending")
    head.get_by_role("button").click()
    assert (_first_column(page), head.get_attribute("aria-sort")) == (before, None)


def test_a_total_stays_at_the_end_however_rows_are_sorted(open_page: Any) -> None:
    page = open_page("small")
    button = page.locator("#result > .scroll thead th").nth(1).get_by_role("button")
    for _ in range(3):
        button.click()
        rows = page.locator("#result > .scroll tr").all_inner_texts()
        assert [rows[0].split()[0], rows[-1].split()] == ["Net", ["Total", "1.0"]]  # the smallest of all numbers


def test_the_keyboard_reaches_and_works_the_headers(open_page: Any) -> None:
    page = open_page("small")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText || document.activeElement.localName"))
        if reached[-1] == "Net":
            break
    assert reached[0] == "Skip to the report"
    assert reached[-1] == "Net"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert _first_column(page) == ["a", "b", "c", "never", "none"]
    assert page.evaluate("document.activeElement.innerText") == "Net"


def test_an_architecture_is_hidden_in_every_figure_and_shown_again(open_page: Any) -> None:
    page = open_page("small")
    groups = page.locator('.picture [data-series="0"]')
    others = page.locator('.picture [data-series="1"]')
    figures = page.evaluate(
        "[...document.querySelectorAll('.picture')].map(p => p.querySelectorAll('[data-series=\"0\"]').length)"
    )
    assert len(figures) == 3
    assert all(figures[:2]), "both figures draw it, the drawing does not"
    shown = "all => all.map(one => getComputedStyle(one).display !== 'none')"
    box = page.get_by_label("one", exact=True)
    box.uncheck()
    assert not any(groups.evaluate_all(shown))
    assert all(others.evaluate_all(shown))
    box.check()
    assert all(groups.evaluate_all(shown))


def test_a_name_under_the_mouse_or_in_focus_dims_the_others(open_page: Any) -> None:
    page = open_page("small", reduced_motion="reduce")
    opacity = "all => [...new Set(all.map(one => getComputedStyle(one).opacity))]"
    label = page.locator('#legend label[data-key="0"]')
    for act in (label.hover, page.get_by_label("one", exact=True).focus):
        act()
        assert page.locator('[data-series="0"]').evaluate_all(opacity) == ["1"]
        assert page.locator('[data-series="1"]').evaluate_all(opacity) == ["0.15"]
        page.mouse.move(0, 0)
    page.get_by_role("checkbox", name=HOSTILE).focus()
    assert page.locator('[data-series="1"]').evaluate_all(opacity) == ["1"]


def test_a_tile_is_enlarged_by_enter_and_escape_leads_back(open_page: Any) -> None:
    page = open_page("small")
    first = page.get_by_role("button", name=f"Enlarge: grey 0 {HOSTILE}").first
    dialog = page.get_by_role("dialog", name="Grey tiles")
    assert dialog.count() == 0
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert dialog.locator("figcaption").inner_text() == "tile 1"
    assert dialog.get_by_role("img", name=f"grey 40 {HOSTILE}").bounding_box()["width"] > 10 * 24
    page.keyboard.press("ArrowRight")
    assert dialog.locator("figcaption").inner_text() == "tile 2"
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    assert page.evaluate("document.activeElement.ariaLabel") == f"Enlarge: grey 80 {HOSTILE}"
    page.locator(".pixels").nth(3).click()
    page.get_by_role("button", name="Close").click()
    assert dialog.count() == 0
