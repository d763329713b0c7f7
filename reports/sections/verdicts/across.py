"""Several datasets beside each other: means and ranks of each net, and a verdict where there are enough of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.analysis.over_datasets import find_over_datasets, name_dataset
from bench.analysis.stats.across import critical_difference
from bench.system.text import listing, one_line, percent, plural, signed
from reports.cells import column, number_column, p_cell, table_of, text_column
from reports.document import Cell, Figure, Panel, Point, Prose, Section, Series

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.analysis.over_datasets import OverDatasets
    from bench.analysis.stats.across import PairOverDatasets
    from reports.cells import ColumnOf
    from reports.document import Block, Table


def across_sections(conditions: Sequence[Condition], styles: Mapping[str, int]) -> Iterator[Section]:
    """A section for each group of datasets on which the same nets were trained alike."""
    for number, over in enumerate(find_over_datasets(conditions), 1):
        yield Section(
            title=f"Across {plural(len(over.conditions), 'dataset')}",
            slug="across" if number == 1 else f"across-{number}",
            blocks=tuple(_blocks(over, styles, number)),
        )


def _blocks(over: OverDatasets, styles: Mapping[str, int], number: int) -> Iterator[Block]:
    yield Prose(_answer(over))
    yield _means_table(over)
    if over.pairs:
        yield _rank_figure(over, styles, number)
        yield _pair_table(over)


def _answer(over: OverDatasets) -> str:
    datasets, nets = plural(len(over.conditions), "dataset"), plural(len(over.nets), "net")
    if not over.pairs:
        return (
            f"{datasets} are too few for a verdict across datasets: with {nets} it takes {over.needed}, because each "
            "dataset counts once. Verdicts stand for each dataset by itself; mean ranks describe these datasets."
        )
    said = [
        f"{pair.better} is better than {pair.a if pair.better == pair.b else pair.b}"
        for pair in over.pairs
        if pair.better
    ]
    answer = one_line(f"Over {datasets} {listing(said)}." if said else f"Over {datasets} no net can be called better.")
    return (
        f"{answer} Each dataset counts once, by the mean over its seeds (Wilcoxon's signed ranks, Holm over "
        f"{plural(len(over.pairs), 'pair')}); it speaks of datasets like these, and at most one in twenty such tables "
        "calls anything better by luck."
    )


def _means_table(over: OverDatasets) -> Table:
    ranks = over.ranks

    def mean(condition: Condition) -> ColumnOf[str]:
        means, groups = condition.accuracy.means, condition.accuracy.groups

        def cell(net: str) -> Cell:
            group = f" ({groups[net]})" if groups.get(net) else ""
            return Cell(f"{percent(means[net])}{group}", means[net])

        return column(f"{one_line(name_dataset(condition))} (%)", cell)

    return table_of(
        f"{over.metric.title} on each dataset, means over seeds, with the group (those that share a letter in a column "
        "cannot be told apart), and ranks over datasets, 1 the best",
        sorted(over.nets, key=lambda net: ranks[net].mean),
        [
            text_column("Architecture", lambda net: net),
            number_column("Mean rank", lambda net: ranks[net].mean, 2),
            text_column("Best to worst", lambda net: f"{ranks[net].best:g} to {ranks[net].worst:g}"),
            number_column("Std. deviation", lambda net: ranks[net].deviation, 2),
            *map(mean, over.conditions),
        ],
    )


def _rank_figure(over: OverDatasets, styles: Mapping[str, int], number: int) -> Figure:
    """Mean ranks with half of Nemenyi's critical difference on either side."""
    half = critical_difference(len(over.nets), len(over.conditions)) / 2
    order = sorted(over.nets, key=lambda net: over.ranks[net].mean)
    series = tuple(
        Series(
            label=net,
            style=styles[net],
            points=(
                Point(
                    x=float(at),
                    y=over.ranks[net].mean,
                    low=over.ranks[net].mean - half,
                    high=over.ranks[net].mean + half,
                ),
            ),
        )
        for at, net in enumerate(order, 1)
    )
    title = f"Mean ranks over {plural(len(over.conditions), 'dataset')}"
    panel = Panel(
        title="",
        x_label="Nets, the best first",
        y_label="Mean rank (1 the best)",
        series=series,
        joined=False,
        named=True,
        x_ticks=tuple(range(1, len(order) + 1)),
    )
    ranks = listing([f"{net} {over.ranks[net].mean:.2f}" for net in order])
    return Figure(
        slug="ranks" if number == 1 else f"ranks-{number}",
        title=title,
        alt=one_line(f"{title}: {ranks}. Whiskers that do not overlap are told apart by Nemenyi's test."),
        panels=(panel,),
        table=table_of(
            f"{title}; nets whose ranks differ by more than {2 * half:.2f} are told apart by Nemenyi's test, which is "
            "drawn and not judged by",
            order,
            [
                text_column("Architecture", lambda net: net),
                number_column("Mean rank", lambda net: over.ranks[net].mean, 2),
            ],
        ),
    )


def _pair_table(over: OverDatasets) -> Table:
    def difference(pair: PairOverDatasets) -> Cell:
        value = over.metric.scale * pair.difference
        return Cell(signed(value), value)

    def verdict(pair: PairOverDatasets) -> str:
        return f"{pair.better} better" if pair.better else "undecided"

    return table_of(
        "Every pair over all datasets",
        over.pairs,
        [
            text_column("A", lambda pair: pair.a),
            text_column("B", lambda pair: pair.b),
            column("A − B, mean (pp)", difference),
            text_column("A ahead, behind", lambda pair: f"{pair.wins}, {pair.losses}"),
            column("p (Holm)", lambda pair: p_cell(pair.p_holm)),
            text_column("Verdict", verdict),
        ],
    )
