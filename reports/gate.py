"""How a check of the gate ended, in words and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.gate.references import ALLOWED_DEVIATIONS
from bench.gate.rule import FIRST_SEEDS, FRESH_SEEDS
from bench.text import one_line
from reports.document import Cell, Column, Document, Prose, Section, Table
from reports.gate_power import power_warnings, promise_table, rate_notes
from reports.wording import MISSING, number_cell, percent, percent_cell, plural, text_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.gate.outcome import GateOutcome, Judgement
    from bench.gate.references import Reference

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
        f"deviations below the references'{_wider(outcome)}, or below a floor, and that of {FRESH_SEEDS} fresh seeds "
        "does as well. Only one split and validation images are used; the test set is not looked at."
    )
    judged = Section(
        title="Gate",
        slug="gate",
        blocks=(Prose(text=one_line(rule)), _judgement_table(outcome.judgements), *_details(outcome.judgements)),
    )
    references = outcome.references
    if not references:
        return (judged,)
    promise = Section(
        title="What the gate can catch",
        slug="gate-power",
        blocks=(
            *_warnings(outcome),
            promise_table(references, outcome.drop),
            *_notes(references),
            *_history(references),
        ),
        level=3,
        detail=True,
    )
    return judged, promise


def _wider(outcome: GateOutcome) -> str:
    """Whose limit lies lower, in brackets."""
    wider = [of for of in outcome.references if of.now.allowed > ALLOWED_DEVIATIONS]
    return f" ({', '.join(f'{of.architecture} {of.now.allowed:g}' for of in wider)})" if wider else ""


def _notes(references: Sequence[Reference]) -> list[Prose]:
    return [Prose(text=text) for text in rate_notes(references)]


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


def _warnings(outcome: GateOutcome) -> list[Prose]:
    texts = power_warnings(outcome.references, outcome.drop)
    return [Prose(text=text, tone="warning") for text in texts]


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
