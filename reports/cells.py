"""How numbers, judged differences and foreign text are worded, once for all writers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.system.text import number, one_line, percent, signed
from reports.document import Cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.analysis.metrics import Metric
    from bench.analysis.verdicts import PairVerdict

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


def difference_cells(pair: PairVerdict | None, metric: Metric) -> tuple[Cell, Cell]:
    """The mean difference, with its interval as a bar, and the interval in words; dashes where there is none.

    Args:
        pair: What was judged; None where nothing was.
        metric: On what, which gives the unit.
    """
    interval, ends = MISSING, None
    if pair and pair.low is not None and pair.high is not None:
        ends = (metric.scale * pair.low, metric.scale * pair.high)
        interval = f"{signed(ends[0])} to {signed(ends[1])}"
    if pair is None or pair.differences is None:
        return Cell(text=MISSING), Cell(text=interval)
    mean = metric.scale * pair.differences.mean
    return Cell(text=signed(mean), value=mean, interval=ends), Cell(text=interval)


def p_text(p: float) -> str:
    """A p to four places; one that would read as 0.0000 is below that."""
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def p_cell(p: float | None) -> Cell:
    """A p, or a dash where nothing was tested."""
    return Cell(text=MISSING) if p is None else Cell(text=p_text(p), value=p)


def levels_text(pairs: Iterable[PairVerdict]) -> str:
    """The levels of shown intervals: `95 %`, `95 to 99.17 %` where looks at the results differ; empty for no pair."""
    levels = sorted({f"{100 * pair.confidence:.4g}" for pair in pairs}, key=float)
    return f"{' to '.join([levels[0], *levels[1:][-1:]])} %" if levels else ""
