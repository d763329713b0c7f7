"""Heat maps of two to 256 classes, with names of any length and script: what is written, drawn, and how large."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from PIL import Image

from reports.document import MOST_LETTERED, Figure, Heatmap, Table
from reports.figures import heatmaps
from reports.figures.heatmaps import axis_names, name_angle, name_step, names_inches, shortened
from reports.figures.svg import draw_svg
from reports.writers.html import inline_svg
from tests.reports.sections.errors.class_studies import CHINESE, HEBREW, LONG

SVG = "{http://www.w3.org/2000/svg}"


def square(*names: str, value: float = 1.0) -> Heatmap:
    """Each class is taken for the next one, and for no other."""
    count = len(names)
    values = [[0.0 if (said - true) % count > 1 else value for said in range(count)] for true in range(count)]
    return Heatmap(
        title="h", x_label="Said", y_label="True", rows=names, columns=names,
        values=tuple(tuple(None if t == s else v for s, v in enumerate(row)) for t, row in enumerate(values)),
        texts=tuple(tuple(f"{v:g}" for v in row) for row in values), value_label="rate",
    )  # fmt: skip


def draw(panel: Heatmap) -> str:
    return draw_svg(Figure(slug="s", title="t", alt="a", panels=(panel,), table=Table(caption="", columns=(), rows=())))


def texts_of(svg: str) -> list[str]:
    return [(e.text or "").strip() for e in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own picture


def size_of(svg: str) -> tuple[float, float]:
    """Width and height in inches."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found
    return float(found[1]) / 72, float(found[2]) / 72


def numbered(count: int) -> list[str]:
    return [f"class {at}" for at in range(count)]


@pytest.mark.parametrize("names", [HEBREW, CHINESE, ("a", "b")], ids=["Hebrew", "Chinese", "two"])
def test_names_of_any_script_are_text_that_the_reader_s_fonts_draw(names: tuple[str, ...]) -> None:
    """Warnings are errors here: the library's, too, that its own font lacks a glyph."""
    texts = texts_of(draw(square(*names)))
    for name in names:
        assert texts.count(shortened(name)) == 2, "at both axes"


def test_long_names_are_cut_and_those_that_begin_alike_are_numbered() -> None:
    panel = square("cat", *LONG)
    assert axis_names(panel.rows, panel) == ["cat", "1 a genus of small orchids th…", "2 a genus of small orchids th…"]
    assert max(map(len, texts_of(draw(panel)))) <= 32


def test_a_wide_character_counts_twice_and_an_accent_of_its_own_not_at_all() -> None:
    assert shortened("中" * 16) == "中" * 16
    assert shortened("中" * 17) == "中" * 15 + "…"
    assert shortened("e\u0301" * 32) == "e\u0301" * 32
    assert shortened("e\u0301" * 33) == "e\u0301" * 31 + "…"
    assert shortened("א" * 33) == "א" * 31 + "…\u200f", "the ellipsis stays at the end of what runs from right to left"


@pytest.mark.parametrize("count", [MOST_LETTERED, MOST_LETTERED + 1, 100, 256])
def test_names_at_the_axes_have_room_whatever_their_number(count: int) -> None:
    panel = square(*numbered(count))
    svg = draw(panel)
    texts, step = texts_of(svg), name_step(panel)
    named = [text for text in texts if text.startswith("class ")]
    assert named == 2 * numbered(count)[::step]
    width, height = size_of(svg)
    cells = heatmaps.cell_inches(panel)[0]
    assert step * cells >= 0.19, "a line of text"
    if count <= MOST_LETTERED:
        assert (step, texts.count("1")) == (1, 2 * count)
        assert "Said" in texts
    else:
        assert max(width, height) < 12
        assert (f"Said (one in {step} is named)" if step > 1 else "Said") in texts
        assert len(svg) < 100_000, "one picture instead of thousands of cells"


def test_the_cells_of_many_classes_are_one_picture_in_the_same_colours() -> None:
    count = MOST_LETTERED + 1
    svg = draw(square(*numbered(count), value=4.0))
    root = ET.fromstring(svg)  # noqa: S314 - our own picture
    pictures = [e.get("{http://www.w3.org/1999/xlink}href", "") for e in root.iter(f"{SVG}image")]
    (content,) = (base64.b64decode(href.partition(",")[2]) for href in pictures if href.startswith("data:image/png"))
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    assert pixels.shape == (count, count, 4)
    sequential = heatmaps._MAPS["sequential"]
    assert (pixels[:, :, 3].diagonal() == 0).all(), "what is right has no colour"
    assert pixels[3, 4].tolist() == [round(255 * part) for part in to_rgba(sequential(1.0))]
    assert pixels[4, 3].tolist() == [round(255 * part) for part in to_rgba(sequential(0.0))]
    inlined = inline_svg(svg, slug="s", title="t", alt="a")
    assert "data:image/png;base64," in inlined
    assert "pixelated" in inlined


def test_long_names_of_columns_do_not_eat_into_the_cells() -> None:
    short, long = (draw(square(*names)) for names in (numbered(5), [f"{at} {'x' * 40}" for at in range(5)]))
    panel = square(*[f"{at} {'x' * 40}" for at in range(5)])
    assert name_angle(panel) == 35
    of_rows, of_columns = names_inches(panel)
    assert of_rows == pytest.approx(32 * 0.085)
    assert of_columns == pytest.approx(32 * 0.085 * 0.5736, abs=1e-3)  # sine of 35 degrees

    def cell_of(svg: str) -> float:
        (first, *_) = re.findall(
            r'<path d="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+)[^"]*"[^>]*style="fill: #', svg
        )
        return abs(float(first[5]) - float(first[1]))

    assert cell_of(long) == pytest.approx(cell_of(short), rel=0.2)


def test_the_same_many_classes_give_the_same_bytes() -> None:
    assert draw(square(*numbered(30))) == draw(square(*numbered(30)))
