"""Studies of two to ten nets on twenty made-up images, and what the report's sections on their errors hold."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from bench.analysis.conditions import find_conditions
from bench.core.metadata import DataPictures
from reports.document import Figure, Gallery, Heatmap, Section, Table
from reports.sections.errors.section import error_sections
from tests.factories import make_run, study_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bench.core.records import Study

SEEDS = range(6)
LABELS = np.repeat(np.arange(10), 2).astype(np.uint8)  # images 8 and 9 are fours
PICTURES = DataPictures(
    test=np.stack([np.full((1, 28, 28), 10 * number, np.uint8) for number in range(20)]),
    samples=np.zeros((0, 1, 28, 28), np.uint8),
    sample_labels=np.zeros(0, np.uint8),
    sample_indices=np.zeros(0, np.int32),
)


def made_up(
    wrong: Mapping[str, Mapping[tuple[int, int], int]],
    *,
    accuracy: Mapping[str, float] | None = None,
    seeds: Iterable[int] = SEEDS,
) -> Study:
    """A study whose nets are 75 % sure, and right but for what `wrong` says: by seed and image, the class given."""
    runs, predicted, confidence = [], {}, {}
    for net, errors in wrong.items():
        for seed in seeds:
            record, curve = make_run(net, seed=seed)
            value = (accuracy or {}).get(net, 0.99) + 0.0001 * seed * (len(net) % 3)
            record = dataclasses.replace(record, test_accuracy=value, test_loss=0.03)
            runs.append((record, curve))
            answers = LABELS.copy()
            for (of_seed, image), given in errors.items():
                if of_seed == seed:
                    answers[image] = given
            predicted[record.run_id] = answers
            confidence[record.run_id] = np.full(20, 0.75, np.float32)
    study = study_of(*runs)
    return dataclasses.replace(
        study, predicted=predicted, confidence=confidence, labels={"da7a": LABELS}, pictures={"da7a": PICTURES}
    )


def every_four_is_a_nine() -> Study:
    """A net that says 9 for every 4, and one that once takes the first zero for a 6."""
    nines = {(seed, image): 9 for seed in SEEDS for image in (8, 9)}
    return made_up({"lenet21k": {(2, 0): 6}, "conv16k": nines}, accuracy={"lenet21k": 0.995, "conv16k": 0.9})


def sections_of(study: Study) -> tuple[Section, ...]:
    """What the report says of their errors, and of how sure they were."""
    (condition,) = find_conditions(study)
    styles = {entry.label: number for number, entry in enumerate(condition.entries)}
    return error_sections(condition, study, styles)


def figures_of(section: Section) -> list[Figure]:
    """Its figures, in order."""
    return [block for block in section.blocks if isinstance(block, Figure)]


def galleries_of(section: Section) -> dict[str, Gallery]:
    """Its galleries by title."""
    return {block.title: block for block in section.blocks if isinstance(block, Gallery)}


def tables_of(section: Section) -> list[Table]:
    """Its tables, in order."""
    return [block for block in section.blocks if isinstance(block, Table)]


def heat_of(figure: Figure) -> Heatmap:
    """The one panel of a figure that is a heat map."""
    (panel,) = figure.panels
    assert isinstance(panel, Heatmap)
    return panel
