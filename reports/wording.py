"""How numbers and foreign text are worded in cells."""

from __future__ import annotations

import math

from bench.text import one_line
from bench.wording import number, percent
from reports.document import Cell

MISSING = "—"


def percent_cell(fraction: float | None, digits: int = 2) -> Cell:
    """A fraction in %, or a dash where there is none."""
    if fraction is None or not math.isfinite(fraction):
        return Cell(text=MISSING)
    return Cell(text=percent(fraction, digits), value=100 * fraction)


def number_cell(value: float | None, digits: int = 0) -> Cell:
    """A number with thousands separators; infinity is "never", nothing a dash."""
    if value is None or math.isnan(value):
        return Cell(text=MISSING)
    return Cell(text="never" if math.isinf(value) else number(value, digits), value=value)


def text_cell(text: str) -> Cell:
    """Foreign text on one line."""
    return Cell(text=one_line(text))
