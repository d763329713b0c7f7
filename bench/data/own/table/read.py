"""Reads a table into images: their pixels into one file, their labels, parts and groups beside them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.core.errors import DataError
from bench.data.own.arrays.divide import GivenPart, make_parts
from bench.data.own.arrays.images import Named
from bench.data.own.parts import PART_WORDS, make_scratch
from bench.data.own.table.columns import choose_columns
from bench.data.own.table.csv_file import open_csv
from bench.data.own.table.parquet import open_parquet
from bench.data.own.table.rows import CELLS, MOST_CELLS, check_block
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from bench.core.reading import ReadingOptions
    from bench.data.own.parts import Parts, Watch
    from bench.data.own.table.columns import Columns
    from bench.data.own.table.rows import Table


class _Content(NamedTuple):
    """A table that was read.

    Attributes:
        pixels: (N, P) uint8, or float32 where some have fractions.
        numbers: Of its rows, for people, N.
        labels: As they are written, N.
        groups: Likewise; None where nothing is asked for.
        parts: Likewise; None where nothing is told.
    """

    pixels: npt.NDArray[Any]
    numbers: list[int]
    labels: list[str]
    groups: list[str] | None
    parts: list[str] | None


def list_files(path: Path) -> Sequence[Path]:
    """The file alone."""
    return [path]


def read_table(path: Path, reading: ReadingOptions, watch: Watch) -> Parts:
    """The images of a CSV or Parquet file, a row each; `choose_columns` says what its columns are.

    Args:
        path: The file, `.csv`, `.csv.gz` or `.parquet`.
        reading: How it is read: `group_by` names a column, `image_size` may tell the shape.
        watch: Is told how many rows are done, and of how many.

    Raises:
        DataError: The file cannot be read, a row is damaged (it is named), or what it holds is no images and labels.
    """
    origin = printable(str(path))
    table: Table = open_parquet(path) if path.name.lower().endswith(".parquet") else open_csv(path)
    if table.length * table.width > MOST_CELLS:
        raise DataError(f"'{origin}' has more than {MOST_CELLS:,} cells; smaller images or fewer can be read.")
    columns = choose_columns(table.names, table.width, reading, origin)
    content = _read(table, columns, origin, watch, np.dtype(np.uint8))
    if content is None:
        content = _read(table, columns, origin, watch, np.dtype(np.float32))
    assert content is not None  # noqa: S101 - float32 takes every pixel
    return _divide(table, content, columns, origin=origin, reading=reading)


def _read(table: Table, columns: Columns, origin: str, watch: Watch, kind: np.dtype[Any]) -> _Content | None:
    """All rows; None where pixels have fractions and `kind` has none."""
    width = len(columns.pixels)
    pixels = make_scratch((table.length * width * kind.itemsize,)).view(kind).reshape(table.length, width)
    numbers: list[int] = []
    texts: dict[int, list[str]] = {place: [] for place in columns.texts}
    for block in table.read_blocks(columns):
        check_block(table, block, columns, origin)
        if kind == np.uint8 and block.pixels.dtype.kind == "f" and (block.pixels != np.floor(block.pixels)).any():
            return None
        if len(numbers) + len(block.numbers) > table.length:
            break
        pixels[len(numbers) : len(numbers) + len(block.numbers)] = block.pixels
        numbers += block.numbers
        for place, values in block.texts.items():
            texts[place] += values
        watch(len(numbers), table.length)
    if len(numbers) < table.length:
        raise DataError(f"'{origin}' changed while it was read; run the command again.")
    groups, parts = (None if place is None else texts[place] for place in (columns.group, columns.part))
    return _Content(pixels, numbers, texts[columns.label], groups, parts)


def _divide(table: Table, content: _Content, columns: Columns, *, origin: str, reading: ReadingOptions) -> Parts:
    """Images (N, H, W) or (N, H, W, 3) of each part."""
    labels = _read_labels(content.labels)
    height, width, channels = columns.shape
    shape = (height, width) if channels == 1 else (height, width, channels)
    given = {}
    for part, rows in _find_parts(table, content, origin).items():
        images = content.pixels if rows is None else _take(content.pixels, rows)
        chosen = slice(None) if rows is None else rows
        groups = None if content.groups is None else np.array(content.groups)[chosen].tolist()
        of_part = f" of {part}" if rows is not None else ""
        given[part] = GivenPart(
            images=Named(f"pixels{of_part}", images.reshape(-1, *shape)),
            labels=Named(f"labels{of_part}", labels[chosen]),
            groups=groups,
        )
    return make_parts(
        origin=origin,
        reading=reading,
        pool=given["train"],
        validation=given.get("val"),
        test=given.get("test"),
        notes=columns.notes,
    )


def _find_parts(table: Table, content: _Content, origin: str) -> dict[str, npt.NDArray[np.int64] | None]:
    """The rows of each part; of the only one, where nothing is told, None for all."""
    if content.parts is None:
        return {"train": None}
    words = [PART_WORDS.get(word.lower(), "") for word in content.parts]
    if "" in words:
        row = words.index("")
        raise DataError(
            f"'{origin}', {table.unit} {content.numbers[row]}: the part is '{printable(content.parts[row])}'; train, "
            "val or test is needed."
        )
    if "train" not in words:
        raise DataError(f"'{origin}' has no {table.unit} of part train; some images are needed to train on.")
    return {part: np.flatnonzero(np.array(words) == part) for part in ("train", "val", "test") if part in words}


def _read_labels(texts: list[str]) -> npt.NDArray[Any]:
    """Labels as whole numbers where all of them are (`3`, `3.0`), else as they are written."""
    if all(re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", text, re.ASCII) for text in set(texts)):
        return np.array([int(text.partition(".")[0]) for text in texts], dtype=np.int64)
    return np.array(texts)


def _take(pixels: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Some rows, in a file of their own, so that memory stays free."""
    width = pixels.shape[1]
    found = make_scratch((len(rows) * width * pixels.itemsize,)).view(pixels.dtype).reshape(len(rows), width)
    step = max(1, CELLS // width)
    for start in range(0, len(rows), step):
        found[start : start + step] = pixels[rows[start : start + step]]
    return found
