"""What is taken for what: heat maps of confusions, of one net and of the difference of two, and the pairs by name."""

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
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bench.analysis.errors import Answers, ConfusedPair
    from bench.analysis.verdicts import PairVerdict
    from reports.cells import ColumnOf
    from reports.document import Block
    from reports.sections.errors.galleries import LabelledImages

_MOST_CONFUSED = 5
_MOST_TIED = 5
"""Pairs beyond these that are shown because they tie with the last."""


def confusion_figure(label: str, rates: NDArray[np.float64], images: LabelledImages, *, slug: str) -> Figure:
    """One architecture's confusions, rates (classes, classes) by true class, as a heat map and a table."""
    texts = [["" if math.isnan(rate) else f"{10_000 * rate:,.0f}" for rate in row] for row in rates.tolist()]
    panel = _panel(label, rates, texts, images, kind="sequential", value_label="of 10,000 images of the class")
    title = f"What {label} takes for what"
    highest = _highest(np.nan_to_num(rates), images)
    alt = (
        f"Heat map of the answers of {label} by true class. Most often: {highest}."
        if highest
        else f"{label} is always right."
    )
    return Figure(slug=slug, title=title, alt=alt, panels=(panel,), table=_rates_table(title, rates, texts, images))


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
    texts = [["" if math.isnan(rate) else signed(10_000 * rate, 0) for rate in row] for row in apart.tolist()]
    label = f"{pair.a} − {pair.b}"
    panel = _panel(label, apart, texts, images, kind="diverging", value_label="difference, of 10,000 images")
    title = f"Where {pair.a} and {pair.b} err differently"
    more = [
        f"{who} more often takes {found}"
        for who, found in ((pair.a, _highest(apart, images)), (pair.b, _highest(-apart, images)))
        if found
    ]
    alt = f"Heat map of the answers of {pair.a} less those of {pair.b}. {'; '.join(more) or 'They do not differ'}."
    figure = Figure(slug=slug, title=title, alt=alt, panels=(panel,), table=_rates_table(title, apart, texts, images))
    why = f"The verdict on {pair.a} and {pair.b} stands above; here is where they differ."
    if pair.verdict not in DECIDED:
        among = f"of the {len(rates)} architectures shown" if every > len(rates) else "here"
        why = (
            f"No pair {among} has a verdict. {pair.a} and {pair.b} have the highest means"
            f"{' of them' if every > len(rates) else ''}, which does not make them best."
        )
    text = f"{why} A cell above zero is what {pair.a} says more often; single cells are not tested."
    return [Prose(text), figure]


def _panel(
    title: str,
    values: NDArray[np.float64],
    texts: list[list[str]],
    images: LabelledImages,
    *,
    kind: Literal["sequential", "diverging"],
    value_label: str,
) -> Heatmap:
    """Cells in images of 10,000, those on the diagonal without a colour."""
    return Heatmap(
        title=title,
        x_label="Said",
        y_label="True",
        rows=images.classes,
        columns=images.classes,
        values=tuple(
            tuple(None if row == column or np.isnan(value) else 10_000 * value for column, value in enumerate(of))
            for row, of in enumerate(values.tolist())
        ),
        texts=tuple(map(tuple, texts)),
        kind=kind,
        value_label=value_label,
    )


def _rates_table(title: str, values: NDArray[np.float64], texts: list[list[str]], images: LabelledImages) -> Table:
    def said(answer: int) -> ColumnOf[int]:
        def cell(true: int) -> Cell:
            value = float(values[true, answer])
            return Cell(texts[true][answer] or MISSING, None if math.isnan(value) else 10_000 * value)

        return column(f"Said {images.classes[answer]}", cell)

    numbers = range(len(images.classes))
    return table_of(
        f"{title}, of 10,000 images of the true class",
        numbers,
        [text_column("True class", lambda true: images.classes[true]), *map(said, numbers)],
    )


def _highest(rates: NDArray[np.float64], images: LabelledImages, most: int = 3) -> str:
    """The highest rates off the diagonal in words: 4 for 9 (95 of 10,000), 7 for 2 (31 of 10,000) and 2 more as often.

    Classes of different sizes and differences of rates tie but for the last digits, hence the rounding.
    """
    off = np.where(np.eye(len(rates), dtype=bool), 0.0, np.nan_to_num(rates)).round(12)
    cells = [divmod(int(cell), len(off)) for cell in np.argsort(-off, axis=None, kind="stable")[:most]]
    words = ", ".join(
        f"{images.classes[true]} for {images.classes[said]} ({10_000 * off[true, said]:,.0f} of 10,000)"
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
            text_column("True → said", lambda row: f"{classes[row[1].true]} → {classes[row[1].said]}"),
            column("Of the true class (%)", lambda row: _rate_cell(row[1])),
            text_column("95 % interval (%)", lambda row: f"{percent(row[1].low, 1)} to {percent(row[1].high, 1)}"),
            number_column("Images a seed", lambda row: row[1].rate * int((labels == row[1].true).sum()), 1),
            number_column("Seeds", lambda row: len(answers[row[0]].seeds)),
        ],
    )


def _rate_cell(pair: ConfusedPair) -> Cell:
    return Cell(percent(pair.rate), 100 * pair.rate, (100 * pair.low, 100 * pair.high))
