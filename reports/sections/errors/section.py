"""What nets get wrong: the error floor, confusions as heat maps and pairs, the images, and how sure the nets were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.analysis.errors import Answers, confusion_rates, find_error_floor
from bench.analysis.verdicts import BETTER, DECIDED
from bench.system.text import one_line, plural, slugify
from reports.cells import MISSING, number_column, p_text, table_of, text_column
from reports.document import MOST_LETTERED, Prose, Section, detail, those, warning
from reports.sections.errors.calibration import calibration_section
from reports.sections.errors.confusions import confused_table, confusion_figure, difference_figure
from reports.sections.errors.images import (
    ORDER,
    LabelledImages,
    apart_blocks,
    error_galleries,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from bench.analysis.conditions import Condition, Entry
    from bench.analysis.errors import Disagreement, ErrorFloor
    from bench.analysis.verdicts import PairVerdict
    from bench.core.records import Study
    from reports.document import Block


MOST_PICTURED = 8
"""Architectures whose errors are shown, the first by name."""


def error_sections(condition: Condition, study: Study, styles: Mapping[str, int]) -> tuple[Section, ...]:
    """What the nets of a condition get wrong, and how sure they are; what is not stored is left out."""
    labels = study.labels.get(condition.records[0].data_hash)
    if labels is None:
        return ()
    every = {entry.label: found for entry in condition.entries if (found := _find_answers(entry, study))}
    if not every:
        return ()
    answers = dict(list(every.items())[:MOST_PICTURED])
    pictures = study.pictures.get(condition.records[0].data_hash)
    images = LabelledImages(
        labels=labels,
        classes=_class_names(condition, every, labels),
        images=pictures.test if pictures is not None and len(pictures.test) == len(labels) else None,
        damaged=pictures is not None and pictures.damaged,
    )
    gist = "What is taken for what, the images that all nets get wrong, and where two nets differ."
    blocks = _blocks(condition, answers, every, images)
    wrong = detail("What they get wrong", f"{condition.slug}-wrong", *blocks, gist=gist)
    return those(wrong, calibration_section(condition, answers, labels, styles))


def _find_answers(entry: Entry, study: Study) -> Answers | None:
    """What an architecture's runs said; None when none of those that ended ok has stored it."""
    runs = {run.seed: run.run_id for run in entry.having("ok") if run.run_id in study.predicted}
    if not runs:
        return None
    known = all(run_id in study.confidence for run_id in runs.values())
    return Answers(
        seeds=tuple(runs),
        predicted=np.stack([study.predicted[run_id] for run_id in runs.values()]),
        confidence=np.stack([study.confidence[run_id] for run_id in runs.values()]) if known else None,
    )


def _class_names(condition: Condition, every: Mapping[str, Answers], labels: NDArray[np.uint8]) -> tuple[str, ...]:
    """Names of the classes; their numbers where the study does not say or names too few."""
    highest = max(int(labels.max()), *(int(of.predicted.max()) for of in every.values()))
    known = condition.dataset.classes if condition.dataset else ()
    return tuple(map(one_line, known)) if len(known) > highest else tuple(map(str, range(highest + 1)))


def _blocks(
    condition: Condition, answers: Mapping[str, Answers], every: Mapping[str, Answers], images: LabelledImages
) -> Iterator[Block]:
    diagonal = "what is right stands hatched on the diagonal and has no colour, so that errors show."
    if len(images.classes) > MOST_LETTERED:
        diagonal = (
            "the diagonal is what is right and has no colour, so that errors show; behind each are its largest cells."
        )
    yield Prose(
        "Answers of the final models to the test images, means over seeds. Rates are out of 10,000 images of the true "
        f"class; {diagonal}"
    )
    if len(every) > len(answers):
        yield warning(
            f"Shown are the first {len(answers)} architectures by name, of {len(every)}; the hardest images are those "
            "of all."
        )
    slug, classes = f"{condition.slug}-wrong", len(images.classes)
    rates = {label: confusion_rates(of, images.labels, classes=classes) for label, of in answers.items()}
    for number, (label, of) in enumerate(rates.items(), 1):
        yield confusion_figure(label, of, images, slug=f"{slug}-map-{number}-{slugify(label)}")
    pairs = _chosen_pairs(condition, answers)
    if pairs:
        yield from difference_figure(pairs[0], rates, images, slug=f"{slug}-difference", every=len(every))
    yield confused_table(answers, images)
    if images.images is not None:
        if galleries := [*error_galleries(answers, every, images, slug=slug)]:
            yield Prose(ORDER)
            yield from galleries
        among = len(condition.accuracy.pairs)
        yield from apart_blocks(pairs, answers, images, slug=f"{slug}-apart", every=among)
    elif images.damaged:
        yield warning(
            "The stored pictures of this data are damaged: the images themselves are not shown. Run the training "
            "command again to have them; it trains nothing that is stored."
        )
    else:
        yield Prose("No pictures of this data are stored: the images themselves are not shown.")


def _chosen_pairs(condition: Condition, answers: Mapping[str, Answers]) -> list[PairVerdict]:
    """Pairs to look at closely: better, then equivalent, then those with the highest means; by difference or name."""
    means = condition.accuracy.means

    def place(pair: PairVerdict) -> tuple[float, ...]:
        apart = abs(pair.differences.mean) if pair.differences else 0.0
        if pair.verdict in DECIDED:
            return (0 if pair.verdict in BETTER else 1, -apart)
        lower, higher = sorted(means.get(name, 0.0) for name in (pair.a, pair.b))
        return (2, -lower, -higher)

    shown = [pair for pair in condition.accuracy.pairs if {pair.a, pair.b} <= answers.keys()]
    return sorted(shown, key=place)[:3]


_MOST_IMAGES = 30
"""Images that nobody gets right that are named by their number."""


def error_section(condition: Condition, study: Study) -> Section | None:
    """Who is wrong on which test images; None while no run has stored predictions."""
    stored = {
        entry.label: [r for r in entry.having("ok") if r.run_id in study.predicted] for entry in condition.entries
    }
    answers = {label: {run.seed: study.predicted[run.run_id] for run in of} for label, of in stored.items() if of}
    if not answers:
        return None
    floor = find_error_floor(answers, study.labels[condition.records[0].data_hash])
    seeds = {label: len(of) for label, of in answers.items()}
    gist = "How many test images no net gets right, and how many only one of two nets does."
    return detail("Error floor", f"{condition.slug}-errors", *_floor_blocks(floor, seeds), gist=gist)


def _floor_blocks(floor: ErrorFloor, seeds: Mapping[str, int]) -> Iterator[Block]:
    everyone = len(floor.everyone)
    text = f"Of {floor.images:,} test images {everyone:,} {'is' if everyone == 1 else 'are'} wrong in every run of all."
    if everyone:
        shown = ", ".join(map(str, floor.everyone[:_MOST_IMAGES]))
        more = f" and {everyone - _MOST_IMAGES:,} more" if everyone > _MOST_IMAGES else ""
        text += f" Their numbers in the test set, from 0: {shown}{more}."
    yield Prose(text)
    yield table_of(
        f"Wrong test images of {floor.images:,}",
        sorted(floor.architectures.items()),
        [
            text_column("Architecture", lambda row: row[0]),
            number_column("Mean over seeds", lambda row: row[1].mean, 1),
            number_column("Wrong with at least one seed", lambda row: row[1].ever),
            number_column("Wrong with every seed", lambda row: row[1].always),
            number_column("Seeds", lambda row: seeds[row[0]]),
        ],
    )
    if not floor.pairs:
        return
    yield Prose(
        "McNemar's test compares two fitted models on the same images. It speaks of these two models and not of "
        "the architectures, whose other seeds give other models, and is not corrected for the number of pairs."
    )
    yield table_of(
        "Two architectures on the same images, means over their shared seeds",
        floor.pairs,
        [
            text_column("A and B", lambda pair: f"{pair.a} and {pair.b}"),
            number_column("Images answered differently", lambda pair: pair.differ, 1),
            number_column("Right by A alone", lambda pair: pair.only_a, 1),
            number_column("Right by B alone", lambda pair: pair.only_b, 1),
            number_column("Wrong by both", lambda pair: pair.both_wrong, 1),
            text_column("Exact McNemar p", _mcnemar_text),
        ],
    )


def _mcnemar_text(pair: Disagreement) -> str:
    """The p of one seed's two models, or in how many seeds the two models differ."""
    if not pair.p_mcnemar:
        return MISSING
    if len(pair.p_mcnemar) == 1:
        return f"{p_text(pair.p_mcnemar[0])} (seed {pair.seeds[0]})"
    below = sum(p < 0.05 for p in pair.p_mcnemar)
    return f"below 0.05 in {below} of {plural(len(pair.seeds), 'seed')}"
