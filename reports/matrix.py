"""Every pair's verdict as one picture: row against column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.stats.verdicts import BETTER, Verdict
from reports.charts import Heatmap
from reports.document import Cell, Column, Figure, Table
from reports.wording import signed

if TYPE_CHECKING:
    from bench.stats.comparison import Comparison
    from bench.stats.metrics import Metric
    from bench.stats.verdicts import PairVerdict
    from reports.conditions import Condition

MOST_ARCHITECTURES = 12
"""Of more, cells become too small for their words; the table of pairs has them all."""

_Words = tuple[str, float | None]
"""What stands in a cell, and what colours it."""


def verdict_figure(condition: Condition) -> Figure | None:
    """Verdicts on test accuracy as a matrix: the row is better than the column by so much, or worse, or neither.

    Args:
        condition: Whose pairs.

    Returns:
        The figure; None for fewer than three architectures, where a sentence says it, for more than
        `MOST_ARCHITECTURES`, and where no pair could be judged.
    """
    comparison = condition.accuracy
    names = sorted({name for pair in comparison.pairs for name in (pair.a, pair.b)})
    if not 3 <= len(names) <= MOST_ARCHITECTURES or all(p.verdict == Verdict.TOO_FEW_SEEDS for p in comparison.pairs):
        return None
    cells = _cells(comparison)
    empty: _Words = ("", None)
    grid = [[cells.get((row, column), empty) for column in names] for row in names]
    unit = comparison.metric.unit
    title = "Verdicts on all pairs: test accuracy of the row against the column"
    panel = Heatmap(
        title=title,
        x_label="… than this one",
        y_label="This one is …",
        rows=tuple(names),
        columns=tuple(names),
        values=tuple(tuple(value for _, value in row) for row in grid),
        texts=tuple(tuple(text for text, _ in row) for row in grid),
        kind="diverging",
        value_label=f"Difference where one is better ({unit})",
    )
    return Figure(
        slug=f"{condition.slug}-verdicts", title=title, alt=_alt(comparison), panels=(panel,), table=_table(panel, unit)
    )


def _cells(comparison: Comparison) -> dict[tuple[str, str], _Words]:
    """Words and colour by row and column, each pair both ways round."""
    cells = {}
    for pair in comparison.pairs:
        for sign, names in ((1, (pair.a, pair.b)), (-1, (pair.b, pair.a))):
            cells[names] = _words(pair, sign, comparison.metric)
    return cells


def _words(pair: PairVerdict, sign: int, metric: Metric) -> _Words:
    """One pair as its first (1) or its second (-1) sees it."""
    mean = None if pair.differences is None else sign * metric.scale * pair.differences.mean
    number = "" if mean is None else f"\n{signed(mean)}"
    if pair.verdict in BETTER:
        won = (pair.verdict == Verdict.A_BETTER) == (sign == 1)
        return ("better" if won else "worse") + number, mean
    if pair.verdict == Verdict.EQUIVALENT:
        return "equivalent" + number, 0.0
    if pair.verdict == Verdict.TOO_FEW_SEEDS:
        return "too few\nseeds", None
    return "undecided" + number, None


def _alt(comparison: Comparison) -> str:
    counts = {
        "decided for one of the two": sum(pair.verdict in BETTER for pair in comparison.pairs),
        "equivalent": sum(pair.verdict == Verdict.EQUIVALENT for pair in comparison.pairs),
        "undecided": sum(pair.verdict == Verdict.UNDECIDED for pair in comparison.pairs),
        "with too few seeds": sum(pair.verdict == Verdict.TOO_FEW_SEEDS for pair in comparison.pairs),
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"A matrix of all pairs, lettered in every cell: of {len(comparison.pairs)} pairs {said}."


def _table(panel: Heatmap, unit: str) -> Table:
    columns = (
        Column(name="Row against column", numeric=False),
        *(Column(name=name, numeric=False) for name in panel.columns),
    )
    rows = tuple(
        (Cell(text=name), *(Cell(text=text.replace("\n", " ")) for text in texts))
        for name, texts in zip(panel.rows, panel.texts, strict=True)
    )
    return Table(caption=f"Verdicts as a matrix; differences in {unit}, row − column", columns=columns, rows=rows)
