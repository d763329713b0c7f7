"""The playground in chromium: drawn on by mouse, finger and keyboard; hostile pictures; axe; nothing from outside."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.bench.deploy.serving.test_app import DATA, encode
from tests.chromium import find_grave

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from bench.deploy.serving.playground import Playground

pytestmark = pytest.mark.browser
ONE = [(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]
SEVEN = [(0.3, 0.25), (0.5, 0.24), (0.7, 0.26), (0.62, 0.45), (0.52, 0.62), (0.46, 0.8)]


@pytest.fixture(scope="module")
def address(playground: Playground) -> Iterator[str]:
    """Where the app is served, by waitress, from a thread of this process."""
    from waitress.server import create_server

    from bench.deploy.serving.app import create_app

    server = create_server(create_app(playground), host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Any]:
    """Opens the playground; at the end it may not have complained, nor asked for anything from elsewhere."""
    contexts: list[Any] = []
    complaints: list[str] = []
    requests: list[str] = []

    def open_with(**options: Any) -> Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options))
        page: Page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.wait_for_selector("#example-list button")
        return page

    open_with.allowed = []  # type: ignore[attr-defined]
    yield open_with
    for context in contexts:
        context.close()
    assert [each for each in complaints if not any(part in each for part in open_with.allowed)] == []  # type: ignore[attr-defined]
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []


def draw(page: Page, points: list[tuple[float, float]]) -> None:
    box = page.locator("#pad").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def answer(page: Page) -> str:
    page.wait_for_selector("#results:not([hidden])")
    page.wait_for_load_state("networkidle")
    return str(page.locator("#answer").inner_text())


def says(page: Page, net: str) -> str:
    return str(page.locator(f'#nets tr[data-name="{net}"] .says').inner_text())


def test_a_digit_drawn_by_mouse_is_read_and_predictions_change(open_page: Any) -> None:
    page = open_page()
    assert page.locator("#clear").is_disabled()
    draw(page, ONE)
    first = answer(page)
    assert says(page, "means") == "1"
    assert {"contrary says 8", "means says 1"} == {each.rpartition(" (")[0] for each in first.split("; ")}
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#answer").inner_text().startswith("Nothing yet")
    assert page.locator("#results").is_hidden()
    draw(page, SEVEN)
    answer(page)
    assert (says(page, "means"), says(page, "contrary")) == ("7", "2")
    assert page.locator("#nets tr.other").count() == 1
    assert page.locator("#said li").first.inner_text() == "28×28 pixels"
    page.get_by_role("button", name="Undo").click()
    assert page.locator("#results").is_hidden()


def test_a_digit_drawn_by_finger_on_a_phone(open_page: Any) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    box = page.locator("#pad").bounding_box()
    client = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    before = page.evaluate("scrollY")
    touch("touchStart", SEVEN[0])
    for (x0, y0), (x1, y1) in itertools.pairwise(SEVEN):
        for step in range(1, 6):
            touch("touchMove", (x0 + (x1 - x0) * step / 5, y0 + (y1 - y0) * step / 5))
    touch("touchEnd")
    answer(page)
    assert says(page, "means") == "7"
    assert page.evaluate("scrollY") == before, "drawing does not move the page"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shown = page.locator("#answer").bounding_box()
    assert shown is not None
    assert shown["y"] < 844, "the answer stands on the first screen"


def test_a_digit_drawn_by_pen_is_as_thick_as_it_is_pressed(open_page: Any) -> None:
    page = open_page()
    box = page.locator("#pad").bounding_box()
    client = page.context.new_cdp_session(page)

    def press(kind: str, x: float, y: float, force: float) -> None:
        where = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        client.send(
            "Input.dispatchMouseEvent",
            {
                "type": kind,
                **where,
                "button": "left",
                "buttons": 1,
                "clickCount": 1,
                "pointerType": "pen",
                "force": force,
            },
        )

    def ink(force: float) -> int:
        press("mousePressed", *ONE[0], force)
        for step in range(1, 11):
            press("mouseMoved", 0.5, 0.2 + 0.06 * step, force)
        press("mouseReleased", *ONE[-1], force)
        answer(page)
        assert says(page, "means") == "1"
        return int(
            page.evaluate(
                "[...document.getElementById('pad').getContext('2d').getImageData(0, 0, 560, 560).data]"
                ".filter((value, at) => at % 4 === 0 && value < 128).length"
            )
        )

    light = ink(0.2)
    page.get_by_role("button", name="Clear").click()
    assert ink(0.9) > 1.5 * light


def test_a_digit_drawn_by_the_keyboard_alone(open_page: Any) -> None:
    page = open_page()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "pad":
            break
    assert page.evaluate("document.activeElement.id") == "pad"
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    answer(page)
    assert says(page, "means") == "1"
    page.keyboard.press("Delete")
    assert page.locator("#results").is_hidden()


def test_examples_and_files_are_read_as_they_are_and_layers_follow(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    page.get_by_role("button", name="Example of 3").click()
    answer(page)
    assert page.locator("#said li").all_inner_texts() == ["28×28 pixels", "taken as it is"]
    page.get_by_label("Layers of").select_option("means")
    page.locator("#layers figcaption", has_text="sight").wait_for()
    assert page.locator("#layers figure").count() == 3
    at = int(np.flatnonzero(DATA.test_labels == 0)[0])
    Image.fromarray(255 - DATA.test_images[at, 0]).resize((200, 200)).save(tmp_path / "nought.jpg")
    page.locator("#file").set_input_files(tmp_path / "nought.jpg")
    page.locator("#said", has_text="dark on light").wait_for()
    assert says(page, "means") == "0"


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.png", "bomb.png", "page.html", "empty.png"])
def test_hostile_uploads_are_refused_in_words(open_page: Any, tmp_path: Path, name: str) -> None:
    from tests.bench.deploy.serving.test_fuzz import png

    path = tmp_path / name.replace("/", "")
    content = {"bomb.png": png(100_000, 100_000), "empty.png": b""}
    path.write_bytes(content.get(name, b"<script>document.title = 'hacked'</script>"))
    page = open_page()
    open_page.allowed.append("422")  # the browser tells of the refusal too
    page.locator("#file").set_input_files(path)
    page.wait_for_selector("#trouble:not([hidden])")
    assert page.locator("#trouble").inner_text().startswith("The picture cannot be used: ")
    assert page.title() == "Playground"
    draw(page, ONE)
    answer(page)
    assert page.locator("#trouble").is_hidden(), "and it goes on"


def test_a_picture_that_is_refused_leaves_no_answer_of_the_one_before(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    open_page.allowed.append("422")
    draw(page, ONE)
    answer(page)
    (tmp_path / "text.txt").write_text("no picture")
    page.locator("#file").set_input_files(tmp_path / "text.txt")
    page.wait_for_selector("#trouble:not([hidden])")
    assert page.locator("#results").is_hidden()
    assert page.locator("#answer").inner_text() == "No answer."
    (tmp_path / "large.bmp").write_bytes(b"BM" + bytes(4 << 20))
    page.locator("#file").set_input_files(tmp_path / "large.bmp")
    page.locator("#trouble", has_text="more than 4 MiB").wait_for()


def test_a_picture_that_is_dropped_or_pasted(open_page: Any) -> None:
    page = open_page()
    for event, digit in (("drop", 0), ("paste", 7)):
        at = int(np.flatnonzero(DATA.test_labels == digit)[1])
        page.evaluate(
            """([event, bytes]) => {
              const given = new DataTransfer();
              given.items.add(new File([new Uint8Array(bytes)], "digit.png", { type: "image/png" }));
              const named = event === "drop" ? { dataTransfer: given } : { clipboardData: given };
              const kind = event === "drop" ? DragEvent : ClipboardEvent;
              const told = new kind(event, { bubbles: true, cancelable: true, ...named });
              document.getElementById("drop").dispatchEvent(told);
            }""",
            [event, list(encode(DATA.test_images[at, 0]))],
        )
        page.locator('#nets tr[data-name="means"] .says', has_text=str(digit)).wait_for()


def test_of_two_pictures_given_at_once_the_second_counts(open_page: Any, tmp_path: Path) -> None:
    for digit, side in ((1, 3_000), (0, 28)):
        at = int(np.flatnonzero(DATA.test_labels == digit)[0])
        Image.fromarray(DATA.test_images[at, 0]).resize((side, side)).save(tmp_path / f"{digit}.png")
    page = open_page()
    for digit in (1, 0):
        page.locator("#file").set_input_files(tmp_path / f"{digit}.png")
    answer(page)
    assert says(page, "means") == "0"


def test_a_drawing_on_a_dark_page_is_sent_as_it_is_seen(open_page: Any) -> None:
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        draw(page, SEVEN)
        answer(page)
        assert says(page, "means") == "7"
        said = page.locator("#said").inner_text()
        assert ("dark on light" in said) == (scheme == "light")


def test_clearing_while_an_answer_is_on_its_way_leaves_nothing(open_page: Any) -> None:
    page = open_page()
    waiting: list[Any] = []

    def hold(route: Any) -> None:
        waiting.append(route)

    page.route("**/api/predict*", hold)
    draw(page, ONE)
    page.wait_for_function("performance.now() > 0")
    page.get_by_role("button", name="Clear").click()
    assert len(waiting) == 1, "one request at a time"
    waiting[0].continue_()
    page.wait_for_load_state("networkidle")
    assert len(waiting) == 1, "an empty paper is not asked about"
    assert page.locator("#answer").inner_text().startswith("Nothing yet")
    assert page.locator("#results").is_hidden()
    assert page.locator("#trouble").is_hidden()


def test_what_is_drawn_before_the_nets_are_there_is_answered_then(open_page: Any, address: str) -> None:
    page = open_page()
    open_page.allowed.append("429")
    asked: list[Any] = []

    def refuse_once(route: Any) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.fulfill(status=429, content_type="application/json", body='{"error": "Too many requests."}')
        else:
            route.continue_()

    page.route("**/api/architectures", refuse_once)
    page.goto(address)
    page.wait_for_selector("#trouble:not([hidden])")
    draw(page, ONE)
    answer(page)
    assert says(page, "means") == "1"
    assert page.locator("#trouble").is_hidden()


def test_a_net_that_has_gone_is_let_go_of(open_page: Any) -> None:
    page = open_page()
    open_page.allowed.append("400")
    page.evaluate(
        "const list = document.getElementById('watched'); list.add(new Option('gone', 'gone')); list.value = 'gone';"
    )
    draw(page, ONE)
    answer(page)
    assert page.locator("#trouble").is_hidden()
    assert page.locator("#watched option").all_inner_texts() == ["contrary", "means"]


def test_noise_is_said_to_be_far_from_the_data(open_page: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    page = open_page()
    page.locator("#file").set_input_files(tmp_path / "noise.png")
    answer(page)
    assert page.locator("#far").inner_text().startswith("This is far from the data")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1300])
@pytest.mark.parametrize("drawn", [False, True])
def test_no_serious_finding_of_axe(open_page: Any, scheme: str, width: int, drawn: bool) -> None:  # noqa: FBT001
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    if drawn:
        draw(page, SEVEN)
        answer(page)
    assert find_grave(page) == []
