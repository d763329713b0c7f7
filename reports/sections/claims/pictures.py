"""Pictures of claims: the claimed value over the seeds of each completion, the claimed curve on the measured band."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.analysis.stats.estimates import student_interval
from bench.core.work.claims.claim import PAIRED, TRENDS
from bench.studies.claims.words import number_of
from bench.system.text import one_line
from reports.cells import MISSING, ColumnOf, number_column, table_of, text_column
from reports.document import Figure, Panel, Point, Series

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.core.work.claims.judged import CaseResult, JudgedClaim

_FEWEST = 3
"""Seeds from which a picture says more than a number."""
_NAMES = {
    "accuracy": "accuracy (%)",
    "loss": "loss (nats)",
    "epochs": "epochs",
    "whole epochs": "epochs",
    "seconds": "seconds",
}


def claim_figures(judged: JudgedClaim) -> Iterator[Figure]:
    """The picture of a claim; none where there are too few runs, or nothing to draw."""
    cases = [case for case in judged.cases if case.n >= _FEWEST]
    rule = judged.claim.rule
    if not cases or rule == "confusions":
        return
    if rule == "series":
        yield _curve(judged, cases[0])
    elif rule in (*PAIRED, *TRENDS):
        yield _differences(judged, cases)
    else:
        yield _values(judged, cases)


def _factor(case: CaseResult) -> float:
    return 100.0 if case.quantity.kind == "accuracy" else 1.0


def _values(judged: JudgedClaim, cases: list[CaseResult]) -> Figure:
    """Every seed as a point, a column a completion; the claimed value is the line, a range two series of one point."""
    claim, factor = judged.claim, _factor(cases[0])
    ends = [factor * number.value for number in claim.printed]
    series = [
        Series(
            label=case.label,
            style=at,
            points=tuple(Point(x=at + 0.02 * (i % 5), y=factor * v) for i, v in enumerate(case.values.values())),
        )
        for at, case in enumerate(cases)
    ]
    if len(ends) == 2:
        width = max(1, len(cases) - 1) + 0.2
        band = tuple(Point(x=x, y=ends[1]) for x in (-0.2, width)), tuple(Point(x=x, y=ends[0]) for x in (-0.2, width))
        series += [
            Series(label=f"claimed: {text}", style=len(cases) + at, points=points, stepped=True)
            for at, (points, text) in enumerate(zip(band, reversed(claim.claimed), strict=True))
        ]
    panel = Panel(
        title=claim.id,
        x_label="completion",
        y_label=f"{_name(cases[0])}, a point a seed",
        series=tuple(series),
        joined=False,
        x_ticks=tuple(float(at) for at in range(len(cases))),
        target=ends[0] if len(ends) == 1 else None,
    )
    claimed = " to ".join(claim.claimed)
    alt = f"{claim.text}: the claimed {claimed} as a line over the runs of each completion; {judged.verdict}."
    return _figure(judged, [panel], cases, alt)


def _curve(judged: JudgedClaim, case: CaseResult) -> Figure:
    """The claimed numbers as a line over mean and range of the runs."""
    claim, factor = judged.claim, _factor(case)
    measured = tuple(
        Point(
            x=float(at),
            y=factor * statistics.fmean(of.values()),
            low=factor * min(of.values()),
            high=factor * max(of.values()),
        )
        for at, of in zip(claim.at, case.series, strict=True)
        if of
    )
    claimed = tuple(
        Point(x=float(at), y=factor * number.value) for at, number in zip(claim.at, claim.printed, strict=True)
    )
    series = (
        Series(label=f"measured: {case.label}, mean and range", style=0, points=measured),
        Series(label="claimed", style=3, points=claimed),
    )
    of_batches = case.quantity.name == "batch_loss"
    panel = Panel(
        title=claim.id, x_label="batch" if of_batches else "epoch", y_label=_name(case), series=series,
        x_ticks=tuple(map(float, claim.at)) if len(claim.at) <= 12 else (),
    )  # fmt: skip
    alt = f"{claim.text}: the claimed curve over the band of the runs; {judged.verdict}."
    return _figure(judged, [panel], [case], alt)


def _differences(judged: JudgedClaim, cases: list[CaseResult]) -> Figure:
    """Each condition's mean difference with Student's 95 % interval, a panel a unit; zero is the line."""
    kinds = dict.fromkeys(case.quantity.kind for case in cases)
    panels = [
        _difference_panel(judged.claim.id, [case for case in cases if case.quantity.kind == kind]) for kind in kinds
    ]
    alt = f"{judged.claim.text}: differences of each condition with their intervals about zero; {judged.verdict}."
    return _figure(judged, panels, cases, alt)


def _difference_panel(title: str, cases: list[CaseResult]) -> Panel:
    factor = _factor(cases[0])
    series = []
    for at, case in enumerate(cases):
        against = case.against or {}
        gaps = [value - against[seed] for seed, value in case.values.items() if seed in against]
        low, high = student_interval(gaps)
        point = Point(x=float(at), y=factor * statistics.fmean(gaps), low=factor * low, high=factor * high)
        series.append(Series(label=case.label, style=at, points=(point,)))
    unit = "pp" if cases[0].quantity.kind == "accuracy" else _NAMES[cases[0].quantity.kind]
    return Panel(
        title=title,
        x_label="condition",
        y_label=f"difference ({unit}), 95 % interval",
        series=tuple(series),
        joined=False,
        x_ticks=tuple(float(at) for at in range(len(cases))),
        target=0.0,
    )


def _name(case: CaseResult) -> str:
    words = {"test_accuracy": "test", "train_accuracy": "training", "train_loss": "training", "batch_loss": "batch"}
    return f"{words.get(case.quantity.name, '')} {_NAMES.get(case.quantity.kind, '')}".strip()


def _figure(judged: JudgedClaim, panels: Sequence[Panel], cases: list[CaseResult], alt: str) -> Figure:
    rows = [(case, seed, value) for case in cases for seed, value in case.values.items()]

    def against(case: CaseResult, seed: int) -> str:
        return number_of(case.against[seed], case.quantity.kind) if case.against and seed in case.against else MISSING

    columns: list[ColumnOf[tuple[CaseResult, int, float]]] = [
        text_column("Case", lambda row: row[0].label),
        number_column("Seed", lambda row: row[1]),
        text_column("Value", lambda row: number_of(row[2], row[0].quantity.kind)),
    ]
    if any(case.against is not None for case in cases):
        name = "After the first epoch named" if judged.claim.rule in TRENDS else "Held against"
        columns.append(text_column(name, lambda row: against(row[0], row[1])))
    return Figure(
        slug=f"claim-{judged.claim.id.lower()}",
        title=one_line(f"{judged.claim.id}: {judged.claim.text}"),
        alt=alt,
        panels=tuple(panels),
        table=table_of(f"The runs of {judged.claim.id}", rows, columns),
    )
