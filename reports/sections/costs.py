"""Accuracy against what it cost: every cost by itself, and the front over all of them."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING

from bench.analysis.conditions import setting_of
from bench.analysis.ranking import find_front
from bench.analysis.speeds import timing_noise
from bench.analysis.stats.estimates import AccuracyEstimate, estimate_accuracy, median_of
from bench.system.text import listing, one_line, percent
from reports.cells import MISSING, column, number_column, percent_column, table_of, text_column
from reports.document import Cell, Figure, Panel, Point, Prose, Section, Series, Table, warning
from reports.sections.comparison import accuracy_of, interval_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.conditions import Condition, Entry, Setting
    from bench.core.metadata import ArchitectureFacts, Timing
    from bench.core.records import Study
    from reports.cells import ColumnOf

LATENCY = "latency"
"""The kind of cost that only a quiet phase tells."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostFront:
    """What each architecture of a condition costs, and where that puts it.

    Attributes:
        costs: By label, then by kind: "params", "MACs" where those of all are counted and, where one quiet phase timed
            all, "latency" in seconds.
        dominated_by: By label; empty where no pair could be judged.
        noise: Ratio above 1 within which latencies are not told apart.
        uncounted: By label, what is known of architectures whose MACs leave out a product.
    """

    costs: Mapping[str, Mapping[str, float]]
    dominated_by: Mapping[str, Sequence[str]]
    noise: float = 1.0
    uncounted: Mapping[str, ArchitectureFacts] = dataclasses.field(default_factory=dict)

    @property
    def has_latency(self) -> bool:
        """Whether latency is one of the costs."""
        return any(LATENCY in costs for costs in self.costs.values())


def find_cost_front(condition: Condition, study: Study) -> CostFront:
    """The costs of a condition's architectures, and who is confidently dominated."""
    timings = _one_phase(condition, study)
    noise = timing_noise(timings.values(), 1) if timings else 1.0
    known = {entry.label: study.architectures.get(entry.architecture_hash) for entry in condition.entries}
    uncounted = {label: facts for label, facts in known.items() if facts and facts.uncounted_products}
    costs = {entry.label: _costs(entry, with_macs=not uncounted) for entry in condition.entries}
    for label, timing in timings.items():
        # Of the blocks, which are interleaved and whose noise is known.
        costs[label][LATENCY] = statistics.median(timing.seconds_per_batch[1])
    judged = bool(condition.accuracy.groups)
    dominated_by = find_front(costs, condition.accuracy.pairs, noise={LATENCY: noise}) if judged else {}
    return CostFront(costs=costs, dominated_by=dominated_by, noise=noise, uncounted=uncounted)


def uncounted_note(front: CostFront) -> Prose | None:
    """Whose MACs are not all counted, and what that means for all; None where those of all are."""
    said = []
    for label, facts in front.uncounted.items():
        names = listing(list(facts.uncounted_products))
        if facts.declared_macs:
            counted = facts.macs - facts.declared_macs
            text = f"{label}: its file declares {facts.macs:,} MACs, of which {counted:,} are counted and "
            said.append(f"{text}{facts.declared_macs:,} are not ({names})")
        else:
            said.append(f"{label}: more than the {facts.macs:,} MACs that are counted, without {names}")
    if not said:
        return None
    text = f"{'; '.join(said)}. So MACs are no cost here by which any architecture is held against another."
    return warning(one_line(text))


def front_section(condition: Condition, front: CostFront) -> Section | None:
    """Who is dominated; None where no pair could be judged."""
    if not front.dominated_by:
        return None
    kinds = ["parameters", *([] if front.uncounted else ["MACs"])]
    if front.has_latency:
        noise = percent(front.noise - 1, 1)
        kinds.append(f"latency at batch 1 (a pass, median of repeats, within its noise of {noise} %)")
    text = (
        f"Costs are {listing(kinds)}. Dominated means: another architecture is better by a verdict and costs no more "
        "of anything. All others may be on the front, that is among those that nobody beats without costing more of "
        "something; nothing is weighed against anything."
    )
    return Section(
        title="Accuracy against cost",
        slug=f"{condition.slug}-front",
        blocks=(Prose(text), _front_table(condition, front)),
        level=3,
    )


def _one_phase(condition: Condition, study: Study) -> dict[str, Timing]:
    """The timings of all its architectures from the newest quiet phase that timed them all twice; empty without."""
    labels = {entry.architecture_hash: entry.label for entry in condition.entries}
    if len(labels) < len(condition.entries):  # two nets of one source: nobody knows which of them was timed
        return {}
    phases: dict[tuple[str, str, str, int], dict[str, Timing]] = {}
    for timing in study.timings:
        twice = timing.seconds_per_batch.get(1) and timing.twin_seconds_per_batch.get(1)
        same_device = timing.device == condition.records[0].device
        if timing.quiet and twice and same_device and timing.architecture_hash in labels:
            key = (timing.measured_together, timing.machine, timing.device, timing.threads)
            phases.setdefault(key, {})[labels[timing.architecture_hash]] = timing
    whole = [of for of in phases.values() if len(of) == len(labels)]
    return max(whole, key=lambda of: max(timing.measured_at for timing in of.values()), default={})


def _costs(entry: Entry, *, with_macs: bool) -> dict[str, float]:
    """Exact counts of those runs that have them; one that failed early may not."""
    found = {"params": median_of([run.params for run in entry.records])}
    if with_macs:
        found["MACs"] = median_of([run.macs for run in entry.records])
    return {kind: value for kind, value in found.items() if value is not None}


def _front_table(condition: Condition, front: CostFront) -> Table:
    def cost(name: str, kind: str, digits: int = 0, factor: float = 1) -> ColumnOf[Entry]:
        return number_column(name, lambda entry: front.costs[entry.label].get(kind), digits, factor=factor)

    columns: list[ColumnOf[Entry]] = [
        text_column("Architecture", lambda entry: entry.label),
        percent_column("Test accuracy (%)", lambda entry: condition.accuracy.means.get(entry.label)),
        cost("Parameters", "params"),
    ]
    if not front.uncounted:
        columns.append(cost("MACs per image", "MACs"))
    if front.has_latency:
        columns.append(cost("Pass at batch 1 (ms, median of repeats)", LATENCY, 3, 1000))
    columns.append(text_column("Standing", lambda entry: standing_text(front.dominated_by[entry.label])))
    return table_of("Accuracy and every cost", condition.entries, columns)


def standing_text(dominated_by: Sequence[str]) -> str:
    """Where an architecture stands."""
    return f"dominated by {listing(list(dominated_by))}" if dominated_by else "possibly on the front"


_MOST_NAMED = 14
"""Architectures whose names find room beside their points; of more a legend tells."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Cost:
    """A kind of cost: how it is called, drawn and worded, and what each architecture pays of it."""

    name: str
    digits: int
    paid: Mapping[str, float]

    @property
    def title(self) -> str:
        return self.name[0].upper() + self.name[1:]


def cost_figure(condition: Condition, front: CostFront, styles: Mapping[str, int]) -> Figure | None:
    """Test accuracy against parameters, MACs and, where all were timed, latency; None while no run ended ok.

    Hollow markers are architectures that are confidently dominated over all costs; all others may be on the front.
    """
    known = {entry.label: accuracy_of(entry, condition) for entry in condition.entries if entry.having("ok")}
    kinds = {
        "params": ("parameters", 1.0, 0),
        "MACs": ("MACs per image", 1.0, 0),
        LATENCY: ("milliseconds a pass at batch 1", 1000.0, 3),
    }
    costs = []
    for kind, (name, scale, digits) in kinds.items():
        paid = {label: scale * front.costs[label][kind] for label in known if kind in front.costs[label]}
        costs.append(_Cost(name=name, digits=digits, paid=paid))
    return _figure(condition, known, costs, styles=styles, slug="costs", dominated_by=front.dominated_by)


def seconds_figure(condition: Condition, setting: Setting, *, styles: Mapping[str, int], number: int) -> Figure | None:
    """The same against training seconds under one setting, the condition's `number`th; None while no run ended ok."""
    images = condition.dataset.test_images if condition.dataset else None
    known, paid = {}, {}
    for entry in condition.entries:
        runs = [run for run in entry.having("ok") if setting_of(run) == setting]
        seconds = median_of([run.train_seconds for run in runs])
        if seconds is not None:
            values = [run.test_accuracy for run in runs if run.test_accuracy is not None]
            known[entry.label] = estimate_accuracy(values, images=images)
            paid[entry.label] = seconds
    machine = f", machine {one_line(setting[0])}" if condition.has_unlike_machines else ""
    cost = _Cost(name=f"training seconds (median{machine})", digits=1, paid=paid)
    slug = "seconds" if number == 1 else f"seconds-{number}"
    return _figure(condition, known, [cost], styles=styles, slug=slug, dominated_by={})


def _figure(
    condition: Condition,
    known: Mapping[str, AccuracyEstimate],
    costs: Sequence[_Cost],
    *,
    styles: Mapping[str, int],
    slug: str,
    dominated_by: Mapping[str, Sequence[str]],
) -> Figure | None:
    dominated = {label for label, others in dominated_by.items() if others}
    panels = [_panel(cost, known, styles=styles, dominated=dominated) for cost in costs]
    panels = [panel for panel in panels if panel.series]
    if not panels:
        return None
    drawn = [cost for cost in costs if cost.paid]
    title = f"Test accuracy against {listing([cost.name for cost in drawn])}"
    labels = ", ".join(label for label in known if any(label in cost.paid for cost in drawn))
    logarithmic = [panel.x_label.lower() for panel in panels if panel.log_x]
    axis = f", the horizontal axis of {listing(logarithmic)} is logarithmic" if logarithmic else ""
    behind = f" Confidently dominated, with hollow markers: {listing(sorted(dominated))}." if dominated else ""
    return Figure(
        slug=f"{condition.slug}-{slug}",
        title=title,
        alt=f"{title} for {labels}; whiskers are 95 % intervals{axis}.{behind}",
        panels=tuple(panels),
        table=_cost_table(title, known, drawn, dominated_by=dominated_by),
    )


def _panel(
    cost: _Cost, known: Mapping[str, AccuracyEstimate], *, styles: Mapping[str, int], dominated: set[str]
) -> Panel:
    series = tuple(
        Series(label=label, style=styles[label], points=points, hollow=label in dominated)
        for label, accuracy in known.items()
        if label in cost.paid and (points := _points(cost.paid[label], accuracy))
    )
    paid = list(cost.paid.values())
    return Panel(
        title=cost.title,
        x_label=cost.title,
        y_label="Test accuracy (%)",
        series=series,
        joined=False,
        log_x=bool(paid) and min(paid) > 0 and max(paid) > 3 * min(paid),  # a shorter axis has no room for its marks
        named=len(series) <= _MOST_NAMED,
        filled_means="possibly on the front" if dominated else "",
        hollow_means="confidently dominated" if dominated else "",
    )


def _cost_table(
    title: str,
    known: Mapping[str, AccuracyEstimate],
    costs: Sequence[_Cost],
    *,
    dominated_by: Mapping[str, Sequence[str]],
) -> Table:
    def paid(cost: _Cost) -> ColumnOf[str]:
        return number_column(cost.title, cost.paid.get, cost.digits)

    def standing(label: str) -> str:
        return standing_text(dominated_by[label]) if label in dominated_by else MISSING

    return table_of(
        title,
        known,
        [
            text_column("Architecture", lambda label: label),
            column("Test accuracy (%)", lambda label: Cell(_values_text(known[label]))),
            text_column("95 % interval (%)", lambda label: interval_text(known[label])),
            *map(paid, costs),
            *([text_column("Standing", standing)] if dominated_by else []),
        ],
    )


def _values_text(accuracy: AccuracyEstimate) -> str:
    return listing([percent(value) for value in _shown(accuracy)]) or MISSING


def _shown(accuracy: AccuracyEstimate) -> tuple[float, ...]:
    """Two seeds are shown as two values, more as their mean."""
    if len(accuracy.values) == 2:
        return accuracy.values
    return () if accuracy.mean is None else (accuracy.mean,)


def _points(cost: float, accuracy: AccuracyEstimate) -> tuple[Point, ...]:
    low, high = (None if end is None else 100 * end for end in (accuracy.low, accuracy.high))
    return tuple(Point(x=cost, y=100 * value, low=low, high=high) for value in _shown(accuracy))
