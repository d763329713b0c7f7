"""Parquet files: read by pyarrow, where it is installed, some rows at a time."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import DataError, reason
from bench.data.own.table.rows import CELLS, Block, name_column, refuse_pixel
from bench.system.files import open_regular
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from bench.data.own.table.columns import Columns


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParquetTable:
    """A Parquet file (a `bench.data.own.table.rows.Table`).

    Attributes:
        path: The file.
        names: Of the columns.
        length: How many rows there are.
        unit: What messages call one.
    """

    path: Path
    names: Sequence[str]
    length: int
    unit: str = "row"

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.names)

    def read_blocks(self, columns: Columns) -> Iterator[Block]:
        """All rows in order, numbered from 1.

        Raises:
            DataError: A column of pixels holds no numbers or lacks one, or the file cannot be read.
        """
        number = 1
        with _open(self.path) as file:
            for batch in file.iter_batches(batch_size=max(1, CELLS // self.width)):
                numbers = range(number, number + batch.num_rows)
                pixels = [self._read_pixels(batch.column(place), place, number) for place in columns.pixels]
                texts = {place: [_spell(value) for value in batch.column(place).to_pylist()] for place in columns.texts}
                yield Block(numbers, np.column_stack(pixels), texts)
                number += batch.num_rows

    def _read_pixels(self, column: Any, place: int, first: int) -> npt.NDArray[Any]:
        origin = printable(str(self.path))
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise refuse_pixel(self, first + row, place, "", origin)
        values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        if values.dtype.kind not in "iuf":
            raise DataError(
                f"'{origin}': {name_column(self, place)} holds {column.type}, no pixels; a column a pixel, of numbers "
                "from 0 to 255, is needed."
            )
        return values


def open_parquet(path: Path) -> ParquetTable:
    """Read what a Parquet file says of itself.

    Raises:
        DataError: pyarrow is not installed, the file cannot be read, or there is no row in it.
    """
    with _open(path) as file:
        table = ParquetTable(path=path, names=list(file.schema_arrow.names), length=file.metadata.num_rows)
    if not table.length:
        raise DataError(f"'{printable(str(path))}' has no row; a row for each image is needed.")
    return table


def _spell(value: object) -> str:
    return "" if value is None else str(value).strip()


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Any]:
    origin = printable(str(path))
    try:
        import pyarrow as pa  # noqa: PLC0415 - only this format needs it
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise DataError(
            f"'{origin}': Parquet needs the package 'pyarrow', which is not installed; pip install pyarrow."
        ) from None
    try:
        with open_regular(path) as file, pq.ParquetFile(file) as opened:
            yield opened
    except OSError as fault:
        why = reason(fault) if fault.strerror else printable(str(fault).partition("\n")[0])
        raise DataError(f"Cannot read '{origin}': {why}. Check the file and its permissions.") from None
    except pa.ArrowException as fault:
        why = printable(str(fault).partition("\n")[0])
        raise DataError(f"'{origin}' is no Parquet file, or is damaged ({why}); save it again.") from None
