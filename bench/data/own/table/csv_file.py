"""CSV files, also compressed: read by pandas, some lines at a time, after the columns of each line were counted."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import gzip
import io
import itertools
import zlib
from typing import TYPE_CHECKING

from bench.core.errors import DataError, reason
from bench.data.own.table.columns import LABELS
from bench.data.own.table.rows import CELLS, MOST_CELLS, Block, refuse_pixel
from bench.system.files import open_regular
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.data.own.table.columns import Columns

_MOST_CHARACTERS = 1 << 26
"""Of a line; one of 4,096×4,096 grey pixels has no more."""
_DELIMITERS = ",;\t"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CsvTable:
    """A CSV file whose lines all have so many columns (a `bench.data.own.table.rows.Table`).

    Attributes:
        path: The file.
        delimiter: What stands between two cells.
        names: Of the columns; None without a header.
        width: How many columns each line has.
        length: How many lines there are below the header, blank ones left out.
        unit: What messages call a row.
    """

    path: Path
    delimiter: str
    names: Sequence[str] | None
    width: int
    length: int
    unit: str = "line"

    def read_blocks(self, columns: Columns) -> Iterator[Block]:
        """All lines below the header in order.

        Raises:
            DataError: A pixel is no number, or the file cannot be read.
        """
        with _open_lines(self.path) as lines:
            below = lines if self.names is None else itertools.islice(lines, 1, None)
            while some := list(itertools.islice(below, max(1, CELLS // self.width))):
                yield self._parse(some, columns)

    def _parse(self, lines: Sequence[tuple[int, str]], columns: Columns) -> Block:
        import pandas as pd  # noqa: PLC0415 - takes long to import

        frame = pd.read_csv(
            io.StringIO("".join(line for _, line in lines)),
            sep=self.delimiter,
            header=None,
            index_col=False,
            na_filter=False,
            skip_blank_lines=False,
            low_memory=False,
            dtype=dict.fromkeys(columns.texts, str),
        )
        pixels = frame[list(columns.pixels)].to_numpy()
        if pixels.dtype.kind not in "iuf":
            raise self._refuse(lines, columns)
        texts = {place: [text.strip() for text in frame[place].tolist()] for place in columns.texts}
        return Block([number for number, _ in lines], pixels, texts)

    def _refuse(self, lines: Sequence[tuple[int, str]], columns: Columns) -> DataError:
        """What is said of the first cell that is no number."""
        origin = printable(str(self.path))
        for number, line in lines:
            cells = _split(line, self.delimiter)
            for place in columns.pixels:
                if not (_is_number(cells[place]) and 0 <= float(cells[place]) <= 255):
                    return refuse_pixel(self, number, place, cells[place], origin)
        first, last = lines[0][0], lines[-1][0]
        return DataError(f"'{origin}', lines {first} to {last}: not all pixels are numbers from 0 to 255.")


def open_csv(path: Path) -> CsvTable:
    """Look through a CSV file: its header, and whether each line has as many columns as the first.

    A first line of nothing but numbers is no header, nor is one of numbers behind a class that is a word. Cells are
    told apart by commas, semicolons or tabs, whichever the first line has most of.

    Raises:
        DataError: It cannot be read, is no text, is empty, or a line has too many columns or too few.
    """
    origin = printable(str(path))
    with _open_lines(path) as lines:
        number, first = next(lines, (0, ""))
        if not number:
            raise DataError(f"'{origin}' is empty; a line for each image is needed.")
        delimiter = max(_DELIMITERS, key=first.count)
        cells = _split(first, delimiter)
        width, names = len(cells), [cell.strip() for cell in cells] if _is_header(cells) else None
        length = 1 if names is None else 0
        for number, line in lines:
            found = len(_split(line, delimiter)) if '"' in line else line.count(delimiter) + 1
            if found != width:
                raise DataError(
                    f"'{origin}', line {number} has {found:,} columns, the first has {width:,}; mend that line."
                )
            length += 1
            if length * width > MOST_CELLS:
                raise DataError(f"'{origin}' has more than {MOST_CELLS:,} cells; smaller images or fewer can be read.")
    if not length:
        raise DataError(f"'{origin}' has a header and no line below it; a line for each image is needed.")
    return CsvTable(path=path, delimiter=delimiter, names=names, width=width, length=length)


def _is_header(cells: Sequence[str]) -> bool:
    numbers = [_is_number(cell) for cell in cells]
    if len(cells) > 1 and all(numbers[1:]):
        return cells[0].strip().lower() in LABELS  # as pandas writes columns without names: label,0,1,2,…
    return not all(numbers)


def _split(line: str, delimiter: str) -> list[str]:
    """The cells of a line; none where its quotes do not close."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which only Python takes


@contextlib.contextmanager
def _open_lines(path: Path) -> Iterator[Iterator[tuple[int, str]]]:
    """The lines of a file that are not blank, each with its number; what is wrong with it becomes a DataError."""
    origin = printable(str(path))
    try:
        with open_regular(path) as file:
            stream = gzip.GzipFile(fileobj=file) if path.name.lower().endswith(".gz") else file
            with io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
                yield _number_lines(text, origin)
    except UnicodeDecodeError as fault:
        raise DataError(f"'{origin}' is no UTF-8 text ({fault.reason}); save it as CSV in UTF-8.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise DataError(f"'{origin}' is damaged ({printable(str(fault))}); compress it again.") from None
    except OSError as fault:
        raise DataError(f"Cannot read '{origin}': {reason(fault)}. Check the file and its permissions.") from None


def _number_lines(text: io.TextIOWrapper, origin: str) -> Iterator[tuple[int, str]]:
    number = 0
    while line := text.readline(_MOST_CHARACTERS):
        number += 1
        if len(line) == _MOST_CHARACTERS:
            raise DataError(f"'{origin}', line {number} has {_MOST_CHARACTERS:,} characters or more; is it a table?")
        if line.strip():
            yield number, line
