"""How numbers, judged differences and foreign text are worded, once for all writers, and how tables are declared."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Generic, TypeVar

from bench.system.text import number, one_line, percent, printable, signed
from reports.document import Cell, Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.analysis.metrics import Metric
    from bench.analysis.verdicts import PairVerdict

MISSING = "—"

Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnOf(Generic[Row]):
    """A column of a table about nouns of one kind: its head, and how a noun's cell in it is made."""

    head: Column
    cell: Callable[[Row], Cell]


def table_of(
    caption: str,
    rows: Iterable[Row],
    columns: Sequence[ColumnOf[Row]],
    *,
    total: tuple[Cell, ...] | None = None,
    rules: Sequence[int] = (),
) -> Table:
    """A table with one row for each of the nouns."""
    cells = tuple(tuple(column.cell(row) for column in columns) for row in rows)
    heads = tuple(column.head for column in columns)
    return Table(caption=caption, columns=heads, rows=cells, total=total, rules=tuple(rules))


def facts_table(caption: str, rows: Iterable[tuple[str, str]], *, value: str = "Value") -> Table:
    """A table of names and what is known under each; `value` is the header of the latter."""
    return table_of(caption, rows, [text_column("What", lambda row: row[0]), text_column(value, lambda row: row[1])])


def column(name: str, cell: Callable[[Row], Cell], *, numeric: bool = True, essential: bool = True) -> ColumnOf[Row]:
    """A column whose cells are made by a function of the row's noun; see `Column`."""
    return ColumnOf(head=Column(name=name, numeric=numeric, essential=essential), cell=cell)


def text_column(name: str, read: Callable[[Row], str], *, essential: bool = True) -> ColumnOf[Row]:
    """A column of texts."""
    return column(name, lambda row: text_cell(read(row)), numeric=False, essential=essential)


def number_column(
    name: str, read: Callable[[Row], float | None], digits: int = 0, *, factor: float = 1, essential: bool = True
) -> ColumnOf[Row]:
    """A column of numbers, shown as `factor` times what is read."""

    def cell(row: Row) -> Cell:
        value = read(row)
        return number_cell(None if value is None else factor * value, digits)

    return column(name, cell, essential=essential)


def percent_column(
    name: str, read: Callable[[Row], float | None], digits: int = 2, *, essential: bool = True
) -> ColumnOf[Row]:
    """A column of fractions in %."""
    return column(name, lambda row: percent_cell(read(row), digits), essential=essential)


def percent_cell(fraction: float | None, digits: int = 2) -> Cell:
    """A fraction in %, or a dash where there is none."""
    if fraction is None or not math.isfinite(fraction):
        return Cell(MISSING)
    return Cell(percent(fraction, digits), value=100 * fraction)


def number_cell(value: float | None, digits: int = 0) -> Cell:
    """A number with thousands separators; infinity is "never", nothing a dash."""
    if value is None or math.isnan(value):
        return Cell(MISSING)
    return Cell("never" if math.isinf(value) else number(value, digits), value=value)


def text_cell(text: str) -> Cell:
    """Foreign text on one line."""
    return Cell(one_line(text))


def difference_cell(pair: PairVerdict | None, metric: Metric) -> Cell:
    """The mean difference in the metric's unit, with its interval as a bar; a dash where nothing was judged."""
    if pair is None or pair.differences is None:
        return Cell(MISSING)
    mean = metric.scale * pair.differences.mean
    return Cell(signed(mean), value=mean, interval=_ends(pair, metric))


def difference_interval(pair: PairVerdict | None, metric: Metric) -> str:
    """The interval of the mean difference in words; a dash where there is none."""
    ends = _ends(pair, metric)
    return f"{signed(ends[0])} to {signed(ends[1])}" if ends else MISSING


def _ends(pair: PairVerdict | None, metric: Metric) -> tuple[float, float] | None:
    if pair is None or pair.low is None or pair.high is None:
        return None
    return metric.scale * pair.low, metric.scale * pair.high


def p_text(p: float) -> str:
    """A p to four places; one that would read as 0.0000 is below that."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def p_cell(p: float | None) -> Cell:
    """A p, or a dash where nothing was tested."""
    return Cell(MISSING) if p is None else Cell(p_text(p), value=p)


def levels_text(pairs: Iterable[PairVerdict]) -> str:
    """The levels of shown intervals: `95 %`, `95 to 99.17 %` where looks at the results differ; empty for no pair."""
    levels = sorted({f"{100 * pair.confidence:.4g}" for pair in pairs}, key=float)
    return f"{' to '.join([levels[0], *levels[1:][-1:]])} %" if levels else ""


_MOST_LINES = 20
"""Lines of a traceback that are shown."""


def last_lines(text: str) -> str:
    """The end of a traceback, line by line; none begins as GitHub's commands do."""
    lines = [printable(line) for line in text.splitlines()[-_MOST_LINES:]]
    return "\n".join(f" {line}" if line.startswith("::") else line for line in lines)
