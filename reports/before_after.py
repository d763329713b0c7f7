"""Two studies side by side: what became of each architecture between an earlier one and this one."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from typing import TYPE_CHECKING, TypeAlias

from bench.records import is_own_recipe
from bench.stats.estimates import estimate_time_to_target
from bench.stats.metrics import accuracy_metric
from bench.stats.verdicts import PairVerdict, judge_pairs
from reports.conditions import find_conditions
from reports.document import Cell, Column, Prose, Section, Table
from reports.gain_words import outcome, signed
from reports.wording import MISSING, listing, number_cell, one_line, percent_cell, text_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.records import RunRecord, Study
    from reports.conditions import Condition, Entry

Frame: TypeAlias = tuple[str, ...]
"""What two tables must share to be compared: data, recipe, budget, protocol; code and versions may have changed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """One architecture in both studies.

    Attributes:
        before: In the earlier one.
        after: In this one.
        verdict: On after − before.
    """

    before: Entry
    after: Entry
    verdict: PairVerdict

    @property
    def same_runs(self) -> bool:
        """Whether nothing was trained anew in between: both studies hold the very same weights."""
        hashes = [sorted(run.weights_hash for run in entry.having("ok")) for entry in (self.before, self.after)]
        return bool(hashes[0]) and hashes[0] == hashes[1]


def before_after_section(study: Study, earlier: Study, *, place: str, only: frozenset[str] | None = None) -> Section:
    """The section that sets a study beside an earlier one.

    Args:
        study: This one.
        earlier: The other one.
        place: Where the other one lies, for people.
        only: Architectures that are shown, judged with the others; None for all.
    """
    # Newest first: where versions or devices made several of one kind, the newest is compared.
    theirs = {_frame(condition): condition for condition in reversed(find_conditions(earlier))}
    blocks: list[Prose | Table] = [Prose(text=_introduction(earlier, place))]
    for condition in find_conditions(study):
        other = theirs.get(_frame(condition))
        if other is None:
            text = f"{condition.title}: the other study has no such runs, on the same data, recipe and budget."
            blocks.append(Prose(text=text, tone="warning"))
        else:
            blocks += _compare(condition, other, only)
    return Section(title="Before and after", slug="before-after", blocks=tuple(blocks))


def _introduction(earlier: Study, place: str) -> str:
    return one_line(
        f"Before is study {earlier.name} in {place}, after is this one. After − before is judged like any other pair, "
        "on the seeds that both have, Holm over the architectures of a table. Code, versions and machine may differ "
        "between the two: what changed is for you to know."
    )


def _frame(condition: Condition) -> Frame:
    run = condition.records[0]
    recipe = run.recipe_name if is_own_recipe(run.recipe_name) else json.dumps(dict(run.recipe), sort_keys=True)
    return run.dataset, run.data_hash, recipe, str(condition.budget), run.protocol


def _compare(condition: Condition, other: Condition, only: frozenset[str] | None) -> list[Prose | Table]:
    ours, theirs = ({entry.label: entry for entry in of.entries} for of in (condition, other))
    changes = _judge([(theirs[label], ours[label]) for label in sorted(ours.keys() & theirs.keys())], condition)
    if only is not None:
        changes = [change for change in changes if change.after.records[0].architecture in only]
    blocks: list[Prose | Table] = [Prose(text=_in_words(changes, condition))]
    if changes:
        blocks.append(_table(changes, condition))
    if condition.seed_plan or other.seed_plan:
        text = (
            "Seeds were added until decided in one of the two: here they are judged as if their number had been fixed."
        )
        blocks.append(Prose(text=text, tone="warning"))
    for labels, where in ((ours.keys() - theirs.keys(), "after"), (theirs.keys() - ours.keys(), "before")):
        if labels:
            blocks.append(Prose(text=f"{condition.title}: only {where}: {listing(sorted(labels))}."))
    return blocks


def _judge(pairs: Sequence[tuple[Entry, Entry]], condition: Condition) -> list[Change]:
    metric = accuracy_metric(condition.settings.margin)
    values = {f"{after.label} after": metric.values(after.records) for _, after in pairs}
    values |= {f"{before.label} before": metric.values(before.records) for before, _ in pairs}
    names = [(f"{after.label} after", f"{before.label} before") for before, after in pairs]
    verdicts = judge_pairs(values, metric, pairs=names)
    return [
        Change(before=before, after=after, verdict=verdict)
        for (before, after), verdict in zip(pairs, verdicts, strict=True)
    ]


def _in_words(changes: Sequence[Change], condition: Condition) -> str:
    said = [
        f"{change.after.label}: {outcome(change.verdict, 'after', 'before')}"
        + (" (the very same weights)" if change.same_runs else "")
        for change in changes
    ]
    return f"{condition.title}: {'; '.join(said) or 'no architecture is in both'}."


def _table(changes: Sequence[Change], condition: Condition) -> Table:
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name="Before: test accuracy (%)"),
        Column(name="After: test accuracy (%)"),
        Column(name="After − before (pp)"),
        Column(name="Interval (pp)", numeric=False),
        Column(name="p (Holm)"),
        Column(name="Verdict", numeric=False),
        Column(name="Seeds"),
        Column(name="Epochs to 95 %, before and after", numeric=False, essential=False),
        Column(name="Parameters, before and after", numeric=False, essential=False),
        Column(name="MACs, before and after", numeric=False, essential=False),
    )
    return Table(
        caption=f"Before and after, {condition.title}: means over the seeds that both have",
        columns=columns,
        rows=tuple(_row(change) for change in changes),
    )


def _row(change: Change) -> tuple[Cell, ...]:
    pair = change.verdict
    found = pair.differences
    interval, ends = MISSING, None
    if pair.low is not None and pair.high is not None:
        interval, ends = f"{signed(pair.low)} to {signed(pair.high)}", (100 * pair.low, 100 * pair.high)
    p = pair.p_holm
    return (
        text_cell(change.after.label),
        percent_cell(_mean(change.before.records, pair.seeds)),
        percent_cell(_mean(change.after.records, pair.seeds)),
        Cell(text=MISSING) if found is None else Cell(text=signed(found.mean), value=100 * found.mean, interval=ends),
        Cell(text=interval),
        Cell(text=MISSING if p is None else "< 0.0001" if p < 1e-4 else f"{p:.4f}", value=p),
        text_cell(outcome(pair, "after", "before")),
        number_cell(pair.n),
        Cell(text=_both([_median_time(entry) for entry in (change.before, change.after)])),
        Cell(text=_both([_count(entry.records, "params") for entry in (change.before, change.after)])),
        Cell(text=_both([_count(entry.records, "macs") for entry in (change.before, change.after)])),
    )


def _mean(records: Sequence[RunRecord], seeds: Sequence[int]) -> float | None:
    values = accuracy_metric().values(records)
    there = [values[seed] for seed in seeds if math.isfinite(values[seed])]
    return statistics.fmean(there) if there else None


def _median_time(entry: Entry) -> str:
    median = estimate_time_to_target(entry.records, 0.95).epochs
    return MISSING if median is None else "never" if math.isinf(median) else f"{median:.2f}"


def _count(records: Sequence[RunRecord], name: str) -> str:
    counts = {getattr(record, name) for record in records}
    return listing([MISSING if count is None else f"{count:,}" for count in sorted(counts, key=str)])


def _both(texts: Sequence[str]) -> str:
    """`0.42 and 0.40`; once when nothing changed."""
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} → {texts[1]}"
