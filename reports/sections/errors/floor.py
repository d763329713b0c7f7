"""Which images are wrong, from stored predictions: the error floor, disagreement, and McNemar for fitted models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.analysis.errors import find_error_floor
from bench.system.text import plural
from reports.cells import MISSING, number_column, p_text, table_of, text_column
from reports.document import Prose, Section, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.analysis.conditions import Condition
    from bench.analysis.errors import Disagreement, ErrorFloor
    from bench.core.records import Study

_MOST_IMAGES = 30
"""Images that nobody gets right that are named by their number."""


def error_section(condition: Condition, study: Study) -> Section | None:
    """Who is wrong on which test images; None while no run has stored predictions."""
    if condition.selected_on_test:
        return None
    answers: dict[str, dict[int, NDArray[np.uint8]]] = {}
    for entry in condition.entries:
        found = {run.seed: study.predicted[run.run_id] for run in entry.having("ok") if run.run_id in study.predicted}
        if found:
            answers[entry.label] = found
    if not answers:
        return None
    floor = find_error_floor(answers, study.labels[condition.records[0].data_hash])
    blocks: list[Prose | Table] = [Prose(_floor_text(floor)), _errors_table(floor, answers)]
    if floor.pairs:
        text = (
            "McNemar's test compares two fitted models on the same images. It speaks of these two models and not of "
            "the architectures, whose other seeds give other models, and is not corrected for the number of pairs."
        )
        blocks += [Prose(text), _pairs_table(floor)]
    return Section(title="Error floor", slug=f"{condition.slug}-errors", blocks=tuple(blocks), level=3, detail=True)


def _floor_text(floor: ErrorFloor) -> str:
    everyone = len(floor.everyone)
    text = f"Of {floor.images:,} test images {everyone:,} {'is' if everyone == 1 else 'are'} wrong in every run of all."
    if everyone:
        shown = ", ".join(map(str, floor.everyone[:_MOST_IMAGES]))
        more = f" and {everyone - _MOST_IMAGES:,} more" if everyone > _MOST_IMAGES else ""
        text += f" Their numbers in the test set, from 0: {shown}{more}."
    return text


def _errors_table(floor: ErrorFloor, answers: dict[str, dict[int, NDArray[np.uint8]]]) -> Table:
    return table_of(
        f"Wrong test images of {floor.images:,}",
        sorted(floor.architectures.items()),
        [
            text_column("Architecture", lambda row: row[0]),
            number_column("Mean over seeds", lambda row: row[1].mean, 1),
            number_column("Wrong with at least one seed", lambda row: row[1].ever),
            number_column("Wrong with every seed", lambda row: row[1].always),
            number_column("Seeds", lambda row: len(answers[row[0]])),
        ],
    )


def _pairs_table(floor: ErrorFloor) -> Table:
    return table_of(
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
