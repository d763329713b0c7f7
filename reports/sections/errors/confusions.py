"""What nets take for what: heat maps of confusions, where two nets differ, and the pairs by name, with intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.analysis.errors import most_confused
from bench.analysis.verdicts import DECIDED
from bench.system.text import percent, signed
from reports.cells import MISSING, column, number_column, table_of, text_column
from reports.document import Cell, Figure, Heatmap, Prose, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from bench.analysis.errors import Answers, ConfusedPair
    from bench.analysis.verdicts import PairVerdict
    from reports.cells import ColumnOf
    from reports.document import Block
    from reports.sections.errors.images import LabelledImages

_MOST_CONFUSED = 5
_MOST_TIED = 5
"""Pairs beyond these that are shown because they tie with the last."""


def confusion_figure(label: str, rates: NDArray[np.float64], images: LabelledImages, *, slug: str) -> Figure:
    """One architecture's confusions, rates (classes, classes) by true class, as a heat map and a table."""
    highest = _highest(np.nan_to_num(rates), images)
    alt = f"{label} is always right."
    if highest:
        alt = f"Heat map of the answers of {label} by true class. Most often: {highest}."
    return _heatmap(slug, f"What {label} takes for what", alt, label, rates, images)


def difference_figure(
    pair: PairVerdict, rates: Mapping[str, NDArray[np.float64]], images: LabelledImages, *, slug: str, every: int
) -> list[Block]:
    """Where two architectures err differently.

    Args:
        pair: The two; one without a verdict only where no pair of the architectures shown has one.
        rates: Confusions of each architecture that is shown.
        images: The test set.
        slug: Name of the figure.
        every: Architectures in all: pairs with those that are not shown may have a verdict.
    """
    apart = rates[pair.a] - rates[pair.b]
    label, title = f"{pair.a} − {pair.b}", f"Where {pair.a} and {pair.b} err differently"
    more = [
        f"{who} more often takes {found}"
        for who, found in ((pair.a, _highest(apart, images)), (pair.b, _highest(-apart, images)))
        if found
    ]
    alt = f"Heat map of the answers of {pair.a} less those of {pair.b}. {'; '.join(more) or 'They do not differ'}."
    figure = _heatmap(slug, title, alt, label, apart, images, kind="diverging")
    why = f"The verdict on {pair.a} and {pair.b} stands above; here is where they differ."
    if pair.verdict not in DECIDED:
        among = f"of the {len(rates)} architectures shown" if every > len(rates) else "here"
        why = (
            f"No pair {among} has a verdict. {pair.a} and {pair.b} have the highest means"
            f"{' of them' if every > len(rates) else ''}, which does not make them best."
        )
    text = f"{why} A cell above zero is what {pair.a} says more often; single cells are not tested."
    return [Prose(text), figure]


def _heatmap(
    slug: str,
    title: str,
    alt: str,
    label: str,
    rates: NDArray[np.float64],
    images: LabelledImages,
    *,
    kind: Literal["sequential", "diverging"] = "sequential",
) -> Figure:
    """Rates by true class and class said, or differences of rates: of 10,000 images, none coloured on the diagonal."""
    numbers = range(len(images.classes))
    values = [[None if math.isnan(rate) else 10_000 * rate for rate in row] for row in rates.tolist()]

    def text(value: float | None) -> str:
        return "" if value is None else signed(value, 0) if kind == "diverging" else f"{value:,.0f}"

    panel = Heatmap(
        title=label,
        x_label="Said",
        y_label="True",
        rows=images.classes,
        columns=images.classes,
        values=tuple(tuple(None if true == said else values[true][said] for said in numbers) for true in numbers),
        texts=tuple(tuple(map(text, row)) for row in values),
        kind=kind,
        value_label="of 10,000 images of the class" if kind == "sequential" else "difference, of 10,000 images",
    )

    def said(answer: int) -> ColumnOf[int]:
        return column(
            f"Said {images.classes[answer]}",
            lambda true: Cell(text(values[true][answer]) or MISSING, values[true][answer]),
        )

    caption = f"{title}, of 10,000 images of the true class"
    columns = [text_column("True class", lambda true: images.classes[true]), *map(said, numbers)]
    table = table_of(caption, numbers, columns) if panel.lettered else _largest_table(caption, rates, images, text)
    return Figure(slug=slug, title=title, alt=alt, panels=(panel,), table=table)


_MOST_CELLS = 50
"""Cells of a heat map without words that the table behind it has."""


def _largest_table(
    caption: str, rates: NDArray[np.float64], images: LabelledImages, text: Callable[[float | None], str]
) -> Table:
    """The cells off the diagonal that are furthest from zero, in the place of a table of thousands."""
    off = np.where(np.eye(len(rates), dtype=bool), 0.0, np.nan_to_num(rates))
    there = int((off != 0).sum())
    cells = [divmod(int(cell), len(off)) for cell in np.argsort(-abs(off), axis=None, kind="stable")[:_MOST_CELLS]]
    which = (
        f"the {_MOST_CELLS} largest of {there:,} that are not zero" if there > _MOST_CELLS else "all that are not zero"
    )
    return table_of(
        f"{caption}; {which}",
        [cell for cell in cells if off[cell]],
        [
            text_column("True class", lambda cell: images.classes[cell[0]]),
            text_column("Said", lambda cell: images.classes[cell[1]]),
            column("Of 10,000", lambda cell: Cell(text(10_000 * off[cell]), 10_000 * float(off[cell]))),
        ],
    )


def _highest(rates: NDArray[np.float64], images: LabelledImages, most: int = 3) -> str:
    """The highest rates off the diagonal in words: 4 for 9 (95 of 10,000), 7 for 2 (31 of 10,000) and 2 more as often.

    Classes of different sizes and differences of rates tie but for the last digits, hence the rounding.
    """
    off = np.where(np.eye(len(rates), dtype=bool), 0.0, np.nan_to_num(rates)).round(12)
    cells = [divmod(int(cell), len(off)) for cell in np.argsort(-off, axis=None, kind="stable")[:most]]
    words = ", ".join(
        f"{images.named(true)} for {images.named(said)} ({10_000 * off[true, said]:,.0f} of 10,000)"
        for true, said in cells
        if off[true, said] > 0
    )
    lowest = off[cells[-1]]
    tied = int((off == lowest).sum()) - sum(off[cell] == lowest for cell in cells) if lowest > 0 else 0
    return f"{words} and {tied} more as often as the last" if tied else words


def confused_table(answers: Mapping[str, Answers], images: LabelledImages) -> Table:
    """The most confused pairs of each architecture, with intervals over seeds and images."""
    labels, classes = images.labels, images.classes
    rows = [
        (label, pair)
        for label, of in answers.items()
        for pair in most_confused(of, labels, classes=len(classes), most=_MOST_CONFUSED, tied=_MOST_TIED)
    ]
    return table_of(
        f"Most confused: the {_MOST_CONFUSED} highest rates of each architecture and those that tie with the "
        f"last, {_MOST_CONFUSED + _MOST_TIED} at most. Intervals are descriptive: "
        "they draw seeds and images again, are too narrow under ten seeds, with one seed speak of that model alone, "
        "and do not cover the luck of being among the highest",
        rows,
        [
            text_column("Architecture", lambda row: row[0]),
            column("True → said", lambda row: Cell(_arrow(row[1], images)), numeric=False),
            column("Of the true class (%)", lambda row: _rate_cell(row[1])),
            text_column("95 % interval (%)", lambda row: f"{percent(row[1].low, 1)} to {percent(row[1].high, 1)}"),
            number_column("Images a seed", lambda row: row[1].rate * int((labels == row[1].true).sum()), 1),
            number_column("Seeds", lambda row: len(answers[row[0]].seeds)),
        ],
    )


def _arrow(pair: ConfusedPair, images: LabelledImages) -> str:
    return f"{images.named(pair.true)} → {images.named(pair.said)}"


def _rate_cell(pair: ConfusedPair) -> Cell:
    return Cell(percent(pair.rate), 100 * pair.rate, (100 * pair.low, 100 * pair.high))
