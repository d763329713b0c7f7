"""The page as a browser shows it: by mouse and keyboard, on a phone and on a desk, light, dark and on paper."""

from __future__ import annotations

import dataclasses
import io
import math
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from synthetic import MNIST, make_record, make_study, study_of

from reports.build import build_document
from reports.charts import Panel, Point, Series
from reports.document import Cell, Column, Document, Drawing, Figure, Gallery, Prose, Section, Table, Tile
from reports.figures import draw_svg
from reports.html import write_html

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from reports.document import Block

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=document.title='hacked'>"
GREYS = [40 * number for number in range(6)] * 5


def _small_document() -> Document:
    """One of every block, with numbers and pictures that are known."""
    cells = [
        ("b", Cell(text="2.0", value=2.0, interval=(1.0, 3.0))),
        ("never", Cell(text="never", value=math.inf)),
        ("c", Cell(text="10.0", value=10.0)),
        ("none", Cell(text="—")),
        ("a", Cell(text="2.0 again", value=2.0)),
    ]
    table = Table(
        caption="Known order",
        columns=(Column(name="Net", numeric=False), Column(name="Epochs")),
        rows=tuple((Cell(text=name), cell) for name, cell in cells),
    )
    series = tuple(
        Series(label=label, style=style, points=(Point(x=1, y=style, low=style - 1, high=style + 1), Point(x=2, y=3)))
        for style, label in enumerate(("one", HOSTILE))
    )
    panel = Panel(title="Panel", x_label="Epochs", y_label="Accuracy", series=series)
    figures = tuple(
        Figure(slug=slug, title=f"Figure {slug}", alt=f"What {slug} shows.", panels=(panel,), table=table)
        for slug in ("first", "second")
    )
    tiles = tuple(
        Tile(pixels=np.full((10, 8), grey, dtype=np.uint8), caption=f"tile {at}", alt=f"grey {grey} {HOSTILE}")
        for at, grey in enumerate(GREYS)
    )
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 99 40"><text x="9" y="20">28 × 28</text></svg>'
    pictures: tuple[Block, ...] = (
        Gallery(slug="tiles", title="Grey tiles", tiles=tiles, scale=3),
        Drawing(slug="drawn", title="A drawing", alt="Sizes.", svg=svg),
    )
    sections = (
        Section(title="Result", slug="result", blocks=(table, *figures)),
        Section(title="Pictures", slug="pictures", blocks=pictures),
    )
    return Document(title="A report", lead=(Prose(text="The answer in words."),), sections=sections)


def _long_document() -> Document:
    """The usual study, with words that no line has room for."""
    study = make_study()
    environment = {**study.records[0].environment, "flags": "-march=native" * 20}
    study = dataclasses.replace(
        study,
        command=f"{study.command} --results /{'long' * 60}",
        datasets={"da7a": dataclasses.replace(MNIST, data_hash="0123456789abcdef" * 4)},
        records=tuple(dataclasses.replace(record, environment=environment) for record in study.records),
    )
    return build_document(study)


def _hostile_document() -> Document:
    record, curve = make_record("bn25k", seed=0)
    failed, _ = make_record("bn25k", seed=1, status="failed")
    runs = [
        (dataclasses.replace(record, architecture=HOSTILE), curve),
        (dataclasses.replace(failed, architecture=HOSTILE, error=f"RuntimeError: </script>{HOSTILE}"), ()),
    ]
    return build_document(study_of(*runs, name=f"</title>{HOSTILE}"))


DOCUMENTS = {"small": _small_document, "long": _long_document, "hostile": _hostile_document}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "no chromium on the PATH: install it, or leave these tests out with -m 'not browser'"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, make in DOCUMENTS.items():
        document = make()
        text = write_html(document, {figure.slug: draw_svg(figure) for figure in document.figures})
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in DOCUMENTS}


class _Opened:
    """A page, everything it complained of and everything it asked for."""

    def __init__(self, browser: Browser, file: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())


@pytest.fixture
def open_page(browser: Browser, pages: dict[str, Path]) -> Iterator[Any]:
    opened: list[_Opened] = []

    def open_named(name: str, **options: Any) -> Page:
        opened.append(_Opened(browser, pages[name], **options))
        return opened[-1].page

    yield open_named
    for each in opened:
        each.context.close()
        assert each.complaints == []
        assert [url for url in each.requests if not url.startswith(("file:", "data:"))] == []
        assert sum(url.startswith("file:") for url in each.requests) == 1


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


def test_each_tile_shows_its_own_pixels(open_page: Any) -> None:
    page = open_page("small")
    page.locator(".gallery summary").click()
    tiles = page.locator(".gallery .pixels")
    assert tiles.count() == len(GREYS)
    for at in (0, 1, 7, 8, 23, 24, 29):  # corners of the sprite, and both sides of the fold
        with Image.open(io.BytesIO(tiles.nth(at).screenshot())) as shot:
            assert (shot.width - 24, shot.height - 30) in {(0, 0), (0, 1), (1, 0), (1, 1)}  # a place between pixels
            assert {shot.convert("L").getpixel(place) for place in ((3, 3), (12, 15), (20, 26))} == {GREYS[at]}


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
    strip = page.locator(".strip").bounding_box()
    assert 0 <= strip["y"] < 2, "the bar of contents stays at the top"
    assert strip["height"] < 100


def test_the_main_table_and_the_first_figure_stand_side_by_side_where_there_is_room(open_page: Any) -> None:
    places = {}
    for width in (1000, 1300):
        page = open_page("small", viewport={"width": width, "height": 900})
        table = page.locator("#result > .scroll").first.bounding_box()
        figure = page.locator("#result > figure").first.bounding_box()
        places[width] = (table, figure)
        second = page.locator("#result > figure").nth(1).bounding_box()
        assert second["y"] >= figure["y"] + figure["height"]
    table, figure = places[1300]
    assert figure["x"] >= table["x"] + table["width"]
    assert figure["y"] < table["y"] + table["height"]
    table, figure = places[1000]
    assert figure["y"] >= table["y"] + table["height"]


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


def test_without_scripts_everything_is_shown_and_nothing_promises_more(open_page: Any) -> None:
    page = open_page("small", java_script_enabled=False)
    assert page.locator("button, dialog, #legend:visible").count() == 0
    assert page.locator(".picture:visible").count() == 3
    assert page.locator("#result > .scroll td:visible").count() == 5
    assert page.get_by_role("img", name=f"grey 40 {HOSTILE}").count() == 4  # the fifth is folded away
    page.locator(".gallery summary").click()
    assert page.get_by_role("img", name=f"grey 40 {HOSTILE}").count() == 5


def test_nothing_moves_for_those_who_asked_for_that(open_page: Any) -> None:
    scrolling = "getComputedStyle(document.documentElement).scrollBehavior"
    assert open_page("small", reduced_motion="reduce").evaluate(scrolling) == "auto"
    assert open_page("small", reduced_motion="no-preference").evaluate(scrolling) == "smooth"


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
    opened = _Opened(browser, planted)
    assert opened.page.title() == "A report"
    assert any("Content Security Policy" in complaint for complaint in opened.complaints)
    opened.context.close()


@pytest.mark.parametrize("name", ["small", "long"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1300])
def test_no_serious_finding_of_axe(open_page: Any, name: str, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(name, color_scheme=scheme, viewport={"width": width, "height": 900})
    findings = Axe().run(page).response
    assert len(findings["passes"]) > 10
    grave = [
        (each["id"], each["nodes"][0]["html"][:200], each["nodes"][0].get("failureSummary"))
        for each in findings["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
    assert grave == []


def test_axe_finds_a_planted_fault(open_page: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page("small")
    page.evaluate("document.querySelector('.pixels').removeAttribute('aria-label')")
    assert "aria-command-name" in {each["id"] for each in Axe().run(page).response["violations"]}
