"""Which images are wrong, from stored predictions: the error floor, disagreement, and McNemar for fitted models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.analysis.errors import find_error_floor
from bench.system.text import plural
from reports.cells import MISSING, number_cell, p_text
from reports.document import Cell, Column, Prose, Section, Table, numbers_table

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
    answers: dict[str, dict[int, NDArray[np.uint8]]] = {}
    for entry in condition.entries:
        found = {run.seed: study.predicted[run.run_id] for run in entry.having("ok") if run.run_id in study.predicted}
        if found:
            answers[entry.label] = found
    if not answers:
        return None
    floor = find_error_floor(answers, study.labels[condition.records[0].data_hash])
    blocks: list[Prose | Table] = [Prose(text=_floor_text(floor)), _errors_table(floor, answers)]
    if floor.pairs:
        text = (
            "McNemar's test compares two fitted models on the same images. It speaks of these two models and not of "
            "the architectures, whose other seeds give other models, and is not corrected for the number of pairs."
        )
        blocks += [Prose(text=text), _pairs_table(floor)]
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
    names = ("Mean over seeds", "Wrong with at least one seed", "Wrong with every seed", "Seeds")
    rows = (
        (
            Cell(text=name),
            number_cell(errors.mean, 1),
            number_cell(errors.ever),
            number_cell(errors.always),
            number_cell(len(answers[name])),
        )
        for name, errors in sorted(floor.architectures.items())
    )
    return numbers_table(f"Wrong test images of {floor.images:,}", names, rows)


def _pairs_table(floor: ErrorFloor) -> Table:
    return Table(
        caption="Two architectures on the same images, means over their shared seeds",
        columns=(
            Column(name="A and B", numeric=False),
            Column(name="Images answered differently"),
            Column(name="Right by A alone"),
            Column(name="Right by B alone"),
            Column(name="Wrong by both"),
            Column(name="Exact McNemar p", numeric=False),
        ),
        rows=tuple(
            (
                Cell(text=f"{pair.a} and {pair.b}"),
                number_cell(pair.differ, 1),
                number_cell(pair.only_a, 1),
                number_cell(pair.only_b, 1),
                number_cell(pair.both_wrong, 1),
                Cell(text=_mcnemar_text(pair)),
            )
            for pair in floor.pairs
        ),
    )


def _mcnemar_text(pair: Disagreement) -> str:
    """The p of one seed's two models, or in how many seeds the two models differ."""
    if not pair.p_mcnemar:
        return MISSING
    if len(pair.p_mcnemar) == 1:
        return f"{p_text(pair.p_mcnemar[0])} (seed {pair.seeds[0]})"
    below = sum(p < 0.05 for p in pair.p_mcnemar)
    return f"below 0.05 in {below} of {plural(len(pair.seeds), 'seed')}"
