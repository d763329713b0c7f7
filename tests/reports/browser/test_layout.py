"""How the page looks: on a phone and on a desk, light and dark, with scripts and without."""

from __future__ import annotations

import io
import itertools
import re
from typing import Any

import pytest
from PIL import Image

from tests.reports.browser.pages import GREYS, HOSTILE

pytestmark = pytest.mark.browser


def test_each_tile_shows_its_own_pixels(open_page: Any) -> None:
    page = open_page("small")
    page.locator(".gallery summary").click()
    tiles = page.locator(".gallery .pixels")
    assert tiles.count() == len(GREYS)
    for at in (0, 1, 7, 8, 23, 24, 29):  # corners of the sprite, and both sides of the fold
        with Image.open(io.BytesIO(tiles.nth(at).screenshot())) as shot:
            assert (shot.width - 24, shot.height - 30) in {(0, 0), (0, 1), (1, 0), (1, 1)}  # a place between pixels
            assert {shot.convert("L").getpixel(place) for place in ((3, 3), (12, 15), (20, 26))} == {GREYS[at]}


def test_dark_figures_have_a_dark_ground_and_light_text(open_page: Any) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = open_page("small", color_scheme=scheme)
        text = page.locator(".picture text").first.evaluate("one => getComputedStyle(one).fill")
        card = page.locator(".card").first.evaluate("one => getComputedStyle(one).backgroundColor")
        colours[scheme] = [[int(number) for number in re.findall(r"\d+", colour)] for colour in (text, card)]
    (light_text, light_card), (dark_text, dark_card) = colours["light"], colours["dark"]
    assert max(light_text) < 80
    assert min(light_card) > 240
    assert max(dark_card) < 80
    assert min(dark_text) > 200


@pytest.mark.parametrize("width", [360, 390, 1100])
def test_text_wraps_and_only_tables_and_figures_scroll_in_their_own_box(open_page: Any, width: int) -> None:
    page = open_page("long", viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details.fold').forEach(fold => { fold.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    lacking = page.evaluate(
        """Object.fromEntries([...document.querySelectorAll(".scroll, pre")].filter(box => box.clientWidth).map(
        box => [box.getAttribute("aria-label") || "command", box.scrollWidth - box.clientWidth]))"""
    )
    texts = [
        name for name in lacking if re.match(r"How mnist, .* was measured|Versions, hardware and code|command", name)
    ]
    assert len(texts) == 4
    assert {name: lacking[name] for name in texts} == dict.fromkeys(texts, 0)
    if width < 640:  # rows of many columns become blocks of names and values
        assert {name: cut for name, cut in lacking.items() if cut} == {}
        cut = page.locator(".card, #legend").evaluate_all("all => all.map(one => one.scrollWidth - one.clientWidth)")
        assert len(cut) > 5
        assert max(cut) <= 0
    else:
        assert any(lacking.values())  # wider than the window, and yet the page is not
    cut = page.evaluate(
        """[...document.querySelectorAll("body *")].filter(one => !one.closest(".scroll, .card, fieldset, .skip, ul")
        && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"""
    )
    assert cut == []


def test_contents_open_stay_in_a_phones_window_and_lead_to_a_section(open_page: Any) -> None:
    page = open_page("long", viewport={"width": 360, "height": 740}, reduced_motion="reduce")
    page.get_by_text("Contents", exact=True).click()
    box = page.locator(".contents ul").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page.locator(".contents a", has_text="Environment").click()
    assert 0 < page.locator("#environment").bounding_box()["y"] < 740
    assert page.locator(".contents ul").is_hidden()
    strip = page.locator("nav").bounding_box()
    assert 0 <= strip["y"] < 2, "the bar of contents stays at the top"
    assert strip["height"] < 100


@pytest.mark.parametrize("name", ["small", "long"])
@pytest.mark.parametrize("width", [360, 1000, 1300, 1900])
def test_each_block_stands_below_the_one_before_it(open_page: Any, name: str, width: int) -> None:
    page = open_page(name, viewport={"width": width, "height": 900})
    boxes = page.locator("main > section:first-of-type > *").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => [box.top, box.bottom])"
    )
    assert len(boxes) > 3
    for (_, bottom), (top, _) in itertools.pairwise(boxes):
        assert bottom <= top + 0.5


def test_without_scripts_everything_is_shown_and_nothing_promises_more(open_page: Any) -> None:
    page = open_page("small", java_script_enabled=False)
    assert page.locator("button, dialog, #legend:visible").count() == 0
    assert page.locator(".picture:visible").count() == 3
    assert page.locator("#result > .scroll tbody td:visible").count() == 5
    assert page.get_by_role("img", name=f"grey 40 {HOSTILE}").count() == 4  # the fifth is folded away
    page.locator(".gallery summary").click()
    assert page.get_by_role("img", name=f"grey 40 {HOSTILE}").count() == 5


def test_a_report_of_four_nets_is_read_in_two_screens_and_a_list_of_folds(open_page: Any) -> None:
    page = open_page("long", viewport={"width": 1280, "height": 900})
    assert page.evaluate("document.documentElement.scrollHeight") <= 5_000
    size = "all => all.map(one => parseFloat(getComputedStyle(one).fontSize))"
    answers = page.locator(".lead > p.answer").evaluate_all(size)
    assert len(answers) == 2, "one of each budget"
    assert min(answers) >= 1.3 * max(page.locator("p:not(.answer), h1, h2, h3").evaluate_all(size))
    gists = page.locator(".fold > summary .gist:visible").all_inner_texts()
    assert len(gists) > 10
    assert all(gist.endswith(".") for gist in gists)


def test_opening_a_fold_does_not_move_the_reader(open_page: Any) -> None:
    page = open_page("long", viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    summary = page.locator("#environment > details > summary")
    summary.scroll_into_view_if_needed()
    for at in (0, -3):
        opened = page.locator(".fold > summary").nth(at)
        opened.scroll_into_view_if_needed()
        before = (page.evaluate("scrollY"), opened.bounding_box()["y"])
        opened.click()
        assert (page.evaluate("scrollY"), opened.bounding_box()["y"]) == before


def test_a_link_to_what_is_folded_away_opens_it(open_page: Any) -> None:
    page = open_page("long", reduced_motion="reduce")
    inside = page.locator("#layers > details section").first
    assert not inside.is_visible()
    page.get_by_text("Contents", exact=True).click()
    page.locator(f".contents a[href='#{inside.get_attribute('id')}']").click()
    assert inside.is_visible()
    assert 0 <= inside.bounding_box()["y"] < 900


def test_nothing_moves_for_those_who_asked_for_that(open_page: Any) -> None:
    scrolling = "getComputedStyle(document.documentElement).scrollBehavior"
    assert open_page("small", reduced_motion="reduce").evaluate(scrolling) == "auto"
    assert open_page("small", reduced_motion="no-preference").evaluate(scrolling) == "smooth"
