"""How the order changes with the target, along training and with the budget: one table each, all descriptive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.analysis.stability import Order, make_order, orders_along_training, orders_by_target
from bench.system.text import percent, plural
from reports.cells import MISSING, column, number_column, table_of, text_column
from reports.document import Cell, Prose, Section, Table, detail
from reports.sections.comparison import rank_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.analysis.conditions import Condition
    from bench.core.records import Study, TableKey
    from reports.cells import ColumnOf

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
    blocks: list[Prose | Table] = []
    if targets := orders_by_target(runs, study.curves):
        caption = "Order by restricted mean time to a validation accuracy, the quickest first"
        blocks.append(_table(targets, caption=caption, view="Target (%)", unit="epochs", reference=95))
    along = 0
    for probe, where in ((True, "on the fixed probe"), (False, "on all validation images")):
        if orders := orders_along_training(runs, study.curves, probe=probe):
            caption = f"Order along training by mean validation accuracy {where}"
            blocks.append(_table(orders, caption=caption, view="Epoch", unit="%"))
            along += 1
    if along:
        text = "With a schedule that anneals, an epoch half way is not a shorter run: this says who leads on the way."
        blocks.append(Prose(text))
    if not blocks:
        return None
    return detail("Rank stability", f"{condition.slug}-stability", Prose(_READ), *blocks)


def budget_sections(conditions: Sequence[Condition]) -> tuple[Section, ...]:
    """Order against budget, one section for each family of conditions that differ in nothing else."""
    families: dict[TableKey, list[Condition]] = {}
    for condition in conditions:
        if condition.budget and condition.budget.epochs is not None:
            families.setdefault(condition.family, []).append(condition)
    several = [sorted(of, key=_epochs) for of in families.values() if len(of) > 1]
    return tuple(_budget_section(of, number) for number, of in enumerate(several, 1))


def _budget_section(conditions: Sequence[Condition], number: int) -> Section:
    """Conditions that differ in the budget alone, the shortest first."""
    text = f"Each budget was trained on its own, {plural(len(conditions), 'budget')} in all."
    blocks: list[Prose | Table] = [Prose(text)]
    if orders := [order for condition in conditions if (order := _order(condition))]:
        blocks.append(Prose(_READ))
        blocks.append(_table(orders, caption="Order by mean test accuracy", view="Budget (epochs)", unit="%"))
    first = conditions[0]
    return Section(
        title=f"Order against budget: {first.title.replace(f', {first.budgets}', '')}",
        slug="budgets" if number == 1 else f"budgets-{number}",
        blocks=(*blocks, _accuracies(conditions)),
        detail=True,
    )


def _epochs(condition: Condition) -> int:
    return (condition.budget and condition.budget.epochs) or 0


def _order(condition: Condition) -> Order | None:
    return make_order(condition.accuracy.values, condition.accuracy.metric, at=_epochs(condition))


def _table(orders: Sequence[Order], *, caption: str, view: str, unit: str, reference: float | None = None) -> Table:
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

    return table_of(
        caption,
        orders,
        [
            column(view, lambda order: Cell(f"{order.at:g}", order.at)),
            text_column("Order", _order_text),
            number_column(f"Kendall's τ with {other.at:g}", lambda order: order.agreement(other), 2),
            *map(standing, sorted({name for order in orders for name in order.means})),
        ],
    )


def _order_text(order: Order) -> str:
    """The names, the best first: bn25k = fc3136, conv16k; means of nothing but whole budgets have no order."""
    return ", ".join(" = ".join(names) for names in order.tied) if order.reached else "none got there"


def _accuracies(conditions: Sequence[Condition]) -> Table:
    """Test accuracy and group by architecture and budget."""

    def accuracy(condition: Condition) -> ColumnOf[str]:
        means, groups = condition.accuracy.means, condition.accuracy.groups

        def cell(name: str) -> Cell:
            group = f" ({groups[name]})" if groups.get(name) else ""
            return Cell(f"{percent(means[name])}{group}", means[name]) if name in means else Cell(MISSING)

        return column(condition.budgets, cell)

    return table_of(
        "Test accuracy (%) and group by budget; those that share a letter in a column cannot be told apart",
        sorted({name for condition in conditions for name in condition.accuracy.means}),
        [text_column("Architecture", lambda name: name), *map(accuracy, conditions)],
    )
