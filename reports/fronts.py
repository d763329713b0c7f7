"""Accuracy against every cost at once: who is confidently dominated, and who may be on the front."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.stats.estimates import median_of
from bench.stats.ranking import Standing, find_front
from bench.stats.speeds import timing_noise
from reports.document import Cell, Column, Prose, Section, Table
from reports.wording import listing, number_cell, percent, percent_cell

if TYPE_CHECKING:
    from bench.facts import Timing
    from bench.records import Study
    from bench.stats.ranking import Place
    from reports.conditions import Condition

_LATENCY = "latency"


def front_section(condition: Condition, study: Study) -> Section | None:
    """Who is dominated; None where no pair could be judged."""
    if not condition.accuracy.groups:
        return None
    timings = _one_phase(condition, study)
    noise = timing_noise(timings.values(), 1) if timings else 1.0
    costs = {entry.label: _costs(entry.records[0].params, entry.records[0].macs) for entry in condition.entries}
    for label, timing in timings.items():
        # Of the blocks, which are interleaved and whose noise is known.
        costs[label][_LATENCY] = statistics.median(timing.seconds_per_batch[1])
    places = find_front(costs, condition.accuracy.pairs, noise={_LATENCY: noise})
    latency = f"parameters, MACs and latency at batch 1 (within its noise of {percent(noise - 1, 1)} %)"
    kinds = latency if timings else "parameters and MACs"
    text = (
        f"Costs are {kinds}. Dominated means: another architecture is better by a verdict and costs no more of "
        "anything. All others may be on the front, that is among those that nobody beats without costing more of "
        "something; nothing is weighed against anything."
    )
    table = _table(condition, costs, places, with_latency=bool(timings))
    return Section(
        title="Accuracy against cost",
        slug=f"{condition.slug}-front",
        blocks=(Prose(text=text), table),
        level=3,
    )


def _one_phase(condition: Condition, study: Study) -> dict[str, Timing]:
    """The timings of all its architectures from the newest quiet phase that timed them all twice; empty without."""
    labels = {entry.architecture_hash: entry.label for entry in condition.entries}
    phases: dict[tuple[str, str, str, int], dict[str, Timing]] = {}
    for timing in study.timings:
        twice = timing.seconds_per_batch.get(1) and timing.twin_seconds_per_batch.get(1)
        same_device = timing.device == condition.records[0].device
        if timing.quiet and twice and same_device and timing.architecture_hash in labels:
            key = (timing.measured_together, timing.machine, timing.device, timing.threads)
            phases.setdefault(key, {})[labels[timing.architecture_hash]] = timing
    whole = [of for of in phases.values() if len(of) == len(labels)]
    return max(whole, key=lambda of: max(timing.measured_at for timing in of.values()), default={})


def _costs(params: int | None, macs: int | None) -> dict[str, float]:
    return {name: value for name, value in (("params", params), ("MACs", macs)) if value is not None}


def _table(
    condition: Condition, costs: dict[str, dict[str, float]], places: dict[str, Place], *, with_latency: bool
) -> Table:
    columns = [
        Column(name="Architecture", numeric=False),
        Column(name="Test accuracy (%)"),
        Column(name="Parameters"),
        Column(name="MACs per image"),
    ]
    if with_latency:
        columns.append(Column(name="Pass at batch 1 (ms, median of repeats)"))
    columns.append(Column(name="Standing", numeric=False))
    rows = []
    for entry in condition.entries:
        cost = costs[entry.label]
        row = [
            Cell(text=entry.label),
            percent_cell(condition.accuracy.means.get(entry.label)),
            number_cell(median_of([cost.get("params")])),
            number_cell(median_of([cost.get("MACs")])),
        ]
        if with_latency:
            seconds = cost.get(_LATENCY)
            row.append(number_cell(None if seconds is None else 1000 * seconds, 3))
        rows.append((*row, Cell(text=_standing(places[entry.label]))))
    return Table(caption="Accuracy and every cost", columns=tuple(columns), rows=tuple(rows))


def _standing(place: Place) -> str:
    if place.standing == Standing.DOMINATED:
        return f"dominated by {listing(list(place.by))}"
    return place.standing.value
