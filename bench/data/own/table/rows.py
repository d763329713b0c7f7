"""Rows of a table, some at a time: what every kind of table gives, and what every pixel must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from bench.core.errors import DataError
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from bench.data.own.table.columns import Columns

CELLS = 1 << 22
"""So many at a time."""
MOST_CELLS = 1 << 33
_MOST_CHARACTERS = 1_000
"""Of a label."""


class Block(NamedTuple):
    """Rows that follow each other.

    Attributes:
        numbers: Of each row, for people (B,): its line in a file.
        pixels: (B, P), numbers of any kind.
        texts: By the place of a column, B texts.
    """

    numbers: Sequence[int]
    pixels: npt.NDArray[Any]
    texts: Mapping[int, Sequence[str]]


class Table(Protocol):
    """A table that is open for reading, its header known."""

    @property
    def unit(self) -> str:
        """What a row is called: a line, or a row."""

    @property
    def names(self) -> Sequence[str] | None:
        """Of its columns, if they have any."""

    @property
    def width(self) -> int:
        """How many columns it has."""

    @property
    def length(self) -> int:
        """How many rows it has."""

    def read_blocks(self, columns: Columns) -> Iterator[Block]:
        """All rows in order; DataError where one of them is damaged."""


def name_column(table: Table, place: int) -> str:
    """A column for people."""
    return f"column {place + 1}" if table.names is None else f"column '{printable(table.names[place])}'"


def check_block(table: Table, block: Block, columns: Columns, origin: str) -> None:
    """Refuse a row by its number: with a pixel outside 0 to 255, or a text that is empty or no word.

    Raises:
        DataError: There is one.
    """
    is_pixel = (block.pixels >= 0) & (block.pixels <= 255)  # false for NaN
    if not is_pixel.all():
        row, place = np.argwhere(~is_pixel)[0]
        raise refuse_pixel(table, block.numbers[row], columns.pixels[place], str(block.pixels[row, place]), origin)
    for place, texts in block.texts.items():
        for number, text in zip(block.numbers, texts, strict=True):
            if not text or len(text) > _MOST_CHARACTERS:
                fault = f"has {len(text):,} characters" if text else "is empty"
                raise DataError(
                    f"'{origin}', {table.unit} {number}: {name_column(table, place)} {fault}; one word is needed."
                )


def refuse_pixel(table: Table, number: int, place: int, value: str, origin: str) -> DataError:
    """What is said of a value that is no pixel."""
    fault = f"is '{printable(value[:40])}'" if value.strip() else "is empty"
    return DataError(
        f"'{origin}', {table.unit} {number}: {name_column(table, place)} {fault}; pixels are numbers from 0 to 255."
    )
