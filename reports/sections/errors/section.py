"""What nets get wrong: confusions as heat maps and pairs, the images themselves, and how sure the nets were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.analysis.errors import Answers, confusion_rates
from bench.analysis.verdicts import BETTER, DECIDED
from bench.system.text import one_line, slugify
from reports.document import Prose, Section
from reports.sections.errors.calibration import calibration_section
from reports.sections.errors.confusions import confused_table, confusion_figure, difference_figure
from reports.sections.errors.galleries import ORDER, LabelledImages, apart_blocks, error_galleries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from bench.analysis.conditions import Condition, Entry
    from bench.analysis.verdicts import PairVerdict
    from bench.core.records import Study
    from reports.document import Block

MOST_PICTURED = 8
"""Architectures whose errors are shown, the first by name."""

_MOST_PAIRS = 3


def error_sections(condition: Condition, study: Study, styles: Mapping[str, int]) -> tuple[Section, ...]:
    """What the nets of a condition get wrong, and how sure they are; what is not stored is left out.

    Args:
        condition: Its runs.
        study: What the store holds.
        styles: Number of each architecture's colour, by label.
    """
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
    blocks = _blocks(condition, answers, every, images)
    section = Section(title="What they get wrong", slug=f"{condition.slug}-wrong", blocks=blocks, level=3, detail=True)
    calibration = calibration_section(condition, answers, labels, styles)
    return (section,) if calibration is None else (section, calibration)


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
) -> tuple[Block, ...]:
    text = (
        "Answers of the final models to the test images, means over seeds. Rates are out of 10,000 images of the true "
        "class; what is right stands hatched on the diagonal and has no colour, so that errors show."
    )
    blocks: list[Block] = [Prose(text=text)]
    if len(every) > len(answers):
        text = (
            f"Shown are the first {len(answers)} architectures by name, of {len(every)}; the hardest images are those "
            "of all."
        )
        blocks.append(Prose(text=text, tone="warning"))
    slug, classes = f"{condition.slug}-wrong", len(images.classes)
    rates = {label: confusion_rates(of, images.labels, classes=classes) for label, of in answers.items()}
    blocks += [
        confusion_figure(label, of, images, slug=f"{slug}-map-{number}-{slugify(label)}")
        for number, (label, of) in enumerate(rates.items(), 1)
    ]
    pairs = _chosen_pairs(condition, answers)
    if pairs:
        blocks += difference_figure(pairs[0], rates, images, slug=f"{slug}-difference", every=len(every))
    blocks.append(confused_table(answers, images))
    if images.images is None:
        return (*blocks, _without_images(images))
    if galleries := error_galleries(answers, every, images, slug=slug):
        blocks += [Prose(text=ORDER), *galleries]
    among = len(condition.accuracy.pairs)
    return (*blocks, *apart_blocks(pairs, answers, images, slug=f"{slug}-apart", every=among))


def _without_images(test: LabelledImages) -> Prose:
    if not test.damaged:
        return Prose(text="No pictures of this data are stored: the images themselves are not shown.")
    text = (
        "The stored pictures of this data are damaged: the images themselves are not shown. Run the training command "
        "again to have them; it trains nothing that is stored."
    )
    return Prose(text=text, tone="warning")


def _chosen_pairs(condition: Condition, answers: Mapping[str, Answers]) -> list[PairVerdict]:
    """Pairs to look at closely: better, then equivalent, then those with the highest means; by difference or name."""
    means = condition.accuracy.means

    def place(pair: PairVerdict) -> tuple[float, ...]:
        apart = abs(pair.differences.mean) if pair.differences else 0.0
        if pair.verdict in BETTER:
            return (0, -apart)
        if pair.verdict in DECIDED:
            return (1, -apart)
        return (
            2,
            -min(means.get(pair.a, 0.0), means.get(pair.b, 0.0)),
            -max(means.get(pair.a, 0.0), means.get(pair.b, 0.0)),
        )

    shown = [pair for pair in condition.accuracy.pairs if {pair.a, pair.b} <= answers.keys()]
    return sorted(shown, key=place)[:_MOST_PAIRS]
