"""The gate as tables: what it can catch, said before it trains, and how a check ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.gate.references import ALLOWED_DEVIATIONS
from bench.gate.rule import (
    FIRST_SEEDS,
    FRESH_SEEDS,
    POWER,
    caught_drop,
    chance_to_fail,
    seeds_to_catch,
)
from reports.document import Cell, Column, Document, Prose, Section, Table
from reports.wording import MISSING, number_cell, one_line, percent, percent_cell, plural, text_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.gate.outcome import GateOutcome, Judgement
    from bench.gate.references import Reference

_WOLF = 0.01
_SHOWN_LINES = 20
"""Last lines of a traceback that are shown."""


def gate_document(outcome: GateOutcome) -> Document:
    """How a check ended, for `gate.md`."""
    return Document(title="Regression gate", lead=gate_lead(outcome), sections=gate_sections(outcome))


def gate_summary(outcome: GateOutcome, *, promised: bool) -> Document:
    """The same for the terminal, without the table of what it can catch.

    Args:
        outcome: How it ended.
        promised: Whether that table stood before the training; where not, its warnings stand here.
    """
    lead = gate_lead(outcome) if promised else (*gate_lead(outcome), *_warnings(outcome))
    return Document(title="Regression gate", lead=lead, sections=gate_sections(outcome)[:1])


def gate_lead(outcome: GateOutcome) -> tuple[Prose, ...]:
    """The answer in words, the failures first."""
    named = [judgement for judgement in outcome.judgements if not judgement.passed]
    passed = len(outcome.judgements) - len(named)
    verdict = "passed" if outcome.passed else "FAILED" if outcome.regressed else "could not be judged"
    answer = f"The gate {verdict}: {passed} of {plural(len(outcome.judgements), 'architecture')} passed."
    lines = [Prose(text=answer, tone="plain" if outcome.passed else "warning")]
    lines += [Prose(text=f"{one_line(of.architecture)}: {one_line(of.reason)}", tone="warning") for of in named]
    if outcome.regressed:
        lines.append(Prose(text="Where the change is meant, --write-thresholds in place of --check records it anew."))
    lines += [Prose(text=one_line(note), tone="warning") for note in outcome.notes]
    return tuple(lines)


def gate_sections(outcome: GateOutcome) -> tuple[Section, ...]:
    """How a check ended, what it could have caught, and how the references drifted."""
    rule = (
        f"Trained: {outcome.trained}, against {outcome.file}. {FIRST_SEEDS} fixed seeds first; "
        f"an architecture fails when their mean validation accuracy lies more than {ALLOWED_DEVIATIONS:g} standard "
        f"deviations below the references', or below a floor, and that of {FRESH_SEEDS} fresh seeds does as well. Only "
        "one split and validation images are used; the test set is not looked at."
    )
    judged = Section(
        title="Gate",
        slug="gate",
        blocks=(Prose(text=one_line(rule)), _judgement_table(outcome.judgements), *_details(outcome.judgements)),
    )
    references = [judgement.reference for judgement in outcome.judgements if judgement.reference]
    if not references:
        return (judged,)
    promise = Section(
        title="What the gate can catch",
        slug="gate-power",
        blocks=(*_warnings(outcome), promise_table(references, outcome.drop), *_history(references)),
        level=3,
        detail=True,
    )
    return judged, promise


def _warnings(outcome: GateOutcome) -> list[Prose]:
    """Where the drop that the user wants caught may stay unseen."""
    references = [judgement.reference for judgement in outcome.judgements if judgement.reference]
    weak = [reference for reference in references if is_underpowered(reference, outcome.drop)]
    near = [reference for reference in references if cries_wolf(reference)]
    texts = [too_near(reference) for reference in near] + [underpowered(reference, outcome.drop) for reference in weak]
    return [Prose(text=text, tone="warning") for text in texts]


def promise_table(references: Iterable[Reference], drop: float) -> Table:
    """What a check would catch, by architecture.

    Args:
        references: What they are held against.
        drop: The drop that the user wants caught, an accuracy fraction.
    """
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name="Reference (%)"),
        Column(name="Deviation (pp)"),
        Column(name="Runs", essential=False),
        Column(name="Limit (%)"),
        Column(name="Caught with 98 % (pp)"),
        Column(name=f"A drop of {100 * drop:g} pp is caught (%)"),
        Column(name="Harmless change fails (%)"),
    )
    rows = tuple(_promise(reference, drop) for reference in references)
    return Table(caption="What the gate can catch", columns=columns, rows=rows)


def _promise(reference: Reference, drop: float) -> tuple[Cell, ...]:
    now = reference.now
    power, false_alarm = (_chance(reference, lost) for lost in (drop, 0.0))
    caught = caught_drop(now.runs, _allowed(reference)) * now.deviation
    return (
        text_cell(reference.architecture),
        percent_cell(now.mean, 3),
        percent_cell(now.deviation, 3),
        number_cell(now.runs),
        percent_cell(reference.limit, 3),
        percent_cell(caught),
        Cell(text=f"{min(100 * power, 99.9):.1f}", value=100 * power),
        Cell(text=f"{100 * false_alarm:.3f}", value=100 * false_alarm),
    )


def _allowed(reference: Reference) -> float:
    """Standard deviations by which a stage may lie below the references: fewer where a floor lies higher."""
    return (reference.now.mean - reference.limit) / reference.now.deviation


def _chance(reference: Reference, drop: float) -> float:
    """Of a failure after a drop, an accuracy fraction."""
    now = reference.now
    return chance_to_fail(drop / now.deviation, references=now.runs, allowed=_allowed(reference))


def _history(references: Sequence[Reference]) -> list[Table]:
    """Earlier references beside the ones that count, where there are any."""
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name="Recorded", numeric=False),
        Column(name="Mean (%)"),
        Column(name="Deviation (pp)"),
        Column(name="Runs"),
        Column(name="Trained", numeric=False),
    )
    rows = tuple(
        (
            text_cell(reference.architecture),
            text_cell(measured.recorded),
            percent_cell(measured.mean, 3),
            percent_cell(measured.deviation, 3),
            number_cell(measured.runs),
            text_cell(measured.trained),
        )
        for reference in references
        if reference.history
        for measured in (reference.now, *reference.history)
    )
    return [Table(caption="References over time, the latest first", columns=columns, rows=rows)] if rows else []


def is_underpowered(reference: Reference, drop: float) -> bool:
    """Whether a drop is caught less often than in 98 of 100 cases."""
    return _chance(reference, drop) < POWER


def cries_wolf(reference: Reference) -> bool:
    """Whether a floor lies so near the mean that harmless changes fail more often than once in a hundred checks."""
    return reference.limit == reference.floors.accuracy and _chance(reference, 0.0) > _WOLF


def too_near(reference: Reference) -> str:
    """That a floor fails harmless changes, and how often."""
    return (
        f"The accuracy floor of {one_line(reference.architecture)} lies so near its mean that a harmless change fails "
        f"in {100 * _chance(reference, 0.0):.0f} of 100 checks; lower it, or take it out."
    )


def underpowered(reference: Reference, drop: float) -> str:
    """That the gate may miss a drop, and how many seeds would not."""
    now = reference.now
    first, fresh, runs = seeds_to_catch(drop, now.deviation, references=now.runs)
    caught = 100 * caught_drop(now.runs, _allowed(reference)) * now.deviation
    power = 100 * _chance(reference, drop)
    return (
        f"Underpowered: {one_line(reference.architecture)} may drop by {100 * drop:g} pp unseen, which is caught in "
        f"{power:.1f} of 100 cases; {caught:.3f} pp is caught in {100 * POWER:.0f}. It would take {first:,} first and "
        f"{fresh:,} fresh seeds instead of {FIRST_SEEDS} and {FRESH_SEEDS}, and {runs:,} references instead of "
        f"{now.runs:,}, or a longer budget with less scatter."
    )


def _judgement_table(judgements: Sequence[Judgement]) -> Table:
    columns = (
        Column(name="Architecture", numeric=False),
        Column(name="Verdict", numeric=False),
        Column(name="Mean (%)"),
        Column(name="Reference (%)"),
        Column(name="Limit (%)"),
        Column(name="First seeds (%)", numeric=False, essential=False),
        Column(name="Fresh seeds (%)", numeric=False, essential=False),
        Column(name="Why", numeric=False),
    )
    caption = "Validation accuracy against the references; the mean is that of the seeds that decided"
    return Table(caption=caption, columns=columns, rows=tuple(map(_judgement_row, judgements)))


def _judgement_row(judgement: Judgement) -> tuple[Cell, ...]:
    reference = judgement.reference
    verdict = "not judged" if judgement.passed is None else "passed" if judgement.passed else "FAILED"
    stages = [", ".join(map(percent, stage.accuracies)) for stage in judgement.stages]
    return (
        text_cell(judgement.architecture),
        Cell(text=verdict),
        percent_cell(judgement.mean, 3),
        percent_cell(reference.now.mean if reference else None, 3),
        percent_cell(reference.limit if reference else None, 3),
        *(Cell(text=stages[at] if at < len(stages) else MISSING) for at in range(2)),
        text_cell(judgement.reason),
    )


def _details(judgements: Sequence[Judgement]) -> list[Prose]:
    """Where runs failed, the end of each traceback."""
    return [
        Prose(text=f"{one_line(of.architecture)}: {one_line(' | '.join(of.detail.splitlines()[-_SHOWN_LINES:]))}")
        for of in judgements
        if of.detail
    ]
