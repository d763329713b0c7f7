"""Accuracy against what it cost: every cost by itself, and the front over all of them."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, NamedTuple

from bench.analysis.conditions import setup_of
from bench.analysis.ranking import find_front
from bench.analysis.stats.estimates import median_of
from bench.analysis.stats.speeds import timing_noise
from bench.system.text import listing, one_line, percent
from reports.cells import MISSING, column, number_column, percent_column, table_of, text_column
from reports.document import Cell, Figure, Panel, Point, Prose, Section, Series, Table, detail, those, warning
from reports.sections.comparison import accuracy_of, estimate_runs, interval_text, speed_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.conditions import Condition, Entry, Setup
    from bench.analysis.stats.estimates import AccuracyEstimate
    from bench.core.metadata import ArchitectureMetadata, Timing
    from bench.core.records import Study
    from reports.cells import ColumnOf
    from reports.document import Block

LATENCY = "latency"
"""The kind of cost that only a quiet phase tells."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostFront:
    """What each architecture of a condition costs, and where that puts it, by label.

    Kinds of cost are "params", "MACs" where those of all are counted and, where one quiet phase timed all, "latency" in
    seconds.
    """

    costs: Mapping[str, Mapping[str, float]]
    dominated_by: Mapping[str, Sequence[str]]  # empty where no pair could be judged
    noise: float = 1.0  # ratio above 1 within which latencies are not told apart
    uncounted: Mapping[str, ArchitectureMetadata] = dataclasses.field(default_factory=dict)  # MACs leave out a product

    @property
    def has_latency(self) -> bool:
        """Whether latency is one of the costs."""
        return bool(self.latencies)

    @property
    def latencies(self) -> dict[str, float]:
        """Seconds of a pass at batch 1, the median of blocks, by label; empty unless one phase timed all."""
        return {label: costs[LATENCY] for label, costs in self.costs.items() if LATENCY in costs}


def find_cost_front(condition: Condition, study: Study) -> CostFront:
    """The costs of a condition's architectures, and who is confidently dominated."""
    timings = _one_phase(condition, study)
    noise = timing_noise(timings.values(), 1) if timings else 1.0
    known = {entry.label: study.architectures.get(entry.architecture_hash) for entry in condition.entries}
    uncounted = {label: metadata for label, metadata in known.items() if metadata and metadata.uncounted_products}
    costs: dict[str, dict[str, float]] = {}
    for entry in condition.entries:  # exact counts of those runs that have them; one that failed early may not
        macs = None if uncounted else median_of([run.macs for run in entry.records])
        counts = {"params": median_of([run.params for run in entry.records]), "MACs": macs}
        costs[entry.label] = {kind: value for kind, value in counts.items() if value is not None}
    for label, timing in timings.items():
        # Of the blocks, which are interleaved and whose noise is known.
        costs[label][LATENCY] = statistics.median(timing.seconds_per_batch[1])
    judged = bool(condition.accuracy.groups)
    dominated_by = find_front(costs, condition.accuracy.pairs, noise={LATENCY: noise}) if judged else {}
    return CostFront(costs=costs, dominated_by=dominated_by, noise=noise, uncounted=uncounted)


def uncounted_note(front: CostFront) -> Prose | None:
    """Whose MACs are not all counted, and what that means for all; None where those of all are."""
    said = []
    for label, metadata in front.uncounted.items():
        names, counted = listing(list(metadata.uncounted_products)), metadata.macs - metadata.declared_macs
        text = f"more than the {metadata.macs:,} MACs that are counted, without {names}"
        if metadata.declared_macs:
            text = f"its file declares {metadata.macs:,} MACs, of which {counted:,} are counted and "
            text += f"{metadata.declared_macs:,} are not ({names})"
        said.append(f"{label}: {text}")
    text = f"{'; '.join(said)}. So MACs are no cost here by which any architecture is held against another."
    return warning(one_line(text)) if said else None


def front_section(condition: Condition, front: CostFront) -> Section | None:
    """Who is dominated; None where no pair could be judged."""
    if not front.dominated_by:
        return None
    kinds = ["parameters", *([] if front.uncounted else ["MACs"])]
    if front.has_latency:
        noise = percent(front.noise - 1, 1)
        kinds.append(f"latency at batch 1 (a pass, median of blocks, within its noise of {noise} %)")
    text = (
        f"Costs are {listing(kinds)}. Dominated means: another architecture is better by a verdict and costs no more "
        "of anything. All others may be on the front, that is among those that nobody beats without costing more of "
        "something; nothing is weighed against anything."
    )
    blocks = (Prose(text), _front_table(condition, front))
    return Section(
        title="Accuracy against cost",
        slug=f"{condition.slug}-front",
        blocks=blocks,
        level=3,
        gist="Which nets are worse than another that costs no more of anything.",
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


def _front_table(condition: Condition, front: CostFront) -> Table:
    def cost(name: str, kind: str, digits: int = 0, factor: float = 1) -> ColumnOf[Entry]:
        return number_column(name, lambda entry: front.costs[entry.label].get(kind), digits, factor=factor)

    latency = [cost("Pass at batch 1 (ms, median of blocks)", LATENCY, 3, 1000)] if front.has_latency else []
    return table_of(
        "Accuracy and every cost",
        condition.entries,
        [
            text_column("Architecture", lambda entry: entry.label),
            percent_column(f"{condition.metric.title} (%)", lambda entry: condition.accuracy.means.get(entry.label)),
            cost("Parameters", "params"),
            *([] if front.uncounted else [cost("MACs per image", "MACs")]),
            *latency,
            text_column("Standing", lambda entry: standing_text(front.dominated_by[entry.label])),
        ],
    )


def standing_text(dominated_by: Sequence[str]) -> str:
    """Where an architecture stands."""
    return f"dominated by {listing(list(dominated_by))}" if dominated_by else "possibly on the front"


_MOST_NAMED = 14
"""Architectures whose names find room beside their points; of more a legend tells."""


class _Cost(NamedTuple):
    """A kind of cost: how it is called, to how many digits it is shown, and what each architecture pays of it."""

    name: str
    digits: int
    paid: Mapping[str, float]

    @property
    def title(self) -> str:
        return self.name[0].upper() + self.name[1:]


def cost_figure(condition: Condition, front: CostFront, styles: Mapping[str, int]) -> Figure | None:
    """Accuracy against parameters, MACs and, where all were timed, latency; None while no run ended ok.

    Hollow markers are architectures that are confidently dominated over all costs; all others may be on the front.
    """
    known = {entry.label: accuracy_of(entry, condition) for entry in condition.entries if entry.having("ok")}

    def cost(name: str, kind: str, *, scale: float = 1.0, digits: int = 0) -> _Cost:
        paid = {label: scale * front.costs[label][kind] for label in known if kind in front.costs[label]}
        return _Cost(name, digits, paid)

    latency = cost("milliseconds a pass at batch 1", LATENCY, scale=1000.0, digits=3)
    costs = [cost("parameters", "params"), cost("MACs per image", "MACs"), latency]
    return _figure(condition, known, costs, styles=styles, slug="costs", dominated_by=front.dominated_by)


def speed_section(condition: Condition, study: Study, styles: Mapping[str, int]) -> Section | None:
    """Training times and what they reached, one table and figure for each way of running; None while none ended ok."""
    blocks: list[Block] = []
    peaks = find_peaks(study)
    for number, (setup, table) in enumerate(speed_tables(condition, peaks), 1):
        blocks += [table, *those(seconds_figure(condition, setup, styles=styles, number=number))]
    text = (
        "The training clock stands still while a run is evaluated. Runs that trained at the same time shared the "
        "machine's memory and caches: compare times inside one table only, and take small differences for noise."
    )
    if any(setup[0] in peaks for setup in condition.clocks):
        text += _PEAK_NOTE
    return detail("Training speed", f"{condition.slug}-speed", Prose(text), *blocks, gist=_GIST) if blocks else None


_PEAK_NOTE = (
    " The peak is what one thread of the machine computes in a product of matrices of 512 rows and columns (float32, "
    "the best of many, measured in the quiet phase); a training step counts as three forward passes of the MACs."
)


def find_peaks(study: Study) -> dict[str, float]:
    """What one thread of each machine computes at most, float32 operations a second: the highest of its phases."""
    peaks: dict[str, float] = {}
    for timing in study.timings:
        if timing.peak_flops and timing.device == "cpu":
            peaks[timing.machine] = max(timing.peak_flops, peaks.get(timing.machine, 0.0))
    return peaks


_GIST = "How fast each net trains on this machine, and what accuracy a second of training buys."


def seconds_figure(condition: Condition, setup: Setup, *, styles: Mapping[str, int], number: int) -> Figure | None:
    """The same against training seconds under one setup, the condition's `number`th; None while no run ended ok."""
    known, paid = {}, {}
    for entry in condition.entries:
        runs = [run for run in entry.having("ok") if setup_of(run) == setup]
        seconds = median_of([run.train_seconds for run in runs])
        if seconds is not None:
            known[entry.label] = estimate_runs(runs, condition)
            paid[entry.label] = seconds
    machine = f", machine {one_line(setup[0])}" if condition.has_unlike_machines else ""
    slug = "seconds" if number == 1 else f"seconds-{number}"
    costs = [_Cost(f"training seconds (median{machine})", 1, paid)]
    return _figure(condition, known, costs, styles=styles, slug=slug, dominated_by={})


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
    what = condition.metric.title
    panels = [_panel(cost, known, what=what, styles=styles, dominated=dominated) for cost in costs]
    panels = [panel for panel in panels if panel.series]
    if not panels:
        return None
    drawn = [cost for cost in costs if cost.paid]
    title = f"{what} against {listing([cost.name for cost in drawn])}"
    labels = ", ".join(label for label in known if any(label in cost.paid for cost in drawn))
    logarithmic = [panel.x_label.lower() for panel in panels if panel.log_x]
    axis = f", the horizontal axis of {listing(logarithmic)} is logarithmic" if logarithmic else ""
    behind = f" Confidently dominated, with hollow markers: {listing(sorted(dominated))}." if dominated else ""
    return Figure(
        slug=f"{condition.slug}-{slug}",
        title=title,
        alt=f"{title} for {labels}; whiskers are 95 % intervals{axis}.{behind}",
        panels=tuple(panels),
        table=_cost_table(title, known, drawn, what=what, dominated_by=dominated_by),
    )


def _panel(
    cost: _Cost, known: Mapping[str, AccuracyEstimate], *, what: str, styles: Mapping[str, int], dominated: set[str]
) -> Panel:
    def points(label: str) -> tuple[Point, ...]:
        low, high = (None if end is None else 100 * end for end in (known[label].low, known[label].high))
        return tuple(Point(x=cost.paid[label], y=100 * value, low=low, high=high) for value in _shown(known[label]))

    series = tuple(
        Series(label=label, style=styles[label], points=points(label), hollow=label in dominated)
        for label, accuracy in known.items()
        if label in cost.paid and _shown(accuracy)
    )
    paid = list(cost.paid.values())
    return Panel(
        title=cost.title,
        x_label=cost.title,
        y_label=f"{what} (%)",
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
    what: str,
    dominated_by: Mapping[str, Sequence[str]],
) -> Table:
    def standing(label: str) -> str:
        return standing_text(dominated_by[label]) if label in dominated_by else MISSING

    return table_of(
        title,
        known,
        [
            text_column("Architecture", lambda label: label),
            column(f"{what} (%)", lambda label: Cell(listing([*map(percent, _shown(known[label]))]) or MISSING)),
            text_column("95 % interval (%)", lambda label: interval_text(known[label])),
            *(number_column(cost.title, cost.paid.get, cost.digits) for cost in costs),
            *([text_column("Standing", standing)] if dominated_by else []),
        ],
    )


def _shown(accuracy: AccuracyEstimate) -> tuple[float, ...]:
    """Two seeds are shown as two values, more as their mean."""
    if len(accuracy.values) == 2:
        return accuracy.values
    return () if accuracy.mean is None else (accuracy.mean,)
