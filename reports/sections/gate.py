"""How a check of the gate ended, and what the gate can catch, in words and as tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.core.seeds import MOST_REFERENCE_SEEDS
from bench.core.work.gate import ALLOWED_DEVIATIONS
from bench.studies.gate.rule import FEWEST_MEASURED, FIRST_SEEDS, FRESH_SEEDS, POWER, PROMISED, Rates, rule_to_catch
from bench.system.text import one_line, percent, plural
from reports.cells import MISSING, column, last_lines, number_column, percent_column, table_of, text_column
from reports.document import Cell, Code, Document, Prose, Section, Table, detail, failure, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.core.work.gate import GateOutcome, Judgement, Reference
    from reports.document import Block


def promise_table(references: Iterable[Reference], drop: float) -> Table:
    """What a check would catch, by architecture; `drop` is what the user wants caught, an accuracy fraction."""

    def power(rates: Rates) -> Cell:
        share = 100 * rates.chance_to_fail(drop)
        return Cell(f"{min(share, 99.9):.1f}", share)

    return table_of(
        "What the gate can catch",
        [Rates(reference=reference) for reference in references],
        [
            text_column("Architecture", lambda rates: rates.reference.architecture),
            percent_column("Reference (%)", lambda rates: rates.reference.now.mean, 3),
            percent_column("Deviation (pp)", lambda rates: rates.reference.now.deviation, 3),
            number_column("Runs", lambda rates: rates.reference.now.runs, essential=False),
            number_column("Limit (deviations below)", lambda rates: rates.allowed, 2, essential=False),
            percent_column("Limit (%)", lambda rates: rates.reference.limit, 3),
            percent_column("Caught with 98 % (pp)", lambda rates: rates.caught_drop),
            column(f"A drop of {100 * drop:g} pp is caught (%)", power),
            column("Harmless change fails (%)", lambda rates: Cell(_rate(rates), 100 * rates.false_alarm)),
        ],
    )


def _rate(rates: Rates) -> str:
    """How often harmless changes fail, in %: 30 references tell no more than the first digit."""
    if rates.widened and rates.false_alarm <= PROMISED:
        return f"below {100 * PROMISED:g}"
    return _about(rates.false_alarm) if rates.measured else f"{100 * rates.false_alarm:.3f}"


def _about(rate: float) -> str:
    """A measured rate in %, to one digit: 0.00031 → about 0.03."""
    return f"about {float(f'{100 * rate:.1g}'):g}" if rate >= 1e-5 else "below 0.001"


def rate_notes(references: Iterable[Reference]) -> Iterator[str]:
    """Where the rates of the table come from, and whose limit was widened and why, one sentence or two each."""
    every = [(one_line(reference.architecture), reference.now, Rates(reference=reference)) for reference in references]
    if any(rates.measured for *_, rates in every):
        yield (
            "How often a harmless change fails is measured on each net's own references (smoothed bootstrap) and right "
            "to a factor of about five. What none of them showed is not in it: a collapse of one seed in ten stays "
            "unseen in one of 24 recordings of 30 runs."
        )
    for name, now, rates in every:
        if rates.measured and rates.widened:
            yield (
                f"{name}: its references have a left tail, so its limit lies {now.allowed:g} deviations below them; at "
                f"{ALLOWED_DEVIATIONS:g} {_about(rates.unwidened)} % of harmless changes would fail. More references "
                f"(--write-thresholds --seeds {_twice(rates.reference)}) would need less."
            )
    why = f"fewer than {FEWEST_MEASURED} references say nothing of a tail"
    for few, reason in ((False, "record again to measure it"), (True, why)):
        names = [name for name, now, rates in every if not rates.measured and (now.runs < FEWEST_MEASURED) == few]
        if names:
            yield f"{', '.join(names)}: rate by the normal formula; {reason}."


def power_warnings(references: Sequence[Reference], drop: float) -> list[str]:
    """Where harmless changes fail too often, then where the drop (a fraction) that the user wants caught may not be."""
    every = [*map(too_near, references), *map(too_loud, references), *(underpowered(of, drop) for of in references)]
    return [text for text in every if text]


def too_near(reference: Reference) -> str:
    """That a floor lies so near the mean that harmless changes fail more than once in a hundred checks, else empty."""
    false_alarm = Rates(reference=reference).false_alarm
    if reference.limit != reference.floors.accuracy or false_alarm <= 0.01:
        return ""
    return (
        f"The accuracy floor of {one_line(reference.architecture)} lies so near its mean that a harmless change fails "
        f"in {100 * false_alarm:.0f} of 100 checks; lower it, or take it out."
    )


def too_loud(reference: Reference) -> str:
    """That harmless changes are measured to fail more often than promised and no floor is the reason, else empty."""
    rates = Rates(reference=reference)
    if not rates.measured or reference.limit == reference.floors.accuracy or rates.false_alarm <= PROMISED:
        return ""
    return (
        f"A harmless change fails {one_line(reference.architecture)} in {_about(rates.false_alarm)} % of checks, where "
        f"{100 * PROMISED:g} % are promised: some of its runs end far below the others. Fix what makes them, or record "
        f"more references (--write-thresholds --seeds {_twice(reference)})."
    )


def _twice(reference: Reference) -> int:
    """Reference runs that would tell more of a tail."""
    return min(2 * reference.now.runs, MOST_REFERENCE_SEEDS)


def underpowered(reference: Reference, drop: float) -> str:
    """That the gate catches a drop in less than 98 of 100 cases, how little scatter or which rule would; else empty."""
    now, rates = reference.now, Rates(reference=reference)
    caught, chance = rates.caught_drop, rates.chance_to_fail(drop)
    if chance >= POWER:
        return ""
    said = (
        f"Underpowered: {one_line(reference.architecture)} may drop by {100 * drop:g} pp unseen, which is caught in "
        f"{100 * chance:.1f} of 100 cases; {100 * caught:.3f} pp is caught in {100 * POWER:.0f}. "
    )
    if reference.limit == reference.floors.accuracy:
        return said + "Its floor is the limit; a higher one, or a longer budget with less scatter, catches more."
    rule = rule_to_catch(drop, caught, references=now.runs, allowed=rates.allowed)
    fixed = (
        f": {rule.first:,} first and {rule.fresh:,} fresh ones instead of {FIRST_SEEDS} and {FRESH_SEEDS} would catch "
        f"it under a limit {rule.allowed:.2f} instead of {rates.allowed:.2f} deviations below {rule.references:,} "
        "references, and this gate's rule is fixed"
    )
    return said + (
        f"A longer budget helps, with a deviation of {_floored(100 * drop * now.deviation / caught)} pp instead of "
        f"{100 * now.deviation:.3f}. More seeds alone do not{'' if rule.first > 300 else fixed}."  # nobody trains more
    )


def _floored(value: float) -> str:
    """The first two digits of a positive number, not rounded up: 0.0706 → 0.07."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.floor(value / unit + 1e-9) * unit:.12g}"


def gate_document(outcome: GateOutcome) -> Document:
    """How a check ended, for `gate.md`."""
    return Document(title="Regression gate", lead=tuple(gate_lead(outcome)), sections=gate_sections(outcome))


def gate_summary(outcome: GateOutcome, *, promised: bool) -> Document:
    """The same for the terminal, without the table of what it can catch; its warnings too unless it was `promised`."""
    warnings = () if promised else map(warning, power_warnings(outcome.references, outcome.drop))
    lead = (*gate_lead(outcome), *warnings)
    return Document(title="Regression gate", lead=lead, sections=gate_sections(outcome)[:1])


def gate_lead(outcome: GateOutcome) -> Iterator[Prose]:
    """The answer in words, the failures first."""
    named = [judgement for judgement in outcome.judgements if not judgement.passed]
    passed = len(outcome.judgements) - len(named)
    verdict = "passed" if outcome.passed else "FAILED" if outcome.regressed else "could not be judged"
    answer = f"The gate {verdict}: {passed} of {plural(len(outcome.judgements), 'architecture')} passed."
    yield Prose(answer) if outcome.passed else failure(answer)
    yield from (failure(f"{one_line(of.architecture)}: {one_line(of.reason)}") for of in named)
    if any(of.passed is False and not of.detail for of in outcome.judgements):  # nobody means a crash
        yield Prose("Where the change is meant, --write-thresholds in place of --check records it anew.")
    yield from (warning(one_line(note)) for note in outcome.notes)


_POWER_GIST = "How large a drop of each net would be noticed, how often a harmless change fails, and older references."


def gate_sections(outcome: GateOutcome) -> tuple[Section, ...]:
    """How a check ended, what it could have caught, and how the references drifted."""
    wider = [of for of in outcome.references if of.now.allowed > ALLOWED_DEVIATIONS]
    lower = f" ({', '.join(f'{of.architecture} {of.now.allowed:g}' for of in wider)})" if wider else ""
    rule = (
        f"Trained: {outcome.trained}, against {outcome.file}. {FIRST_SEEDS} fixed seeds first; "
        f"an architecture fails when their mean validation accuracy lies more than {ALLOWED_DEVIATIONS:g} standard "
        f"deviations below the references'{lower}, or below a floor, and that of {FRESH_SEEDS} fresh seeds "
        "does as well. Only one split and validation images are used; the test set is not looked at."
    )
    failures = [  # the end of each traceback
        block
        for of in outcome.judgements
        if of.detail
        for block in (Prose(f"{one_line(of.architecture)}:"), Code(last_lines(of.detail), language="text"))
    ]
    blocks: tuple[Block, ...] = (Prose(one_line(rule)), _judgement_table(outcome.judgements), *failures)
    judged = Section(title="Gate", slug="gate", blocks=blocks)
    references = outcome.references
    can_catch: tuple[Block, ...] = (
        *map(warning, power_warnings(references, outcome.drop)),
        promise_table(references, outcome.drop),
        *map(Prose, rate_notes(references)),
        *([_history(references)] if any(reference.history for reference in references) else []),
    )
    return (
        (judged, detail("What the gate can catch", "gate-power", *can_catch, gist=_POWER_GIST))
        if references
        else (judged,)
    )


def _history(references: Sequence[Reference]) -> Table:
    """Earlier references beside the ones that count."""
    rows = [
        (reference.architecture, measured)
        for reference in references
        if reference.history
        for measured in (reference.now, *reference.history)
    ]
    return table_of(
        "References over time, the latest first",
        rows,
        [
            text_column("Architecture", lambda row: row[0]),
            text_column("Recorded", lambda row: row[1].recorded),
            percent_column("Mean (%)", lambda row: row[1].mean, 3),
            percent_column("Deviation (pp)", lambda row: row[1].deviation, 3),
            number_column("Runs", lambda row: row[1].runs),
            text_column("Trained", lambda row: row[1].trained),
        ],
    )


def _judgement_table(judgements: Sequence[Judgement]) -> Table:
    return table_of(
        "Validation accuracy against the references; the mean is that of the seeds that decided",
        judgements,
        [
            text_column("Architecture", lambda judgement: judgement.architecture),
            text_column("Verdict", lambda judgement: _VERDICTS[judgement.passed]),
            percent_column("Mean (%)", lambda judgement: judgement.mean, 3),
            percent_column("Reference (%)", lambda j: j.reference.now.mean if j.reference else None, 3),
            percent_column("Limit (%)", lambda j: j.reference.limit if j.reference else None, 3),
            text_column("First seeds (%)", lambda judgement: _accuracies(judgement, 0), essential=False),
            text_column("Fresh seeds (%)", lambda judgement: _accuracies(judgement, 1), essential=False),
            text_column("Why", lambda judgement: judgement.reason),
        ],
    )


_VERDICTS = {None: "not judged", True: "passed", False: "FAILED"}


def _accuracies(judgement: Judgement, stage: int) -> str:
    return ", ".join(map(percent, judgement.stages[stage].accuracies)) if stage < len(judgement.stages) else MISSING
