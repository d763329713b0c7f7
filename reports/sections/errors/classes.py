"""How nets do class by class: scores in which classes of any size count alike, and the accuracy of each class."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.analysis.stats.estimates import estimate_accuracy
from bench.system.text import isolate, listing, one_line, percent, plural, span
from reports.cells import MISSING, column, number_column, percent_cell, table_of, text_column
from reports.document import Cell, Prose, Section, detail
from reports.sections.errors.section import MOST_PICTURED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.analysis.conditions import Condition, Entry
    from bench.analysis.stats.classwise import ClassScores
    from bench.analysis.stats.estimates import AccuracyEstimate
    from bench.core.records import RunRecord
    from reports.cells import ColumnOf
    from reports.document import Table


def describe_uneven(condition: Condition) -> str:
    """How uneven the classes of its test images are, what that does to accuracy, and how to judge otherwise."""
    images, names = condition.class_images, [*map(isolate, _class_names(condition))]
    largest = images.index(most := max(images))
    smallest = images.index(least := min(count for count in images if count))
    text = (
        f"The classes of {one_line(condition.records[0].dataset)} differ in size: of {sum(images):,} test images "
        f"{most:,} are of class {names[largest]} and {least:,} of class {names[smallest]}, so that whoever always says "
        f"{names[largest]} gets {percent(most / sum(images), 1)} % of them right."
    )
    if condition.metric.is_balanced:
        return text
    return (
        f"{text} Verdicts are on accuracy, in which a class counts by its images; --report --metric balanced_accuracy "
        "judges these runs by the mean over the classes. Choose one before you look: whoever takes what pleases has "
        "two chances of being wrong."
    )


def score_table(condition: Condition) -> Table | None:
    """Accuracy beside the scores in which every class counts alike.

    None where the classes are about as large and verdicts are on plain accuracy, or where no answers are stored.
    """
    if not condition.class_images or not (condition.uneven or condition.metric.is_balanced):
        return None

    def score(name: str, read: Callable[[RunRecord], float | None]) -> ColumnOf[Entry]:
        def cell(entry: Entry) -> Cell:
            known = [value for run in entry.having("ok") if (value := read(run)) is not None]
            return _estimate_cell(estimate_accuracy(known, images=None))

        return column(name, cell)

    def of_scores(name: str) -> Callable[[RunRecord], float | None]:
        return lambda run: getattr(condition.scores[run.run_id], name) if run.run_id in condition.scores else None

    return table_of(
        "Accuracy, and what counts every class alike: balanced accuracy is the mean over the classes of the share of "
        "their images that is right, macro-F1 that of the harmonic mean of this share and of the share of the answers "
        "that is right; on test images, means over seeds with 95 % intervals (Student's t)",
        condition.entries,
        [
            text_column("Architecture", lambda entry: entry.label),
            score("Accuracy (%)", lambda run: run.test_accuracy),
            score("Balanced accuracy (%)", of_scores("balanced_accuracy")),
            score("Macro-F1 (%)", of_scores("macro_f1")),
            number_column("Seeds", lambda entry: len(entry.having("ok"))),
        ],
    )


def class_section(condition: Condition) -> Section | None:
    """What share of each class every net gets right; None while no run has stored its answers."""
    every = {
        entry.label: [condition.scores[run.run_id] for run in entry.having("ok") if run.run_id in condition.scores]
        for entry in condition.entries
    }
    scores = dict([(label, of) for label, of in every.items() if of][:MOST_PICTURED])
    if not scores:
        return None
    gist = "Which classes each net gets right how often, with intervals over seeds."
    blocks = (Prose(_introduce(scores, condition)), _class_table(scores, condition))
    return detail("Accuracy by class", f"{condition.slug}-classes", *blocks, gist=gist)


def _introduce(scores: Mapping[str, Sequence[ClassScores]], condition: Condition) -> str:
    text = (
        "The share of the test images of each class that is right: mean over seeds, with Student's 95 % interval. It "
        "covers the luck of the seed on these images and not that of the images, which is large where a class has few."
    )
    if any(len(runs) == 1 for runs in scores.values()):
        text += " With one seed it is Wilson's interval over the images, and speaks of that one fitted model."
    names, lowest = _class_names(condition), []
    for label, runs in scores.items():
        means = {at: _mean_recall(runs, at) for at, images in enumerate(condition.class_images) if images}
        worst = min(means, key=means.__getitem__)
        if means[worst] < max(means.values()):
            lowest.append(f"{label} {percent(means[worst])} % of {isolate(names[worst])}")
    if lowest:
        text += f" The lowest of each: {listing(lowest)}."
    if len(condition.entries) > len(scores) == MOST_PICTURED:
        text += f" Shown are the first {plural(MOST_PICTURED, 'architecture')} by name."
    return text


def _mean_recall(runs: Sequence[ClassScores], label: int) -> float:
    return statistics.fmean(scores.recalls[label] for scores in runs)


def _class_table(scores: Mapping[str, Sequence[ClassScores]], condition: Condition) -> Table:
    images, names = condition.class_images, _class_names(condition)

    def right(label: str) -> ColumnOf[int]:
        def cell(number: int) -> Cell:
            recalls = [found.recalls[number] for found in scores[label]]
            return _estimate_cell(estimate_accuracy(recalls, images=images[number]))

        return column(f"{label} (%)", cell)

    return table_of(
        "Test images of each class that are right, in %",
        range(len(images)),
        [
            text_column("Class", lambda number: names[number]),
            number_column("Test images", lambda number: images[number]),
            *map(right, scores),
        ],
    )


def _class_names(condition: Condition) -> list[str]:
    """Names in label order; numbers where the study does not say them, or names too few."""
    count, known = len(condition.class_images), condition.dataset.classes if condition.dataset else ()
    return [*map(one_line, known)] if len(known) >= count else [*map(str, range(count))]


def _estimate_cell(found: AccuracyEstimate) -> Cell:
    """A share in % with its interval, `93.21 (92.80 to 93.62)`; of two seeds both values, of one without images it."""
    if found.mean is None:
        return Cell(MISSING)
    if len(found.values) == 2:
        return Cell(" and ".join(map(percent, found.values)), 100 * found.mean)
    if found.low is None or found.high is None:
        return percent_cell(found.mean)
    text = f"{percent(found.mean)} ({span(found.low, found.high)})"
    return Cell(text, 100 * found.mean, (100 * found.low, 100 * found.high))
