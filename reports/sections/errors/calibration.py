"""How sure nets are beside how often they are right: reliability curve, expected calibration error, log loss."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.analysis.stats.calibration import BINS, estimate_mean, find_reliability
from bench.system.text import listing, percent, plural
from reports.cells import MISSING, column, number_column, percent_column, table_of, text_column
from reports.document import Cell, Figure, Panel, Point, Prose, Section, Series, detail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bench.analysis.conditions import Condition, Entry
    from bench.analysis.errors import Answers
    from bench.analysis.stats.calibration import Bin, MeanEstimate, Reliability
    from reports.document import Block

_FEWEST_ANSWERS = 20
"""Answers that a bin must hold, over all seeds, to have a point."""


def calibration_section(
    condition: Condition, answers: Mapping[str, Answers], labels: NDArray[np.uint8], styles: Mapping[str, int]
) -> Section | None:
    """Whether confidence can be believed; None where no run has stored it."""
    found = {
        label: find_reliability(of.confidence, of.predicted == labels)
        for label, of in answers.items()
        if of.confidence is not None
    }
    blocks = _blocks(condition, answers, found, styles)
    gist = "Whether a net that is 90 % sure is right in 90 % of such images."
    return detail("How sure they are", f"{condition.slug}-calibration", *blocks, gist=gist) if found else None


def _blocks(
    condition: Condition, answers: Mapping[str, Answers], found: Mapping[str, Reliability], styles: Mapping[str, int]
) -> Iterator[Block]:
    yield Prose(
        "An answer given with 90 % confidence should be right nine times of ten. The expected calibration error is how "
        f"far the two are apart, over {BINS} bins of equal width, weighted by their answers. Log loss (nats) punishes "
        "sure mistakes most. Intervals are Student's, over seeds. Points of few answers scatter; below zero, a net is "
        "surer than it should be."
    )
    both = {
        entry.label: _paired(entry, answers[entry.label].seeds, found[entry.label].errors)
        for entry in condition.entries
        if entry.label in found
    }
    yield table_of(
        "Calibration on the test set, mean over seeds and 95 % interval",
        both.items(),
        [
            text_column("Architecture", lambda row: row[0]),
            column(
                "Expected calibration error (pp)",
                lambda row: _estimate_cell(estimate_mean([100 * error for error in row[1][0]]), 2),
            ),
            column("Log loss (nats)", lambda row: _estimate_cell(estimate_mean(row[1][1]), 4)),
            number_column("Seeds", lambda row: len(row[1][0])),
        ],
    )
    if left_out := sum(len(found[label].errors) - len(errors) for label, (errors, _) in both.items()):
        yield Prose(
            f"The table leaves out {plural(left_out, 'run')} without a finite log loss, so that both of its numbers "
            "are of the same seeds; the figure has all."
        )
    if curves := {label: bins for label, of in found.items() if (bins := of.bins(_FEWEST_ANSWERS))}:
        yield _figure(f"{condition.slug}-reliability", curves, styles)
    if without := sorted(answers.keys() - found.keys()):
        yield Prose(f"No confidence is stored for every run of {listing(without)}.")


def _paired(
    entry: Entry, seeds: tuple[int, ...], errors: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Calibration errors and log losses of the seeds that have both; the errors alone where no run has a log loss."""
    known = {run.seed: run.test_loss for run in entry.having("ok")}
    both = [
        (error, loss)
        for seed, error in zip(seeds, errors, strict=True)
        if (loss := known.get(seed)) is not None and math.isfinite(loss)
    ]
    return (tuple(error for error, _ in both), tuple(loss for _, loss in both)) if both else (errors, ())


def _estimate_cell(estimate: MeanEstimate, digits: int) -> Cell:
    if estimate.mean is None:
        return Cell(MISSING)
    ends = None if estimate.low is None or estimate.high is None else (estimate.low, estimate.high)
    within = f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})" if ends else ""
    return Cell(f"{estimate.mean:.{digits}f}{within}", value=estimate.mean, interval=ends)


def _figure(slug: str, curves: Mapping[str, list[Bin]], styles: Mapping[str, int]) -> Figure:
    points = {
        label: tuple(Point(x=100 * each.sure, y=100 * (each.right - each.sure)) for each in curve)
        for label, curve in curves.items()
    }
    series = tuple(Series(label=label, style=styles[label], points=of) for label, of in points.items())
    x_label, y_label = "Confidence (%), mean of the bin", "Right less confidence (pp)"
    panel = Panel(title="Reliability", x_label=x_label, y_label=y_label, series=series, target=0.0)

    def bin_cell(number: int) -> Cell:
        return Cell(f"{percent(number / BINS, 1)} to {percent((number + 1) / BINS, 1)}", 100 * number / BINS)

    return Figure(
        slug=slug,
        title="Reliability: how often right less how sure, zero where confidence can be believed",
        alt=_alt(curves),
        panels=(panel,),
        table=table_of(
            f"Answers by confidence, all seeds together; bins under {plural(_FEWEST_ANSWERS, 'answer')} left out",
            [(label, each) for label, curve in curves.items() for each in curve],
            [
                text_column("Architecture", lambda row: row[0]),
                column("Confidence (%)", lambda row: bin_cell(row[1].number)),
                number_column("Answers", lambda row: row[1].answers),
                percent_column("Mean confidence (%)", lambda row: row[1].sure),
                percent_column("Right (%)", lambda row: row[1].right),
            ],
        ),
    )


def _alt(curves: Mapping[str, list[Bin]]) -> str:
    """Of each architecture the bin that adds most to the error: the furthest from zero may hold a handful."""
    parts = []
    for label, curve in curves.items():
        most = max(curve, key=lambda each: each.answers * abs(each.sure - each.right))
        said = f"{percent(most.right, 1)} % right when {percent(most.sure, 1)} % sure"
        parts.append(f"{label} {said} ({plural(most.answers, 'answer')})")
    return f"Share right less confidence, by confidence; what adds most to the error: {'; '.join(parts)}."
