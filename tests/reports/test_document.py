"""What the nouns of a document refuse on construction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reports.cells import ColumnOf, number_column, percent_column, table_of, text_column
from reports.document import Cell, Column, Document, Drawing, Gallery, Section, Table, Tile


@pytest.mark.parametrize(
    "tiles",
    [(), (np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)), (np.zeros((2, 2), np.float32),)],
    ids=["none", "sizes", "type"],
)
def test_a_gallery_of_unlike_tiles_is_refused(tiles: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="must be uint8 and of one size"):
        Gallery(slug="s", title="t", tiles=tuple(Tile(pixels=tile, caption="", alt="") for tile in tiles))


def test_a_total_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="Table 'Layers': a row of 1 cells, 2 columns"):
        Table(
            caption="Layers", columns=(Column(name="Layer"), Column(name="MACs")), rows=(), total=(Cell(text="Total"),)
        )


def test_sections_of_one_slug_are_refused() -> None:
    one, other, third = (Section(title=slug, slug=slug, blocks=()) for slug in ("speed", "errors", "layers"))
    with pytest.raises(ValueError, match=r"^Document 't': several sections have the slug errors, speed\.$"):
        Document(title="t", lead=(), sections=(one, other, third, one, other))


def test_pictures_of_one_slug_are_refused_whatever_their_kind() -> None:
    tile = Tile(pixels=np.zeros((2, 2), np.uint8), caption="", alt="")
    blocks = (
        Gallery(slug="tiles", title="Tiles", tiles=(tile,)),
        Drawing(slug="tiles", title="Drawn", alt="", svg="<svg/>"),
    )
    with pytest.raises(ValueError, match="several pictures have the slug tiles"):
        Document(title="t", lead=(), sections=(Section(title="s", slug="s", blocks=blocks),))


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 0 cells, 1 columns"):
        Table(caption="t", columns=(Column(name="a"),), rows=((),))


def test_a_table_is_its_columns_over_its_rows() -> None:
    columns: list[ColumnOf[tuple[str, int | None, float | None]]] = [
        text_column("Architecture", lambda row: row[0]),
        number_column("Seeds", lambda row: row[1], essential=False),
        percent_column("Right (%)", lambda row: row[2]),
    ]
    table = table_of("Seeds", [("a\nb", 1200, 0.5), ("c", None, None)], columns)
    assert [(column.name, column.numeric, column.essential) for column in table.columns] == [
        ("Architecture", False, True),
        ("Seeds", True, False),
        ("Right (%)", True, True),
    ]
    assert [[(cell.text, cell.value) for cell in row] for row in table.rows] == [
        [("a b", None), ("1,200", 1200), ("50.00", 50.0)],
        [("c", None), ("—", None), ("—", None)],
    ]
