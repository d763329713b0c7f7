"""Two studies side by side: what became of each architecture between an earlier one and this one."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, TypeAlias

from bench.records import is_own_recipe
from bench.stats.estimates import estimate_time_to_target
from bench.text import one_line
from reports.conditions import find_conditions
from reports.document import Cell, Column, Prose, Section, Table
from reports.versions import Versions, judge_versions, level_note, outcome, version_cells, version_columns
from reports.wording import MISSING, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.records import RunRecord, Study
    from reports.conditions import Condition

Frame: TypeAlias = tuple[str, ...]
"""What two tables must share to be compared: data, recipe, budget, protocol; code and versions may have changed."""


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
    both = [
        Versions(label=label, earlier=theirs[label].records, later=ours[label].records)
        for label in sorted(ours.keys() & theirs.keys())
    ]
    changes = judge_versions(both, chance=condition.chance, margin=condition.settings.margin)
    if only is not None:
        changes = tuple(change for change in changes if change.later[0].architecture in only)
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


def _in_words(changes: Sequence[Versions], condition: Condition) -> str:
    said = [
        f"{change.label}: {_outcome(change)}{' (the very same weights)' if _same_runs(change) else ''}"
        for change in changes
    ]
    return f"{condition.title}: {'; '.join(said) or 'no architecture is in both'}."


def _table(changes: Sequence[Versions], condition: Condition) -> Table:
    columns = (
        *version_columns("Before", "After", difference="After − before"),
        Column(name="Epochs to 95 %, before and after", numeric=False, essential=False),
        Column(name="Parameters, before and after", numeric=False, essential=False),
        Column(name="MACs, before and after", numeric=False, essential=False),
    )
    return Table(
        caption=f"Before and after, {condition.title}: means over the seeds that both have{level_note(changes)}",
        columns=columns,
        rows=tuple(_row(change) for change in changes),
    )


def _row(change: Versions) -> tuple[Cell, ...]:
    return (
        *version_cells(change, _outcome(change)),
        Cell(text=_both([_median_time(runs) for runs in (change.earlier, change.later)])),
        Cell(text=_both([_count(runs, "params") for runs in (change.earlier, change.later)])),
        Cell(text=_both([_count(runs, "macs") for runs in (change.earlier, change.later)])),
    )


def _outcome(change: Versions) -> str:
    assert change.verdict is not None  # noqa: S101 - every change is judged
    return outcome(change.verdict, "after", "before")


def _same_runs(change: Versions) -> bool:
    """Whether nothing was trained anew in between: both studies hold the very same weights."""
    earlier, later = (
        sorted(run.weights_hash for run in runs if run.status == "ok") for runs in (change.earlier, change.later)
    )
    return bool(earlier) and earlier == later


def _median_time(records: Sequence[RunRecord]) -> str:
    median = estimate_time_to_target(records, 0.95).epochs
    return MISSING if median is None else "never" if math.isinf(median) else f"{median:.2f}"


def _count(records: Sequence[RunRecord], name: str) -> str:
    counts = {getattr(record, name) for record in records}
    return listing([MISSING if count is None else f"{count:,}" for count in sorted(counts, key=str)])


def _both(texts: Sequence[str]) -> str:
    """`0.42 and 0.40`; once when nothing changed."""
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} → {texts[1]}"
