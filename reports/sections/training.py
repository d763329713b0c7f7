"""How training went: learning curves, times to targets, and how the order changes on the way and with the budget."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from bench.analysis.ranking import Order, make_order, orders_along_training, orders_by_target
from bench.analysis.stats.estimates import estimate_time_to_target
from bench.core.records import TARGETS
from bench.system.text import percent, plural
from reports.cells import MISSING, column, number_cell, number_column, percent_column, table_of, text_column
from reports.document import Cell, Figure, Panel, Point, Prose, Section, Series, Table, detail
from reports.sections.comparison import rank_text
from reports.sections.verdicts.pairs import pair_table, verdict_sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.core.records import CurvePoint, Study, TableKey
    from reports.cells import ColumnOf
    from reports.document import Block

TABLE_ROWS = 20
"""Rows of one architecture in the table behind a chart; more are thinned evenly, the last one kept."""

FLOOR_PERCENT = 80.0
"""Validation accuracy, in %, from which the first epochs are drawn."""

_Curve: TypeAlias = "dict[float, tuple[int, Point]]"
"""Number of seeds and point, by epoch in order."""


class _Quantity(NamedTuple):
    """What is drawn of a curve point, and how it is worded."""

    title: str
    read: Callable[[CurvePoint], float | None]
    unit: str = "%"
    scale: float = 100
    digits: int = 2


def curves_sections(condition: Condition, study: Study, styles: Mapping[str, int]) -> tuple[Section, Section | None]:
    """Accuracy over the epochs; then, folded, loss and the first epochs on the validation probe, None without any.

    Runs that did not end ok are left out, and so is a figure without a single point.
    """
    smoothed = _label_smoothing(condition)
    train = _Quantity("Training accuracy", lambda point: point.train_accuracy)
    validation = _Quantity("Validation accuracy", lambda point: point.val_accuracy)
    # Validation loss is never of smoothed labels: the two must say of which they are.
    title = f"Training loss (labels smoothed by {smoothed})" if smoothed else "Training loss"
    train_loss = _Quantity(title, lambda point: point.train_loss, "nats", 1, 4)
    validation_loss = _Quantity("Validation loss", lambda point: point.val_loss, "nats", 1, 4)
    views = {
        ("accuracy", "Accuracy over the epochs", False): (train, validation),
        ("loss", "Loss over the epochs", False): (train_loss, validation_loss),
        ("first-epochs", "The first epochs, on the fixed probe of validation images", True): (validation,),
    }
    figures = [_curve_figure(condition, study, view, drawn, styles) for view, drawn in views.items()]
    figures = [figure for figure in figures if any(panel.series for panel in figure.panels)]
    text = "No run has stored a learning curve yet."
    if figures:
        text = (
            "Lines are means over the seeds that ended ok, bands reach from the lowest to the highest seed; a point "
            "that fewer than half of the seeds have is not drawn. Training accuracy is that of the images as they were "
            "trained on, during the epoch, and so can lie below validation accuracy."
        )
    if figures and smoothed:
        text += (
            f" Training loss is that of the labels trained on, smoothed by {smoothed}; validation loss is that of "
            "plain ones: the two must not be held against each other."
        )
    slug = f"{condition.slug}-curves"
    accuracy = [figure for figure in figures if figure.slug.endswith("-accuracy")]
    more = [figure for figure in figures if figure not in accuracy]
    first = detail("Learning curves", slug, *accuracy, *([] if figures else [Prose(text)]))
    gist = "How loss falls, who learns fastest in the first epochs, and how curves are drawn."
    return first, detail("Loss and first epochs", f"{slug}-more", Prose(text), *more, gist=gist) if figures else None


def _label_smoothing(condition: Condition) -> str:
    """The label smoothing of its runs, `0.1`, or `up to 0.1` where they have several; empty without any."""
    shares = {float(run.recipe.get("label_smoothing", 0.0)) for run in condition.records}
    return f"{'up to ' if len(shares) > 1 else ''}{max(shares):g}" if any(shares) else ""


def _curve_figure(
    condition: Condition,
    study: Study,
    view: tuple[str, str, bool],
    shown: Sequence[_Quantity],
    styles: Mapping[str, int],
) -> Figure:
    """Curves of a view: slug, title, and whether on the probe within epochs, else on all images at their ends."""
    slug, title, probe = view
    runs = {
        entry.label: [
            [point for point in study.curves.get(run.run_id, ()) if point.probe == probe] for run in entry.having("ok")
        ]
        for entry in condition.entries
    }
    curves = [(q, {label: _aggregate(of, q) for label, of in runs.items()}) for q in shown]
    # Where every net has climbed well above the floor, the first steps would flatten all else.
    ends = [[*curve.values()][-1][1].y for curve in curves[0][1].values() if curve] if probe else []
    floor = FLOOR_PERCENT if ends and min(ends) > FLOOR_PERCENT + 5 else None
    if floor is not None:
        title += f" (drawn from {floor:g} % up)"
    panels = tuple(
        Panel(
            title=quantity.title,
            x_label="Epochs",
            y_label=f"{quantity.title} ({quantity.unit})",
            series=tuple(
                Series(label=label, style=styles[label], points=tuple(point for _, point in curve.values()))
                for label, curve in drawn.items()
                if curve
            ),
            target=95.0 if probe else None,
            floor=floor,
        )
        for quantity, drawn in curves
    )
    what = " and ".join(quantity.title.lower() for quantity in shown)
    alt = f"{title}: {what} of {', '.join(runs)}; a line is the mean over seeds, its band reaches from the lowest to "
    alt += "the highest."
    table = _curve_table(title, curves)
    return Figure(slug=f"{condition.slug}-{slug}", title=title, alt=alt, panels=panels, table=table)


def _aggregate(runs: Sequence[Sequence[CurvePoint]], quantity: _Quantity) -> _Curve:
    """Mean and range at each epoch; epochs that fewer than half of the seeds have are left out."""
    at: dict[float, list[float]] = {}
    for point in (point for run in runs for point in run):
        value = quantity.read(point)
        if value is not None and math.isfinite(value):
            at.setdefault(round(point.epoch, 3), []).append(value)
    scale = quantity.scale  # scaled last, as tables do it: the same seeds then show the same digits everywhere
    return {
        epoch: (
            len(values),
            Point(x=epoch, y=scale * statistics.fmean(values), low=scale * min(values), high=scale * max(values)),
        )
        for epoch, values in sorted(at.items())
        if 2 * len(values) >= len(runs)
    }


def _curve_table(title: str, curves: Sequence[tuple[_Quantity, Mapping[str, _Curve]]]) -> Table:
    def columns_of(quantity: _Quantity, drawn: Mapping[str, _Curve]) -> list[ColumnOf[tuple[str, float]]]:
        def shown(row: tuple[str, float]) -> tuple[Cell, str]:
            if row[1] not in drawn[row[0]]:
                return Cell(MISSING), MISSING
            point, digits = drawn[row[0]][row[1]][1], quantity.digits
            return number_cell(point.y, digits), f"{point.low:.{digits}f} to {point.high:.{digits}f}"

        return [
            column(f"{quantity.title} ({quantity.unit})", lambda row: shown(row)[0]),
            text_column("Lowest to highest", lambda row: shown(row)[1]),
        ]

    def seeds(row: tuple[str, float]) -> int:
        label, epoch = row
        return max(drawn[label][epoch][0] for _, drawn in curves if epoch in drawn[label])

    def thinned(label: str) -> list[float]:
        epochs = sorted({epoch for _, drawn in curves for epoch in drawn[label]})
        return epochs[:: -math.ceil(len(epochs) / TABLE_ROWS) or -1][::-1]

    return table_of(
        f"{title}: mean over seeds, at most {TABLE_ROWS} points of a curve",
        [(label, epoch) for label in curves[0][1] for epoch in thinned(label)],
        [
            text_column("Architecture", lambda row: row[0]),
            column("Epochs", lambda row: Cell(f"{row[1]:g}", row[1])),
            number_column("Seeds", seeds),
            *(each for quantity, drawn in curves for each in columns_of(quantity, drawn)),
        ],
    )


def targets_section(condition: Condition) -> Section:
    """How long runs took to each target, and the verdicts on the epochs to 95 % where all had as many."""
    gist = "How long each net takes to 90, 95, 98 and 99 %, and who is there in fewer epochs."
    return detail("Time to target", f"{condition.slug}-targets", *_targets(condition), gist=gist)


def _targets(condition: Condition) -> Iterator[Block]:
    yield Prose(
        "A target is reached at the first of two passes in a row on validation images. A fixed probe of at "
        "most 1,000 of them is scored during the first two epochs, all of them at the end of every epoch. A run that "
        "diverged never got there; one that the budget ends at its first pass has not passed twice. A run that its own "
        "recipe stops at an accuracy has reached that one, and every lower target, at the evaluation that ended it."
    )
    estimates = [
        (entry.label, target, estimate_time_to_target(entry.records, target))
        for entry in condition.entries
        for target in TARGETS
    ]
    yield table_of(
        'Way to a validation accuracy; medians over seeds, "never" counted as infinite',
        estimates,
        [
            text_column("Architecture", lambda row: row[0]),
            percent_column("Target (%)", lambda row: row[1], 0),
            column("Runs that got there", lambda row: _reached_cell(row[2].reached, row[2].runs), numeric=False),
            number_column("Epochs", lambda row: row[2].epochs, 2),
            number_column("Training images", lambda row: row[2].images, essential=False),
        ],
    )
    times = condition.epochs_to_95
    if times.pairs and condition.budget and condition.budget.epochs is not None:
        yield Prose(
            f"Compared by the mean of the epochs to 95 %, a run that never got there counting as the whole budget of "
            f"{condition.budget}, by the rule of accuracy."
        )
        yield from verdict_sentences(times)
        yield pair_table(times, title="Epochs to 95 %")


def _reached_cell(reached: int, runs: int) -> Cell:
    return Cell(f"{reached} of {runs}", reached / runs if runs else None)


_READ = (
    "Orders by means, descriptive: only verdicts tell two architectures apart, whether or not their ranks overlap; = "
    "stands between equal means. Ranks are 95 % intervals over seeds, ties sharing the better rank. Kendall's τ (b) is "
    "1 where the order is that of the row it names, −1 where it is reversed."
)


def stability_section(condition: Condition, study: Study) -> Section | None:
    """Order against target and along training, from stored curves; None under two architectures or three seeds."""
    if condition.budget is None:  # unequal budgets share no horizon and no epoch
        return None
    runs = {entry.label: entry.records for entry in condition.entries}
    blocks: list[Block] = []
    if targets := orders_by_target(runs, study.curves):
        caption = "Order by restricted mean time to a validation accuracy, the quickest first"
        blocks.append(_order_table(targets, caption=caption, view="Target (%)", unit="epochs", reference=95))
    along = [
        _order_table(orders, caption=f"Order along training by mean validation accuracy {where}", view="Epoch")
        for probe, where in ((True, "on the fixed probe"), (False, "on all validation images"))
        if (orders := orders_along_training(runs, study.curves, probe=probe))
    ]
    text = "With a schedule that anneals, an epoch half way is not a shorter run: this says who leads on the way."
    blocks += [*along, Prose(text)] if along else []
    gist = "Whether the order of the nets depends on the accuracy aimed at and on when training stops."
    return detail("Rank stability", f"{condition.slug}-stability", Prose(_READ), *blocks, gist=gist) if blocks else None


def budget_sections(conditions: Sequence[Condition]) -> Iterator[Section]:
    """Order against budget, one section for each family of conditions that differ in nothing else."""
    families: dict[TableKey, list[tuple[int, Condition]]] = {}
    for condition in conditions:
        if condition.budget and condition.budget.epochs is not None:
            families.setdefault(condition.family, []).append((condition.budget.epochs, condition))
    several = [sorted(of, key=lambda each: each[0]) for of in families.values() if len(of) > 1]
    for number, by_epochs in enumerate(several, 1):
        first = by_epochs[0][1]
        yield Section(
            title=f"Order against budget: {first.title.replace(f', {first.budgets}', '')}",
            slug="budgets" if number == 1 else f"budgets-{number}",
            blocks=tuple(_budget_blocks(by_epochs)),
            detail=True,
            gist="Whether the order of the nets changes when all of them train longer.",
        )


def _budget_blocks(by_epochs: Sequence[tuple[int, Condition]]) -> Iterator[Block]:
    """Of conditions that differ in the budget alone, the shortest first."""
    what = by_epochs[0][1].metric.title
    yield Prose(f"Each budget was trained on its own, {plural(len(by_epochs), 'budget')} in all.")
    found = [make_order(c.accuracy.values, c.accuracy.metric, at=epochs) for epochs, c in by_epochs]
    if orders := [order for order in found if order]:
        yield Prose(_READ)
        yield _order_table(orders, caption=f"Order by mean {what.lower()}", view="Budget (epochs)")

    def accuracy(condition: Condition) -> ColumnOf[str]:
        means, groups = condition.accuracy.means, condition.accuracy.groups

        def cell(name: str) -> Cell:
            group = f" ({groups[name]})" if groups.get(name) else ""
            return Cell(f"{percent(means[name])}{group}", means[name]) if name in means else Cell(MISSING)

        return column(condition.budgets, cell)

    yield table_of(
        f"{what} (%) and group by budget; those that share a letter in a column cannot be told apart",
        sorted({name for _, condition in by_epochs for name in condition.accuracy.means}),
        [text_column("Architecture", lambda name: name), *(accuracy(condition) for _, condition in by_epochs)],
    )


def _order_table(
    orders: Sequence[Order], *, caption: str, view: str, unit: str = "%", reference: float | None = None
) -> Table:
    """One row a view: the order, its agreement with one of them, and each architecture's mean and rank interval."""
    other = next((order for order in orders if order.at == reference), orders[-1])
    scale = 100.0 if unit == "%" else 1.0

    def standing(name: str) -> ColumnOf[Order]:
        def cell(order: Order) -> Cell:
            mean, ranks = order.means.get(name), order.ranks.get(name)
            rank = "" if ranks is None else f" ({rank_text(ranks)})"
            shown = "" if mean is None else percent(mean) if unit == "%" else f"{mean:.2f}"
            return Cell(f"{shown}{rank}" or MISSING, None if mean is None else scale * mean)

        return column(f"{name}: mean ({unit}), rank", cell)

    def in_order(order: Order) -> str:
        """The names, the best first: bn25k = fc3136, conv16k; means of nothing but whole budgets have no order."""
        return ", ".join(" = ".join(names) for names in order.tied) if order.reached else "none got there"

    return table_of(
        caption,
        orders,
        [
            column(view, lambda order: Cell(f"{order.at:g}", order.at)),
            text_column("Order", in_order),
            number_column(f"Kendall's τ with {other.at:g}", lambda order: order.agreement(other), 2),
            *map(standing, sorted({name for order in orders for name in order.means})),
        ],
    )
