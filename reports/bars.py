"""Bars in the cells of a table: an interval as a line, the value as a dot, on one scale for the whole column.

They repeat what the text of the cell says, so that they are hidden from those who hear a page.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from reports.document import Cell, Table

MARGIN = 4.0
"""Percent of the width that stay free at both ends, for the dot."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """What the left and the right end of a bar stand for."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """How far from the left a value stands; one beyond an end stands at that end."""
        if self.high == self.low:
            return 50.0
        share = (value - self.low) / (self.high - self.low)
        return MARGIN + (100 - 2 * MARGIN) * min(1.0, max(0.0, share))


def column_scales(table: Table) -> tuple[Scale | None, ...]:
    """The scale of each column: as wide as its finite values and ends of intervals; None where no cell has a bar."""
    return tuple(_scale([row[at] for row in table.all_rows]) for at in range(len(table.columns)))


def draw_bar(cell: Cell, scale: Scale | None) -> Markup:
    """The bar as SVG; nothing where the cell has no finite value with an interval."""
    if scale is None or not _has_bar(cell) or cell.value is None or cell.interval is None:
        return Markup("")
    low, high = (f"{scale.percent(end):.2f}%" for end in cell.interval)
    marks = [f'<line class="reach" x1="{low}" x2="{high}" y1="5" y2="5"/>']
    if scale.low < 0 < scale.high:
        zero = f"{scale.percent(0):.2f}%"
        marks.insert(0, f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="10"/>')
    marks.append(f'<circle cx="{scale.percent(cell.value):.2f}%" cy="5" r="3.2"/>')
    return Markup(f'<svg class="bar" aria-hidden="true" focusable="false">{"".join(marks)}</svg>')  # noqa: S704 - numbers only


def _scale(cells: list[Cell]) -> Scale | None:
    values = [
        number
        for cell in cells
        if _has_bar(cell)
        for number in (cell.value, *(cell.interval or ()))
        if number is not None and math.isfinite(number)
    ]
    return Scale(low=min(values), high=max(values)) if values else None


def _has_bar(cell: Cell) -> bool:
    if cell.value is None or cell.interval is None or not math.isfinite(cell.value):
        return False
    return not any(map(math.isnan, cell.interval))
