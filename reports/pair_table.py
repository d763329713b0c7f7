"""Every pair of a comparison as a table: verdict, difference with its interval, p, effect, seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.stats.verdicts import BETTER, PairVerdict, Verdict
from reports.document import Cell, Column, Table
from reports.judged import difference_cells, levels_text, p_cell
from reports.wording import MISSING, number_cell, signed

if TYPE_CHECKING:
    from bench.stats.comparison import Comparison
    from bench.stats.metrics import Metric
    from bench.stats.paired import PairedDifferences


def pair_table(comparison: Comparison, *, title: str) -> Table:
    """One row a pair: verdict, difference with its interval, p, effect, seeds."""
    metric = comparison.metric
    images = (Column(name="Images of 10,000", essential=False),) if metric.unit == "pp" else ()
    columns = (
        Column(name="A against B", numeric=False),
        Column(name="Verdict", numeric=False),
        Column(name=f"A − B ({metric.unit})"),
        Column(name=f"Interval ({metric.unit})", numeric=False),
        *images,
        Column(name="Matters", numeric=False, essential=False),
        Column(name="More seeds"),
        Column(name="Seeds", essential=False),
        Column(name=f"Found in 80 % ({metric.unit})", essential=False),
        Column(name="p (ranks, Holm)", essential=False),
        Column(name="p (sign flips)", essential=False),
        Column(name="Seeds with A ahead, 95 %", numeric=False, essential=False),
    )
    rows = tuple(_pair_row(pair, metric) for pair in comparison.pairs)
    caption = f"{title}: verdicts on all pairs; intervals at {levels_text(comparison.pairs)}; {_RULE}"
    return Table(caption=caption, columns=columns, rows=rows)


_RULE = (
    "one is better where p (ranks, Holm; borne out by signs or t where standard deviations differ threefold) is below "
    "5 %, or the level of its look, and p (sign flips) below 5 % as well; the intervals of the mean difference "
    "(Student's t, Bonferroni) do not decide who is better"
)
"""What a pair must show before one of the two is called better."""


def _pair_row(pair: PairVerdict, metric: Metric) -> tuple[Cell, ...]:
    found = pair.differences
    images = (_images_cell(found),) if metric.unit == "pp" else ()
    effect = MISSING
    if found is not None:
        share, low, high = found.superiority
        if not metric.higher_is_better:
            share, low, high = 1 - share, 1 - high, 1 - low
        effect = f"{share:.2f} ({low:.2f} to {high:.2f})"
    more = pair.more_seeds
    undecided = pair.verdict == Verdict.UNDECIDED and more is None and not pair.never
    return (
        Cell(text=f"{pair.a} − {pair.b}"),
        Cell(text=_worded(pair)),
        *difference_cells(pair, metric),
        *images,
        Cell(text=_matters_text(pair)),
        Cell(text="> 1,000") if undecided else number_cell(more),
        number_cell(pair.n),
        number_cell(None if pair.detectable is None else metric.scale * pair.detectable, 2),
        p_cell(pair.p_holm),
        p_cell(found.p_flips if found is not None and pair.p is not None else None),
        Cell(text=effect),
    )


def _images_cell(found: PairedDifferences | None) -> Cell:
    """The mean difference in images of 10,000."""
    if found is None:
        return Cell(text=MISSING)
    return Cell(text=signed(10_000 * found.mean, 0), value=10_000 * found.mean)


def _matters_text(pair: PairVerdict) -> str:
    """Whether a better one's lead is beyond the margin, within it, or the interval holds both."""
    if pair.verdict not in BETTER:
        return MISSING
    return {True: "yes", False: "too small", None: "open"}[pair.matters]


def _worded(pair: PairVerdict) -> str:
    """The verdict with the winner's name."""
    if pair.verdict in BETTER:
        name = pair.a if pair.verdict == Verdict.A_BETTER else pair.b
        return f"{name} better{' on typical seeds alone' if pair.typical_only else ''}"
    if pair.never:
        return "undecided (neither got there)"
    return pair.verdict.value
