"""The comparison table of one condition, what must be said beside it, and how long its runs took."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING

from bench.analysis.conditions import describe_setting, setting_of
from bench.analysis.stats.estimates import AccuracyEstimate, estimate_accuracy, estimate_time_to_target, median_of
from bench.core.recipe import Budget
from bench.core.records import TARGETS
from bench.core.seeds import FEWEST_SEEDS
from bench.system.text import listing, percent, span
from reports.cells import MISSING, number_cell, percent_cell, text_cell
from reports.document import Cell, Column, Prose, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.analysis.conditions import Condition, Entry, Setting
    from bench.core.records import RunRecord


def accuracy_of(entry: Entry, condition: Condition) -> AccuracyEstimate:
    """Test accuracy of an entry over its runs that ended ok."""
    values = [run.test_accuracy for run in entry.having("ok") if run.test_accuracy is not None]
    return estimate_accuracy(values, images=condition.dataset.test_images if condition.dataset else None)


def comparison_table(condition: Condition) -> Table:
    """One row an architecture: sizes, seeds, accuracy with its interval, epochs to 95 %."""
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name="Test accuracy (%)"),
        Column(name="95 % interval (%)", numeric=False),
        Column(name="Group", numeric=False),
        Column(name="Seeds", numeric=False),
        Column(name="Median (%)", essential=False),
        Column(name="Collapsed", essential=False),
        Column(name="Epochs to 95 % (median)"),
        Column(name="Parameters"),
        Column(name="MACs per image", essential=False),
        Column(name="Rank, resampled", numeric=False, essential=False),
        Column(name="Validation accuracy (%)", essential=False),
        Column(name="Std. deviation (pp)", essential=False),
        Column(name="Size on disk (kB)", essential=False),
    )
    apart = ""
    if condition.setting:
        apart = "; runs of another machine or setting got further or less far in that time and stand in a table of "
        apart += "their own, and there is no order between the two"
    return Table(
        caption=f"Accuracy and size after {condition.trained}{apart}; mean over seeds; ordered by name, not by result. "
        f"Epochs to 95 % are to two passes in a row on validation images{_own_target(condition)}",
        columns=columns,
        rows=tuple(_comparison_row(entry, condition) for entry in condition.entries),
    )


def _own_target(condition: Condition) -> str:
    """What else is a pass, where runs are stopped at an accuracy of their own."""
    stops = any(run.recipe.get("stop_at_accuracy") is not None for run in condition.records)
    return ", or to the one that ended a run whose recipe stops it at 95 % or more" if stops else ""


def _comparison_row(entry: Entry, condition: Condition) -> tuple[Cell, ...]:
    ok = entry.having("ok")
    accuracy = accuracy_of(entry, condition)
    validation = [run.val_accuracy for run in ok if run.val_accuracy is not None]
    size = median_of([run.checkpoint_bytes for run in ok])
    to_95 = estimate_time_to_target(entry.records, 0.95)
    return (
        Cell(text=entry.label),
        _accuracy_cell(accuracy),
        Cell(text=interval_text(accuracy)),
        Cell(text=condition.accuracy.groups.get(entry.label, MISSING)),
        Cell(text=seeds_text(entry), value=len(ok)),
        percent_cell(statistics.median(accuracy.values) if accuracy.values else None),
        number_cell(len(condition.collapses[entry.label].collapsed)),
        number_cell(to_95.epochs, 2),
        number_cell(median_of([run.params for run in entry.records])),
        number_cell(median_of([run.macs for run in entry.records])),
        Cell(text=_rank_text(condition.accuracy.ranks.get(entry.label))),
        percent_cell(statistics.fmean(validation) if validation else None),
        number_cell(None if accuracy.deviation is None else 100 * accuracy.deviation, 2),
        number_cell(None if size is None else size / 1000, 1),
    )


def _rank_text(ranks: tuple[int, int] | None) -> str:
    if ranks is None:
        return MISSING
    return str(ranks[0]) if ranks[0] == ranks[1] else f"{ranks[0]} to {ranks[1]}"


def seeds_text(entry: Entry) -> str:
    """How many runs a row speaks of, and what became of the others: 5 of 6 (1 diverged)."""
    ok, total = len(entry.having("ok")), len(entry.records)
    lost = [f"{n} {status}" for status in ("diverged", "failed", "interrupted") if (n := len(entry.having(status)))]
    return str(ok) if ok == total else f"{ok} of {total} ({', '.join(lost)})"


def interval_text(accuracy: AccuracyEstimate) -> str:
    """The interval in %, or why there is none."""
    if accuracy.low is not None and accuracy.high is not None:
        of_images = " (over images, one run)" if accuracy.basis == "images" else ""
        return span(accuracy.low, accuracy.high) + of_images
    return "none from 2 seeds" if len(accuracy.values) == 2 else MISSING


def _accuracy_cell(accuracy: AccuracyEstimate) -> Cell:
    if len(accuracy.values) == 2:
        return Cell(text=" and ".join(percent(value) for value in accuracy.values), value=accuracy.mean)
    cell = percent_cell(accuracy.mean)
    if accuracy.low is None or accuracy.high is None or accuracy.basis != "seeds":
        return cell  # an interval over images stands on another footing: no bar beside the others
    return dataclasses.replace(cell, interval=(100 * accuracy.low, 100 * accuracy.high))


def accuracy_notes(condition: Condition) -> tuple[Prose, ...]:
    """What must be said beside the comparison: few seeds, lost runs, looks at the test set."""
    notes = _few_seeds(condition)
    if condition.budget is None:
        notes.insert(0, unequal_budgets(condition))
    if condition.accuracy.groups:
        text = (
            "Architectures that share a letter under Group cannot be told apart, which does not mean that they are "
            "equal, unless a verdict says equivalent. Matters is open where the interval reaches to both sides of "
            "what matters."
        )
        notes.append(Prose(text=text))
    if condition.accuracy.ranks:
        text = (
            "Ranks say where an architecture lands when the shared seeds are drawn again; they are no test. Only "
            "verdicts tell two architectures apart: those whose ranks do not overlap may be undecided all the same."
        )
        notes.append(Prose(text=text))
    counts = {frozenset(run.seed for run in entry.having("ok")) for entry in condition.entries}
    if len(counts) > 1 and condition.seed_plan is None:
        text = (
            "The architectures did not finish the same seeds: each row speaks of its own, and pairs are compared on "
            "the seeds that both have."
        )
        notes.append(Prose(text=text, tone="warning"))
    if any(entry.having("diverged") for entry in condition.entries):
        text = (
            "Diverged runs have no accuracy that could be averaged: the means of this table leave them out, the column "
            "Seeds counts them. In verdicts they count as guessing, in times to a target as never reached."
        )
        notes.append(Prose(text=text, tone="warning"))
    notes.append(_test_looks(condition))
    return tuple(notes)


def unequal_budgets(condition: Condition) -> Prose:
    """What a table of published recipes compares when their budgets differ."""
    text = (
        "This compares unequal budgets: each architecture trained as its source says, and as long "
        f"({', '.join(budgets_by_name(condition))}). A verdict on accuracy is one on architecture, recipe and budget "
        "together; epochs to 95 % are not judged, since they have no common horizon. --recipe shared compares "
        "architectures alone, --epochs N published recipes under one budget."
    )
    return Prose(text=text, tone="warning")


def budgets_by_name(condition: Condition) -> list[str]:
    """How long each architecture was to train: `bn25k 5 epochs`."""
    return [f"{entry.label} {Budget(**entry.records[0].budget)}" for entry in condition.entries]


def _few_seeds(condition: Condition) -> list[Prose]:
    """What the rows with few seeds can say, by name where other rows have more."""
    by_count: dict[int, list[str]] = {}
    for entry in condition.entries:
        if (count := len(entry.having("ok"))) < FEWEST_SEEDS:
            by_count.setdefault(min(count, 3), []).append(entry.label)
    meanings = {
        0: "no finished run yet.",
        1: "one seed, the value of one fitted model, with Wilson's 95 % interval over images, which does not cover the "
        "luck of the seed; no rank.",
        2: "two seeds, both values, no interval.",
        3: f"fewer than {FEWEST_SEEDS} seeds; the Student-t interval holds, but {FEWEST_SEEDS} are the floor for any "
        "verdict.",
    }
    return [Prose(text=f"{listing(names)}: {meanings[count]}") for count, names in sorted(by_count.items())]


def _test_looks(condition: Condition) -> Prose:
    looks = max(run.test_looks for run in condition.records)
    if looks > 1:
        return Prose(text=f"The test set was looked at up to {looks} times per run.", tone="warning")
    if looks == 0:
        return Prose(text="No run has looked at the test set yet.")
    return Prose(
        text="The test set was looked at once per run, on the final model. Training, early stopping and times "
        "to a target saw training and validation images only."
    )


def time_to_target_table(condition: Condition) -> Table:
    """One row an architecture and target: how many runs got there, medians with "never" as infinite."""
    rows = []
    for entry in condition.entries:
        for target in TARGETS:
            time = estimate_time_to_target(entry.records, target)
            reached = Cell(text=f"{time.reached} of {time.runs}", value=time.reached / time.runs if time.runs else None)
            rows.append(
                (
                    Cell(text=entry.label),
                    percent_cell(target, 0),
                    reached,
                    number_cell(time.epochs, 2),
                    number_cell(time.images),
                )
            )
    return Table(
        caption='Way to a validation accuracy; medians over seeds, "never" counted as infinite',
        columns=(
            Column(name="Architecture", numeric=False),
            Column(name="Target (%)"),
            Column(name="Runs that got there", numeric=False),
            Column(name="Epochs"),
            Column(name="Training images", essential=False),
        ),
        rows=tuple(rows),
    )


def speed_tables(condition: Condition) -> tuple[tuple[Setting, Table], ...]:
    """Training times, one table for each machine, device, thread count and job count, with that setting."""
    return tuple((setting, _speed_table(condition, setting)) for setting in condition.clocks)


def _speed_table(condition: Condition, setting: Setting) -> Table:
    rows = []
    for entry in condition.entries:
        runs = [run for run in entry.records if setting_of(run) == setting]
        if any(run.status == "ok" for run in runs):
            rows.append((Cell(text=entry.label), *_speed_cells(runs)))
    where = describe_setting(setting, with_machine=condition.has_unlike_machines)
    *_, jobs = setting
    shared = "; shared the machine with other runs: not ranked" if jobs > 1 else ""
    apart = ""
    if condition.has_unlike_machines:
        apart = "; runs of unlike machines stand in tables of their own, and there is no order between these"
    elif len(condition.clocks) > 1:
        apart = "; runs of another machine or setting stand in a table of their own"
    return Table(
        caption=f"Training speed ({where}); medians over seeds, evaluation excluded{shared}{apart}",
        columns=(
            Column(name="Architecture", numeric=False),
            Column(name="Runs"),
            Column(name="Training (s)"),
            Column(name="Lowest to highest (s)", numeric=False, essential=False),
            Column(name="Training images/s"),
            Column(name="Seconds to 95 %"),
            Column(name="Seconds to 98 %", essential=False),
        ),
        rows=tuple(rows),
    )


def _speed_cells(runs: Sequence[RunRecord]) -> tuple[Cell, ...]:
    ok = [run for run in runs if run.status == "ok"]
    seconds = [run.train_seconds for run in ok if run.train_seconds is not None]
    extent = f"{min(seconds):,.1f} to {max(seconds):,.1f}" if seconds else MISSING
    return (
        number_cell(len(ok)),
        number_cell(median_of(seconds), 1),
        text_cell(extent),
        number_cell(median_of([run.train_images_per_second for run in ok])),
        number_cell(estimate_time_to_target(runs, 0.95).seconds, 1),
        number_cell(estimate_time_to_target(runs, 0.98).seconds, 1),
    )
