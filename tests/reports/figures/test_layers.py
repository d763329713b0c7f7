"""The drawing of a net's layers: what is in it, how large, and that nothing foreign is acted upon."""

from __future__ import annotations

import dataclasses
from xml.etree import ElementTree as ET

import pytest

from bench.core.metadata import LayerRow
from reports.document import Drawing, Table
from reports.figures.layers import MOST_BOXES, layer_drawing
from reports.sections.appendix import layer_sections
from tests.factories import make_metadata, make_study

SVG = "{http://www.w3.org/2000/svg}"


def layer(kind: str, shape: tuple[int, ...], params: int = 0) -> LayerRow:
    return LayerRow(name=kind.lower(), kind=kind, output_shape=shape, params=params, macs=0)


def drawing_of(*layers: LayerRow, name: str = "net", input_shape: tuple[int, int, int] = (1, 28, 28)) -> Drawing:
    metadata = dataclasses.replace(make_metadata("bn25k"), architecture=name, layers=layers, input_shape=input_shape)
    drawing = layer_drawing(metadata, "slug")
    assert drawing is not None
    return drawing


def parse(drawing: Drawing) -> ET.Element:
    return ET.fromstring(drawing.svg)  # noqa: S314 - our own picture


def words(drawing: Drawing) -> list[list[str]]:
    """The lines below each box."""
    return [[text.text or "" for text in box.iter(f"{SVG}text")] for box in parse(drawing).iter(f"{SVG}g")]


def sizes(drawing: Drawing) -> list[tuple[float, float]]:
    return [(float(r.get("width", "0")), float(r.get("height", "0"))) for r in parse(drawing).iter(f"{SVG}rect")]


def test_boxes_bear_kind_shape_and_parameters_in_order() -> None:
    drawing = layer_drawing(make_metadata("lenet21k"), "x")
    assert drawing is not None
    assert words(drawing) == [
        ["Input", "1 × 28 × 28"],
        ["Conv2d", "10 × 24 × 24", "260 param."],
        ["Conv2d", "20 × 8 × 8", "5,020 param."],
        ["Linear", "50", "16,050 param."],
        ["Linear", "10", "510 param."],
    ]
    assert drawing.alt.startswith("Layers from input to output: Input 1 × 28 × 28, Conv2d 10 × 24 × 24, ")


def test_what_changes_neither_shape_nor_parameters_is_named_below() -> None:
    drawing = drawing_of(
        layer("Dropout", (1, 28, 28)),
        layer("Conv2d", (8, 26, 26), 80),
        layer("BatchNorm2d", (8, 26, 26), 16),
        layer("ReLU", (8, 26, 26)),
        layer("Dropout", (8, 26, 26)),
        layer("MaxPool2d", (8, 13, 13)),
    )
    assert words(drawing) == [
        ["Input", "1 × 28 × 28"],
        ["Dropout", "1 × 28 × 28"],
        ["Conv2d", "8 × 26 × 26", "80 param."],
        ["BatchNorm2d", "8 × 26 × 26", "16 param.", "+ ReLU, Dropout"],
        ["MaxPool2d", "8 × 13 × 13"],
    ]


def test_height_is_the_logarithm_of_the_map_and_width_of_the_channels() -> None:
    drawing = drawing_of(
        layer("Conv2d", (4, 32, 32), 9),
        layer("Conv2d", (16, 8, 8), 9),
        layer("Conv2d", (256, 2, 2), 9),
        layer("Linear", (1,), 9),
        input_shape=(1, 32, 32),
    )
    # Channels 1, 4, 16, 256 and 1 are 0, 1/4, 1/2, 1 and 0 of log2 256 = 8, from 5 to 60 units.
    assert [width for width, _ in sizes(drawing)] == [5.0, 18.8, 32.5, 60.0, 5.0]
    # Heights 32, 32, 8, 2 and 1 are 1, 1, 3/5, 1/5 and 0 of log2 32 = 5, from 7 to 62 units.
    assert [height for _, height in sizes(drawing)] == [62.0, 62.0, 40.0, 18.0, 7.0]


def test_rows_wrap_after_four_and_words_stay_large_on_a_phone() -> None:
    drawing = drawing_of(*(layer("Linear", (10 + k,), 1) for k in range(8)))
    root = parse(drawing)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    rows = sorted({float(r.get("y", "0")) + float(r.get("height", "0")) for r in root.iter(f"{SVG}rect")})
    assert len(rows) == 3  # nine boxes
    assert rows[-1] < height
    smallest = min(float(text.get("font-size", "0")) for text in root.iter(f"{SVG}text"))
    assert smallest * 360 / width >= 9
    assert max(float(text.get("x", "0")) for text in root.iter(f"{SVG}text")) < width


def test_boxes_are_coloured_by_family_and_words_as_the_page() -> None:
    drawing = drawing_of(layer("Conv2d", (8, 26, 26), 80), layer("MyOwnThing", (3,), 1))
    root = parse(drawing)
    fills = [rect.get("fill") for rect in root.iter(f"{SVG}rect")]
    assert fills == ["#808080", "#0173b2", "#949494"]  # the input, a convolution, something of its own
    assert root.get("fill") == "currentColor"
    assert not any(text.get("fill") for text in root.iter(f"{SVG}text"))
    assert "url(" not in drawing.svg
    assert "var(" not in drawing.svg


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a" onload="x', "'&amp;'", "\x1b[31m\nred\x00"])
def test_foreign_names_are_words_and_nothing_else(name: str) -> None:
    drawing = drawing_of(layer(name, (8, 26, 26), 80), layer(name, (8, 26, 26)), name=name)
    root = parse(drawing)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "style", "g", "rect", "path", "text",
    }  # fmt: skip
    assert set(root.attrib) == {"viewBox", "width", "height", "role", "aria-label", "fill", "style"}
    assert "\x1b" not in drawing.svg
    assert name.split(maxsplit=1)[0][:10].replace("\x1b", "\ufffd") in "".join(root.itertext())


def test_long_kinds_are_squeezed_then_cut_and_told_in_full_on_hovering() -> None:
    drawing = drawing_of(layer("AdaptiveAvgPool2d", (8, 1, 1)), layer("Q" * 50, (9, 1, 1)))
    squeezed, cut = (e for e in parse(drawing).iter(f"{SVG}text") if e.get("textLength"))
    assert squeezed.text == "AdaptiveAvgPool2d"
    assert cut.text == "Q" * 17 + "…"
    assert any("Q" * 50 in (title.text or "") for title in parse(drawing).iter(f"{SVG}title"))


def test_a_very_deep_net_is_cut_and_says_so() -> None:
    drawing = drawing_of(*(layer("Conv2d", (k, 9, 9), 1) for k in range(1, 101)))
    assert len(sizes(drawing)) == MOST_BOXES == 40
    assert "the first 39 boxes; 61 more in the table" in drawing.title


def test_the_drawing_stands_before_the_table_with_a_name_of_its_own() -> None:
    sections = layer_sections(make_study())[1:]
    assert [[type(block).__name__ for block in s.blocks] for s in sections] == [
        ["Prose", "Prose", "Drawing", "Table"]
    ] * 4
    drawings = [block for s in sections for block in s.blocks if isinstance(block, Drawing)]
    assert len({drawing.slug for drawing in drawings} | {s.slug for s in sections}) == 8
    assert drawings == [
        block for s in layer_sections(make_study())[1:] for block in s.blocks if isinstance(block, Drawing)
    ]


def test_a_net_without_known_layers_has_a_table_alone() -> None:
    metadata = dataclasses.replace(make_metadata("bn25k"), layers=())
    assert layer_drawing(metadata, "x") is None
    study = dataclasses.replace(make_study(), architectures={metadata.architecture_hash: metadata})
    assert isinstance(layer_sections(study)[1].blocks[-1], Table)
