"""The comparison table of one condition, what must be said beside it, and how long its runs took."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from typing import TYPE_CHECKING

from bench.analysis.conditions import describe_setup, setup_of
from bench.analysis.stats.estimates import AccuracyEstimate, estimate_accuracy, estimate_time_to_target, median_of
from bench.core.recipe import Budget
from bench.core.seeds import FEWEST_SEEDS
from bench.system.text import listing, percent, span
from reports.cells import MISSING, column, number_column, percent_cell, percent_column, table_of, text_column
from reports.document import Cell, Prose, Table, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from bench.analysis.conditions import Condition, Entry, Setup
    from bench.core.records import RunRecord
    from reports.cells import ColumnOf


def accuracy_of(entry: Entry, condition: Condition) -> AccuracyEstimate:
    """The accuracy that verdicts are on, of an entry over its runs that ended ok."""
    return estimate_runs(entry.having("ok"), condition)


def estimate_runs(runs: Iterable[RunRecord], condition: Condition) -> AccuracyEstimate:
    """The same of some runs that ended ok. Balanced accuracy is no share of images: one seed has no interval of it."""
    images = condition.dataset.test_images if condition.dataset and not condition.metric.is_balanced else None
    return estimate_accuracy([condition.metric.value(run) for run in runs], images=images)


def comparison_table(condition: Condition, latencies: Mapping[str, float]) -> Table:
    """One row an architecture, the best group first: sizes, accuracy with its interval, times, seeds and group.

    Args:
        condition: Of which the table is.
        latencies: Seconds of a pass at batch 1, by label; none where one quiet phase did not time all of them.
    """
    groups = condition.accuracy.groups
    blocks = condition.accuracy.ordered
    order = [label for block in blocks for label in block]
    ends = list(itertools.accumulate(map(len, blocks)))
    if order and len(order) < len(condition.entries):
        ends.append(len(condition.entries))  # those without a result stand below
    entries = sorted(condition.entries, key=lambda e: order.index(e.label) if e.label in order else len(order))
    found = {entry.label: accuracy_of(entry, condition) for entry in entries}
    return table_of(
        _caption(condition) + ("; latency is that of one image, the median of blocks" if latencies else ""),
        entries,
        [
            text_column("Architecture", lambda entry: entry.label),
            number_column("Parameters", lambda entry: median_of([run.params for run in entry.records])),
            number_column("MACs per image", lambda e: median_of([run.macs for run in e.records]), essential=False),
            column(f"{condition.metric.title} (%)", lambda entry: _accuracy_cell(found[entry.label])),
            text_column("95 % interval (%)", lambda entry: interval_text(found[entry.label])),
            number_column("Epochs to 95 %", lambda e: estimate_time_to_target(e.records, 0.95).epochs, 2),
            *(_training_columns() if len(condition.clocks) == 1 else []),
            *(
                [number_column("Latency (ms)", lambda e: latencies.get(e.label), 3, factor=1000, essential=False)]
                if latencies
                else []
            ),
            column("Seeds", lambda entry: Cell(seeds_text(entry), len(entry.having("ok"))), numeric=False),
            text_column("Group", lambda entry: groups.get(entry.label, MISSING)),
        ],
        rules=ends[:-1],
    )


def _caption(condition: Condition) -> str:
    """How the comparison table is ordered and what its columns are."""
    apart = (
        "; runs of another machine or setting got further or less far in that time and stand in a table of their own, "
        "and there is no order between the two"
    )
    what = "Balanced accuracy" if condition.metric.is_balanced else "Accuracy"
    order = "no pair is judged, so rows stand by name"
    if condition.accuracy.groups:
        order = "the best group first: those that share a letter cannot be told apart, a line parts those that can be"
    times = f"; times of training are medians ({describe_setup(condition.clocks[0])})" if condition.clocks else ""
    if len(condition.clocks) > 1:
        times = "; times of training stand under Training speed, as runs had unlike machines or settings"
    return (
        f"{what} and size after {condition.trained}{apart if condition.setup else ''}; means over seeds; {order}. "
        f"Epochs to 95 % are the median, to two passes in a row on validation images{_own_target(condition)}{times}"
    )


def _training_columns() -> list[ColumnOf[Entry]]:
    return [
        number_column(
            "Training images/s",
            lambda e: median_of([r.train_images_per_second for r in e.having("ok")]),
            essential=False,
        ),
        number_column("Seconds a run", lambda entry: median_of(_seconds(entry)), 1),
    ]


def spread_table(condition: Condition) -> Table:
    """One row an architecture: what a mean does not say of its seeds, its ranks, and its size on disk."""
    found = {entry.label: accuracy_of(entry, condition) for entry in condition.entries}
    collapses, ranks = condition.collapses, condition.accuracy.ranks
    return table_of(
        f"Spread over seeds{' of balanced accuracy' if condition.metric.is_balanced else ''}, ranks and sizes",
        condition.entries,
        [
            text_column("Architecture", lambda entry: entry.label),
            percent_column("Median (%)", lambda entry: median_of(found[entry.label].values)),
            number_column("Std. deviation (pp)", lambda entry: found[entry.label].deviation, 2, factor=100),
            number_column("Collapsed", lambda entry: len(collapses[entry.label].collapsed)),
            text_column("Rank, resampled", lambda entry: rank_text(ranks.get(entry.label))),
            percent_column("Validation accuracy (%)", _validation_accuracy),
            number_column("Size on disk (kB)", _kilobytes, 1),
        ],
    )


def _validation_accuracy(entry: Entry) -> float | None:
    known = [run.val_accuracy for run in entry.having("ok") if run.val_accuracy is not None]
    return statistics.fmean(known) if known else None


def _kilobytes(entry: Entry) -> float | None:
    size = median_of([run.checkpoint_bytes for run in entry.having("ok")])
    return None if size is None else size / 1000


def rank_text(ranks: tuple[int, int] | None) -> str:
    """`2`, `1 to 3`; a dash without any."""
    if ranks is None:
        return MISSING
    return str(ranks[0]) if ranks[0] == ranks[1] else f"{ranks[0]} to {ranks[1]}"


def _own_target(condition: Condition) -> str:
    """What else is a pass, where runs are stopped at an accuracy of their own."""
    stops = any(run.recipe.get("stop_at_accuracy") is not None for run in condition.records)
    return ", or to the one that ended a run whose recipe stops it at 95 % or more" if stops else ""


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
        return Cell(" and ".join(percent(value) for value in accuracy.values), accuracy.mean)
    cell = percent_cell(accuracy.mean)
    if accuracy.low is None or accuracy.high is None or accuracy.basis != "seeds":
        return cell  # an interval over images stands on another footing: no bar beside the others
    return dataclasses.replace(cell, interval=(100 * accuracy.low, 100 * accuracy.high))


def reading_notes(condition: Condition) -> Iterator[Prose]:
    """How groups, ranks and looks at the test set are to be read."""
    if condition.accuracy.groups:
        yield Prose(
            "Architectures that share a letter under Group cannot be told apart, which does not mean that they are "
            "equal, unless a verdict says equivalent. Matters is open where the interval reaches to both sides of "
            "what matters."
        )
    if condition.accuracy.ranks:
        yield Prose(
            "Ranks say where an architecture lands when the shared seeds are drawn again; they are no test. Only "
            "verdicts tell two architectures apart: those whose ranks do not overlap may be undecided all the same."
        )
    looks = max(run.test_looks for run in condition.records)
    if looks == 0:
        yield Prose("No run has looked at the test set yet.")
    elif looks == 1:
        yield Prose(
            "The test set was looked at once per run, on the final model. Training, early stopping and times "
            "to a target saw training and validation images only."
        )


def accuracy_notes(condition: Condition) -> Iterator[Prose]:
    """What must be said beside the comparison: few seeds, lost runs, several looks at the test set."""
    yield from _few_seeds(condition)
    counts = {frozenset(run.seed for run in entry.having("ok")) for entry in condition.entries}
    if len(counts) > 1 and condition.seed_plan is None:
        yield warning(
            "The architectures did not finish the same seeds: each row speaks of its own, and pairs are compared on "
            "the seeds that both have."
        )
    if any(entry.having("diverged") for entry in condition.entries):
        yield warning(
            "Diverged runs have no accuracy that could be averaged: the means of this table leave them out, the column "
            "Seeds counts them. In verdicts they count as guessing, in times to a target as never reached."
        )
    looks = max(run.test_looks for run in condition.records)
    if looks > 1:
        yield warning(f"The test set was looked at up to {looks} times per run.")


def unequal_budgets(condition: Condition) -> Prose:
    """What a table of published recipes compares when their budgets differ."""
    return warning(
        "This compares unequal budgets: each architecture trained as its source says, and as long "
        f"({', '.join(budgets_by_name(condition))}). A verdict on accuracy is one on architecture, recipe and budget "
        "together; epochs to 95 % are not judged, since they have no common horizon. --recipe shared compares "
        "architectures alone, --epochs N published recipes under one budget."
    )


def budgets_by_name(condition: Condition) -> list[str]:
    """How long each architecture was to train: `bn25k 5 epochs`."""
    return [f"{entry.label} {Budget(**entry.records[0].budget)}" for entry in condition.entries]


def _few_seeds(condition: Condition) -> list[Prose]:
    by_count: dict[int, list[str]] = {}
    for entry in condition.entries:
        if (count := len(entry.having("ok"))) < FEWEST_SEEDS and not condition.is_crashed(entry):
            by_count.setdefault(min(count, 3), []).append(entry.label)
    over_images = ", with Wilson's 95 % interval over images, which does not cover the luck of the seed; no rank"
    meanings = {
        0: "no finished run yet.",
        1: f"one seed, the value of one fitted model{'' if condition.metric.is_balanced else over_images}.",
        2: "two seeds, both values, no interval.",
        3: f"fewer than {FEWEST_SEEDS} seeds; the Student-t interval holds, but {FEWEST_SEEDS} are the floor for any "
        "verdict.",
    }
    return [Prose(f"{listing(names)}: {meanings[count]}") for count, names in sorted(by_count.items())]


def speed_tables(condition: Condition, peaks: Mapping[str, float]) -> tuple[tuple[Setup, Table], ...]:
    """Training times, one table for each machine, device, thread count and job count, with that setup.

    Args:
        condition: Whose runs are shown.
        peaks: Float32 operations a second of one thread (`bench.core.metadata.Timing`), by machine.
    """
    return tuple((setup, _speed_table(condition, setup, peaks.get(setup[0]))) for setup in condition.clocks)


_PASSES = 3
"""Forward passes that a training step is worth: backward computes the gradients of what comes in and of weights."""


def share_of_peak(macs: float, images_per_second: float, peak_flops: float) -> float:
    """Which part of what one thread can compute a training is worth; a multiply-accumulate is two operations."""
    return _PASSES * 2 * macs * images_per_second / peak_flops


def _peak_column(peak: float) -> ColumnOf[Entry]:
    def read(entry: Entry) -> float | None:
        runs = entry.having("ok")
        macs, speed = (median_of([getattr(run, name) for run in runs]) for name in ("macs", "train_images_per_second"))
        return None if macs is None or speed is None else share_of_peak(macs, speed, peak)

    return percent_column("Share of peak (%)", read, 0)


def _speed_table(condition: Condition, setup: Setup, peak: float | None) -> Table:
    where = describe_setup(setup, with_machine=condition.has_unlike_machines)
    shared = "; shared the machine with other runs: not ranked" if setup[-1] > 1 else ""
    apart = ""
    if condition.has_unlike_machines:
        apart = "; runs of unlike machines stand in tables of their own, and there is no order between these"
    elif len(condition.clocks) > 1:
        apart = "; runs of another machine or setting stand in a table of their own"

    def seconds_to(target: float) -> Callable[[Entry], float | None]:
        return lambda entry: estimate_time_to_target(entry.records, target).seconds

    there = [
        dataclasses.replace(entry, records=tuple(run for run in entry.records if setup_of(run) == setup))
        for entry in condition.entries
    ]
    return table_of(
        f"Training speed ({where}); medians over seeds, evaluation excluded{shared}{apart}",
        [entry for entry in there if entry.having("ok")],
        [
            text_column("Architecture", lambda entry: entry.label),
            number_column("Runs", lambda entry: len(entry.having("ok"))),
            number_column("Training (s)", lambda entry: median_of(_seconds(entry)), 1),
            text_column("Lowest to highest (s)", _extent_of_seconds, essential=False),
            number_column(
                "Training images/s", lambda e: median_of([r.train_images_per_second for r in e.having("ok")])
            ),
            *([_peak_column(peak)] if peak else []),
            *(_layout_columns(there)),
            number_column("Seconds to 95 %", seconds_to(0.95), 1),
            number_column("Seconds to 98 %", seconds_to(0.98), 1, essential=False),
        ],
    )


def _layout_columns(entries: Sequence[Entry]) -> list[ColumnOf[Entry]]:
    """How the engine ran the nets, where it did not run all of them in one way."""

    def layouts(entry: Entry) -> list[str]:
        return sorted({run.layout for run in entry.having("ok") if run.layout})

    ways = {layout for entry in entries for layout in layouts(entry)}
    return [text_column("Net was run", lambda entry: listing(layouts(entry)), essential=False)] if len(ways) > 1 else []


def _seconds(entry: Entry) -> list[float]:
    return [run.train_seconds for run in entry.having("ok") if run.train_seconds is not None]


def _extent_of_seconds(entry: Entry) -> str:
    seconds = _seconds(entry)
    return f"{min(seconds):,.1f} to {max(seconds):,.1f}" if seconds else MISSING
