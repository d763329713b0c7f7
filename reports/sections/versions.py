"""One architecture in two versions, the later judged against the earlier: tuned or not, before and after."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.analysis.conditions import find_conditions
from bench.analysis.metrics import accuracy_metric
from bench.analysis.stats.estimates import estimate_time_to_target
from bench.analysis.verdicts import BETTER, Judged, PairVerdict, Verdict, Versions, judge_versions
from bench.system.text import listing, one_line, plural
from reports.cells import (
    MISSING,
    column,
    difference_cell,
    difference_interval,
    levels_text,
    number_column,
    p_cell,
    percent_column,
    table_of,
    text_column,
)
from reports.document import Prose, Section, Table, warning
from reports.sections.verdicts.pairs import more_seeds_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bench.analysis.conditions import Condition
    from bench.core.records import RunRecord, Study, TableKey
    from reports.cells import ColumnOf


def version_columns(
    earlier: str, later: str, *, difference: str, said: Callable[[Judged], str]
) -> list[ColumnOf[Judged]]:
    """Name, both accuracies, the judged difference, its verdict as `said` words it, and the seeds it is from."""
    metric = accuracy_metric()
    return [
        text_column("Architecture", lambda versions: versions.label),
        percent_column(f"{earlier}: test accuracy (%)", lambda versions: versions.means[0]),
        percent_column(f"{later}: test accuracy (%)", lambda versions: versions.means[1]),
        column(f"{difference} (pp)", lambda versions: difference_cell(versions.verdict, metric)),
        text_column("Interval (pp)", lambda versions: difference_interval(versions.verdict, metric)),
        column("p (Holm)", lambda versions: p_cell(versions.verdict.p_holm if versions.verdict else None)),
        text_column("Verdict", said),
        number_column("Seeds", lambda versions: versions.verdict.n if versions.verdict else None),
    ]


def level_note(found: Iterable[Versions]) -> str:
    """What a caption ends with: `; intervals at 97.5 %`; empty where no pair could be tested."""
    levels = levels_text(each.verdict for each in found if each.verdict and each.verdict.p is not None)
    return f"; intervals at {levels}" if levels else ""


def outcome(pair: PairVerdict, later: str, earlier: str) -> str:
    """A verdict on later − earlier in words, by what the two are called: `tuned better, matters`."""
    if pair.verdict in BETTER:
        side = later if pair.verdict == Verdict.A_BETTER else earlier
        matters = {True: ", matters", False: ", too small to matter", None: ""}[pair.matters]
        return f"{side} better{' on typical seeds alone' if pair.typical_only else ''}{matters}"
    if pair.verdict == Verdict.EQUIVALENT:
        return "equivalent"
    if pair.verdict == Verdict.TOO_FEW_SEEDS:
        return f"too few seeds, {plural(pair.more_seeds or 1, 'more seed')} needed"
    return f"undecided, {more_seeds_text(pair, accuracy_metric())}"


def before_after_section(
    conditions: Sequence[Condition], earlier: Study, *, place: str, only: frozenset[str] | None = None
) -> Section:
    """The section that sets a study's conditions beside those of an earlier one, which lies at `place`.

    Without a place it is the study itself, with each edited net as it was before.
    """
    # Newest first: where versions or devices made several of one kind, the newest is compared.
    theirs = {_shared(condition): condition for condition in reversed(find_conditions(earlier))}
    before = f"study {earlier.name} in {place}" if place else "each edited net as it was before its last edit"
    text = (
        f"Before is {before}, after is this one. After − before is judged like any other pair, "
        "on the seeds that both have, Holm over the architectures of a table. Code, versions and machine may differ "
        "between the two: what changed is for you to know."
    )
    if any(condition.metric.is_balanced for condition in conditions):
        text += f" {ON_ACCURACY}"
    alone = ("only after" if place else "not edited", "only before")
    blocks: list[Prose | Table] = [Prose(one_line(text))]
    for condition in conditions:
        other = theirs.get(_shared(condition))
        if other:
            blocks += _compare(condition, other, only, alone, edited=not place)
        elif place:
            none = f"{condition.title}: the other study has no such runs, on the same data, recipe and budget."
            blocks.append(warning(none))
    return Section(title="Before and after", slug="before-after", blocks=tuple(blocks))


_NO_MORE_SEEDS = (
    "A net as it was before its edit gets no more seeds: its source is gone. To decide what is undecided, keep that "
    "source as a class of another name and train both in one command, with --seeds 6:30."
)


ON_ACCURACY = "This is judged on plain test accuracy, though verdicts between architectures are on balanced accuracy."
"""What is said where what is judged is not what the study is judged by."""


def _shared(condition: Condition) -> TableKey:
    """What two tables must share to be compared; code, versions and machine may have changed."""
    key = condition.records[0].table.anywhere
    return key if condition.budget else key.family


def _compare(
    condition: Condition, other: Condition, only: frozenset[str] | None, alone: tuple[str, str], *, edited: bool
) -> Iterator[Prose | Table]:
    """What is in both, judged, and what is in one of them, by what that is called after and before.

    `edited` says that the other is the same study before its nets were edited.
    """
    ours, theirs = ({entry.label: entry for entry in of.entries} for of in (condition, other))
    both = [
        Versions(label=label, earlier=theirs[label].records, later=ours[label].records)
        for label in sorted(ours.keys() & theirs.keys())
    ]
    changes = judge_versions(both, chance=condition.chance, margin=condition.margins.margin)
    if only is not None:
        changes = tuple(change for change in changes if change.later[0].architecture in only)
    said = [
        f"{change.label}: {_outcome(change)}{' (the very same weights)' if _same_runs(change) else ''}"
        for change in changes
    ]
    yield Prose(f"{condition.title}: {'; '.join(said) or 'no architecture is in both'}.")
    if changes:
        yield _table(changes, condition)
    if edited and any(change.verdict and change.verdict.verdict == Verdict.UNDECIDED for change in changes):
        yield Prose(_NO_MORE_SEEDS, tone="advice")
    if condition.seed_plan or other.seed_plan:
        yield warning(
            "Seeds were added until decided in one of the two: here they are judged as if their number had been fixed."
        )
    for labels, where in zip((ours.keys() - theirs.keys(), theirs.keys() - ours.keys()), alone, strict=True):
        if labels:
            yield Prose(f"{condition.title}: {where}: {listing(sorted(labels))}.")


def _table(changes: Sequence[Versions], condition: Condition) -> Table:
    def both(name: str, read: Callable[[Sequence[RunRecord]], str]) -> ColumnOf[Versions]:
        """`0.42 → 0.40`; once when nothing changed."""
        return text_column(
            f"{name}, before and after",
            lambda change: " → ".join(dict.fromkeys((read(change.earlier), read(change.later)))),
            essential=False,
        )

    return table_of(
        f"Before and after, {condition.title}: means over the seeds that both have{level_note(changes)}",
        changes,
        [
            *version_columns("Before", "After", difference="After − before", said=_outcome),
            both("Epochs to 95 %", _median_time),
            both("Parameters", lambda runs: _count(run.params for run in runs)),
            both("MACs", lambda runs: _count(run.macs for run in runs)),
        ],
    )


def _outcome(change: Versions) -> str:
    assert change.verdict is not None  # noqa: S101 - every change is judged
    return outcome(change.verdict, "after", "before")


def _same_runs(change: Versions) -> bool:
    """Whether nothing was trained anew in between: both studies hold the very same weights."""
    earlier, later = (sorted(r.weights_hash for r in of if r.status == "ok") for of in (change.earlier, change.later))
    return bool(earlier) and earlier == later


def _median_time(records: Sequence[RunRecord]) -> str:
    median = estimate_time_to_target(records, 0.95).epochs
    return MISSING if median is None else "never" if math.isinf(median) else f"{median:.2f}"


def _count(counts: Iterable[int | None]) -> str:
    return listing([MISSING if count is None else f"{count:,}" for count in sorted(set(counts), key=str)])
