"""Figures as SVG: what a page may toggle and colour, words that are read, and the same bytes every time."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex

from reports.document import Figure, Heatmap, Panel, Point, Series, Table
from reports.figures import heatmaps
from reports.figures.svg import CREATOR, draw_svg

SVG = "{http://www.w3.org/2000/svg}"


def figure_of(*panels: Panel, slug: str = "pic") -> Figure:
    return Figure(slug=slug, title="t", alt="a", panels=panels, table=Table(caption="c", columns=(), rows=()))


def series_of(style: int, *, label: str = "net", hollow: bool = False, whiskers: bool = True, n: int = 3) -> Series:
    ends = [(y - 0.5, y + 0.5) if whiskers else (None, None) for y in range(1, n + 1)]
    points = tuple(Point(x=y, y=y, low=low, high=high) for y, (low, high) in enumerate(ends, 1))
    return Series(label=label, style=style, points=points, hollow=hollow)


def panel_of(*series: Series, joined: bool = True, whiskers: bool = False, named: bool = False) -> Panel:
    return Panel(
        title="p", x_label="x", y_label="y", series=series, joined=joined, whiskers=whiskers, named=named,
        filled_means="fine" if named else "", hollow_means="poor" if named else "",
    )  # fmt: skip


def heatmap_of(**changes: object) -> Heatmap:
    values: dict[str, object] = {
        "title": "h", "x_label": "to", "y_label": "from", "rows": ("a", "b"), "columns": ("a", "b", "c"),
        "values": ((1.0, None, None), (-4.0, 0.0, 2.0)), "texts": (("one", "?", ""), ("four", "none", "two")),
        "kind": "diverging", "value_label": "pp",
    }  # fmt: skip
    return Heatmap(**(values | changes))  # type: ignore[arg-type]


def ids_of(svg: str) -> list[str]:
    return [element.get("id", "") for element in ET.fromstring(svg).iter() if element.get("id")]  # noqa: S314 - ours


def texts_of(svg: str) -> list[str]:
    return [(e.text or "").strip() for e in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own picture


@pytest.mark.parametrize(
    ("panel", "parts"),
    [
        (panel_of(series_of(0), series_of(13)), 2),  # band and line
        (panel_of(series_of(0), series_of(13), whiskers=True), 4),  # line, two caps, bars
        (panel_of(series_of(0), series_of(13), joined=False), 4),
        (panel_of(series_of(0, whiskers=False), series_of(13, whiskers=False), joined=False), 1),
        (panel_of(series_of(0, label="a"), series_of(13, label="b"), joined=False, named=True), 7),  # and three names
    ],
    ids=["bands", "joined whiskers", "whiskers", "markers", "named"],
)
def test_all_that_is_drawn_of_a_series_can_be_toggled_by_its_id(panel: Panel, parts: int) -> None:
    ids = [name for name in ids_of(draw_svg(figure_of(panel, panel))) if "--s" in name]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"pic-\d+--s(0|13)", name) for name in ids)
    assert [sum(name.endswith(f"--s{style}") for name in ids) for style in (0, 13)] == [2 * parts] * 2


def test_two_figures_in_one_page_share_no_id() -> None:
    panels = (panel_of(series_of(0), series_of(1)), heatmap_of())
    first, second = (ids_of(draw_svg(figure_of(*panels, slug=slug))) for slug in ("one", "two"))
    assert set(first).isdisjoint(second)
    assert len(first) == len(set(first))


def test_words_have_the_colour_of_the_page_and_the_ground_none() -> None:
    svg = draw_svg(figure_of(panel_of(series_of(0, label="a"), joined=False, named=True)))
    root = ET.fromstring(svg)  # noqa: S314 - our own picture
    assert len(texts_of(svg)) > 10
    assert not [e.get("style") for e in root.iter(f"{SVG}text") if "fill:" in e.get("style", "").replace(" ", "")]
    assert "fill: #ffffff" not in svg
    (style,) = [e.text or "" for e in root.iter(f"{SVG}style") if "prefers-color-scheme" in (e.text or "")]
    assert all("svg:root" in rule for rule in re.findall(r"[^{}@]+\{fill", style)), "inside a page it says nothing"
    assert CREATOR in svg[:2000]


def test_names_stand_at_their_points_and_a_key_says_what_hollow_means() -> None:
    series = (series_of(0, label="solid", n=1), series_of(1, label="airy", hollow=True, n=1))
    texts = texts_of(draw_svg(figure_of(panel_of(*series, joined=False, named=True))))
    assert [texts.count(word) for word in ("solid", "airy", "fine", "poor")] == [1, 1, 1, 1]
    hollow = re.search(r'id="pic-\d+--s1">.*?</g>', draw_svg(figure_of(panel_of(series[1], joined=False))), re.DOTALL)
    assert hollow
    assert "fill: none" in hollow[0].lower() or "fill-opacity: 0" in hollow[0].lower()


def test_names_of_crowded_points_keep_apart() -> None:
    # Five nets that cost nearly the same: side by side their names would lie on each other.
    crowd = tuple(
        Series(label=f"a_rather_long_name_{k}", style=k, points=(Point(x=100 + k / 50, y=99),)) for k in range(5)
    )
    spread = Series(label="far", style=5, points=(Point(x=200, y=98), Point(x=1, y=100)))
    svg = draw_svg(figure_of(panel_of(*crowd, spread, joined=False, named=True)))
    boxes = []
    for element in ET.fromstring(svg).iter(f"{SVG}text"):  # noqa: S314 - our own picture
        if (element.text or "").startswith("a_rather"):
            where = f"{element.get('x', '')} {element.get('y', '')} {element.get('transform', '')}"
            x, y = map(float, re.findall(r"-?\d[\d.]*", where)[-2:])
            style = element.get("style", "")
            left = x - (80 if "anchor: end" in style else 40 if "anchor: middle" in style else 0)
            boxes.append((left, y))
    assert len(boxes) == 5
    for (left, y), (other_left, other_y) in itertools.combinations(boxes, 2):
        assert abs(y - other_y) > 8 or abs(left - other_left) >= 80, "80 units is shorter than the name"


@pytest.mark.parametrize("kind", ["sequential", "diverging"])
def test_words_in_cells_have_enough_contrast_on_every_colour(kind: str) -> None:
    colours = heatmaps._MAPS[kind](np.linspace(0, 1, 256))
    ratios = [heatmaps.contrast(heatmaps.readable_ink(colour), colour) for colour in colours]
    assert min(ratios) >= 4.5


def test_contrast_is_that_of_the_guidelines() -> None:
    assert heatmaps.contrast("#ffffff", "#000000") == pytest.approx(21)
    assert heatmaps.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # WebAIM's checker
    assert heatmaps.readable_ink("#ffee88") == "#010101"
    assert heatmaps.readable_ink("#00305a") == "#ffffff"


def cells_of(svg: str) -> dict[str, str]:
    """Style of each cell of a heat map by row and column, told from where its upper left corner lies."""
    found = re.findall(r'<path d="M ([\d.]+) ([\d.]+) [^"]*z\s*" clip-path="[^"]*" style="(fill: [^"]*)"', svg)
    lefts, tops = (sorted({float(cell[axis]) for cell in found}) for axis in (0, 1))
    return {f"{tops.index(float(top))}-{lefts.index(float(left))}": style for left, top, style in found}


def test_every_cell_is_lettered_and_what_has_no_value_is_hatched_not_coloured() -> None:
    svg = draw_svg(figure_of(heatmap_of()))
    assert {"one", "?", "four", "none", "two", "a", "b", "c", "from", "to", "pp"} <= set(texts_of(svg))
    cells = cells_of(svg)
    assert sorted(cells) == ["0-0", "0-1", "1-0", "1-1", "1-2"], "no text, no cell"
    assert "url(#" in cells["0-1"]
    fills = {name: re.search(r"fill: (#\w+)", part) for name, part in cells.items() if name != "0-1"}
    middle = to_hex(heatmaps._MAPS["diverging"](0.5))
    assert fills["1-1"] is not None
    assert fills["1-1"][1] == middle
    # Least is the end of one side, and its opposite would be the end of the other: zero stays in the middle.
    assert fills["1-0"] is not None
    assert fills["1-0"][1] == to_hex(heatmaps._MAPS["diverging"](0.0))
    assert len({found[1] for found in fills.values() if found}) == 4


def test_a_heat_map_without_any_value_is_drawn_without_a_key() -> None:
    svg = draw_svg(figure_of(heatmap_of(values=((None,) * 3, (None,) * 3))))
    assert "pp" not in texts_of(svg)
    assert "four" in texts_of(svg)


@pytest.mark.parametrize("what", ["values", "texts"])
def test_cells_of_another_shape_are_refused(what: str) -> None:
    with pytest.raises(ValueError, match=f"Heat map 'h': {what} are not 2 × 3"):
        heatmap_of(**{what: (("", "", ""),)})


def test_the_same_figure_gives_the_same_bytes() -> None:
    def figure() -> Figure:
        named = panel_of(series_of(0, label="a"), series_of(1, label="b"), joined=False, named=True)
        return figure_of(named, panel_of(series_of(2)), heatmap_of())

    assert draw_svg(figure()) == draw_svg(figure())


@pytest.mark.parametrize("name", ["<script>x</script>", "a & b", "$\\frac{1$", 'id="x--s9"', '<g id="text_1">'])
def test_foreign_names_are_words_and_nothing_else(name: str) -> None:
    named = panel_of(series_of(0, label=name, n=1), joined=False, named=True)
    svg = draw_svg(figure_of(named, heatmap_of(rows=(name, "b"))))
    assert texts_of(svg).count(name) == 2
    assert "script" not in {element.tag.removeprefix(SVG) for element in ET.fromstring(svg).iter()}  # noqa: S314


def test_numbers_at_a_logarithmic_axis_are_short() -> None:
    series = Series(label="n", style=0, points=tuple(Point(x=x, y=1) for x in (0.4, 900, 1_200_000)))
    panel = Panel(title="p", x_label="x", y_label="y", joined=False, log_x=True, series=(series,))
    assert {"10", "1,000", "10k", "1M"} <= set(texts_of(draw_svg(figure_of(panel))))
    ticks = Panel(title="p", x_label="x", y_label="y", series=(series,), log_x=True, x_ticks=(1, 8, 32))
    assert {"1", "8", "32"} <= set(texts_of(draw_svg(figure_of(ticks))))


def test_a_legend_of_many_names_leaves_its_panel_room() -> None:
    """Where it did not, the library warned and drew panels of no height, which is an error here."""
    few, many = (
        draw_svg(
            figure_of(*2 * [panel_of(*(series_of(style, label=f"quite-a-long-name-{style}") for style in range(n)))])
        )
        for n in (4, 60)
    )
    heights = [float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)[1]) for svg in (few, many)]  # type: ignore[index]
    # 72 points to the inch; 10.8 inches hold four such names in a line, so 60 take twelve lines more than there is room
    assert heights == pytest.approx([4.2 * 72, (4.2 + 12 * 0.22) * 72])
