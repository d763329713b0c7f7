"""Accuracy against every cost at once: who is confidently dominated, and who may be on the front."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING

from bench.stats.estimates import median_of
from bench.stats.ranking import Standing, find_front
from bench.stats.speeds import timing_noise
from bench.text import one_line
from reports.document import Cell, Column, Prose, Section, Table
from reports.wording import listing, number_cell, percent, percent_cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.facts import ArchitectureFacts, Timing
    from bench.records import Study
    from bench.stats.ranking import Place
    from reports.conditions import Condition, Entry

LATENCY = "latency"
"""The kind of cost that only a quiet phase tells."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CostFront:
    """What each architecture of a condition costs, and where that puts it.

    Attributes:
        costs: By label, then by kind: "params", "MACs" where those of all are counted and, where one quiet phase timed
            all, "latency" in seconds.
        places: By label; empty where no pair could be judged.
        noise: Ratio above 1 within which latencies are not told apart.
        uncounted: By label, what is known of architectures whose MACs leave out a product.
    """

    costs: Mapping[str, Mapping[str, float]]
    places: Mapping[str, Place]
    noise: float = 1.0
    uncounted: Mapping[str, ArchitectureFacts] = dataclasses.field(default_factory=dict)

    @property
    def has_latency(self) -> bool:
        """Whether latency is one of the costs."""
        return any(LATENCY in costs for costs in self.costs.values())


def find_cost_front(condition: Condition, study: Study) -> CostFront:
    """The costs of a condition's architectures, and who is confidently dominated.

    Args:
        condition: Whose architectures.
        study: Holds the timings.
    """
    timings = _one_phase(condition, study)
    noise = timing_noise(timings.values(), 1) if timings else 1.0
    known = {entry.label: study.architectures.get(entry.architecture_hash) for entry in condition.entries}
    uncounted = {label: facts for label, facts in known.items() if facts and facts.uncounted_products}
    costs = {entry.label: _costs(entry, with_macs=not uncounted) for entry in condition.entries}
    for label, timing in timings.items():
        # Of the blocks, which are interleaved and whose noise is known.
        costs[label][LATENCY] = statistics.median(timing.seconds_per_batch[1])
    judged = bool(condition.accuracy.groups)
    places = find_front(costs, condition.accuracy.pairs, noise={LATENCY: noise}) if judged else {}
    return CostFront(costs=costs, places=places, noise=noise, uncounted=uncounted)


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
    return Prose(text=one_line(text), tone="warning")


def front_section(condition: Condition, front: CostFront) -> Section | None:
    """Who is dominated; None where no pair could be judged."""
    if not front.places:
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
        blocks=(Prose(text=text), _table(condition, front)),
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


def _table(condition: Condition, front: CostFront) -> Table:
    columns = [
        Column(name="Architecture", numeric=False),
        Column(name="Test accuracy (%)"),
        Column(name="Parameters"),
    ]
    if not front.uncounted:
        columns.append(Column(name="MACs per image"))
    if front.has_latency:
        columns.append(Column(name="Pass at batch 1 (ms, median of repeats)"))
    columns.append(Column(name="Standing", numeric=False))
    rows = []
    for entry in condition.entries:
        cost = front.costs[entry.label]
        row = [
            Cell(text=entry.label),
            percent_cell(condition.accuracy.means.get(entry.label)),
            number_cell(median_of([cost.get("params")])),
        ]
        if not front.uncounted:
            row.append(number_cell(median_of([cost.get("MACs")])))
        if front.has_latency:
            seconds = cost.get(LATENCY)
            row.append(number_cell(None if seconds is None else 1000 * seconds, 3))
        rows.append((*row, Cell(text=standing_text(front.places[entry.label]))))
    return Table(caption="Accuracy and every cost", columns=tuple(columns), rows=tuple(rows))


def standing_text(place: Place) -> str:
    """Where it stands, and what dominates it."""
    if place.standing == Standing.DOMINATED:
        return f"dominated by {listing(list(place.by))}"
    return place.standing.value
