"""What the gate can catch, and where it errs too often: said before it trains and beside how a check ended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bench.gate.bootstrap import FEWEST_MEASURED
from bench.gate.rates import Rates
from bench.gate.references import ALLOWED_DEVIATIONS
from bench.gate.rule import FIRST_SEEDS, FRESH_SEEDS, POWER, rule_to_catch
from bench.gate.widening import PROMISED
from bench.spec import MOST_REFERENCE_SEEDS
from bench.text import one_line
from reports.document import Cell, Column, Table
from reports.wording import number_cell, percent_cell, text_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.gate.references import Reference

_WOLF = 0.01
"""Share of harmless changes above which a floor fails too many."""
_MOST_ADVISED = 300
"""First seeds above which nobody would train a rule."""


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
        Column(name="Limit (deviations below)", essential=False),
        Column(name="Limit (%)"),
        Column(name="Caught with 98 % (pp)"),
        Column(name=f"A drop of {100 * drop:g} pp is caught (%)"),
        Column(name="Harmless change fails (%)"),
    )
    rows = tuple(_promise(reference, drop) for reference in references)
    return Table(caption="What the gate can catch", columns=columns, rows=rows)


def _promise(reference: Reference, drop: float) -> tuple[Cell, ...]:
    now, rates = reference.now, Rates(reference=reference)
    power = rates.chance_to_fail(drop)
    return (
        text_cell(reference.architecture),
        percent_cell(now.mean, 3),
        percent_cell(now.deviation, 3),
        number_cell(now.runs),
        number_cell(rates.allowed, 2),
        percent_cell(reference.limit, 3),
        percent_cell(rates.caught_drop),
        Cell(text=f"{min(100 * power, 99.9):.1f}", value=100 * power),
        Cell(text=_rate(rates), value=100 * rates.false_alarm),
    )


def _rate(rates: Rates) -> str:
    """How often harmless changes fail, in %: 30 references tell no more than the first digit."""
    if rates.widened and rates.false_alarm <= PROMISED:
        return f"below {100 * PROMISED:g}"
    return _about(rates.false_alarm) if rates.measured else f"{100 * rates.false_alarm:.3f}"


def _about(rate: float) -> str:
    """A measured rate in %, to one digit: 0.00031 → about 0.03."""
    return f"about {float(f'{100 * rate:.1g}'):g}" if rate >= 1e-5 else "below 0.001"


def rate_notes(references: Iterable[Reference]) -> list[str]:
    """Where the rates of the table come from, and whose limit was widened and why, one sentence or two each."""
    every = [Rates(reference=reference) for reference in references]
    notes = []
    if any(rates.measured for rates in every):
        notes.append(
            "How often a harmless change fails is measured on each net's own references (smoothed bootstrap) and right "
            "to a factor of about five. What none of them showed is not in it: a collapse of one seed in ten stays "
            "unseen in one of 24 recordings of 30 runs."
        )
    notes += [
        f"{one_line(rates.reference.architecture)}: its references have a left tail, so its limit lies "
        f"{rates.reference.now.allowed:g} deviations below them; at {ALLOWED_DEVIATIONS:g} {_about(rates.unwidened)} % "
        f"of harmless changes would fail. More references (--write-thresholds --seeds {_twice(rates.reference)}) would "
        "need less."
        for rates in every
        if rates.measured and rates.widened
    ]
    unmeasured = [rates for rates in every if not rates.measured]
    few = [rates for rates in unmeasured if rates.reference.now.runs < FEWEST_MEASURED]
    old = [rates for rates in unmeasured if rates not in few]
    if old:
        notes.append(f"{_names(old)}: rate by the normal formula; record again to measure it.")
    if few:
        notes.append(
            f"{_names(few)}: rate by the normal formula; fewer than {FEWEST_MEASURED} references say nothing of a tail."
        )
    return notes


def _names(every: Iterable[Rates]) -> str:
    return ", ".join(one_line(rates.reference.architecture) for rates in every)


def power_warnings(references: Sequence[Reference], drop: float) -> list[str]:
    """Where harmless changes fail too often, then where the drop that the user wants caught may stay unseen.

    Args:
        references: What architectures are held against.
        drop: The drop, an accuracy fraction.
    """
    near = [too_near(reference) for reference in references if cries_wolf(reference)]
    near += [too_loud(reference) for reference in references if is_too_loud(reference)]
    return near + [underpowered(reference, drop) for reference in references if is_underpowered(reference, drop)]


def is_underpowered(reference: Reference, drop: float) -> bool:
    """Whether a drop is caught less often than in 98 of 100 cases."""
    return Rates(reference=reference).chance_to_fail(drop) < POWER


def cries_wolf(reference: Reference) -> bool:
    """Whether a floor lies so near the mean that harmless changes fail more often than once in a hundred checks."""
    return reference.limit == reference.floors.accuracy and Rates(reference=reference).false_alarm > _WOLF


def too_near(reference: Reference) -> str:
    """That a floor fails harmless changes, and how often."""
    return (
        f"The accuracy floor of {one_line(reference.architecture)} lies so near its mean that a harmless change fails "
        f"in {100 * Rates(reference=reference).false_alarm:.0f} of 100 checks; lower it, or take it out."
    )


def is_too_loud(reference: Reference) -> bool:
    """Whether harmless changes are measured to fail more often than promised, though no floor is the reason."""
    rates = Rates(reference=reference)
    return rates.measured and reference.limit != reference.floors.accuracy and rates.false_alarm > PROMISED


def too_loud(reference: Reference) -> str:
    """That the promise does not hold for a net, and what would help."""
    return (
        f"A harmless change fails {one_line(reference.architecture)} in "
        f"{_about(Rates(reference=reference).false_alarm)} % of checks, where {100 * PROMISED:g} % are promised: some "
        "of its runs end far below the others. Fix what makes them, or record more references (--write-thresholds "
        f"--seeds {_twice(reference)})."
    )


def _twice(reference: Reference) -> int:
    """Reference runs that would tell more of a tail."""
    return min(2 * reference.now.runs, MOST_REFERENCE_SEEDS)


def underpowered(reference: Reference, drop: float) -> str:
    """That the gate may miss a drop, how little scatter would not, and which rule."""
    now, rates = reference.now, Rates(reference=reference)
    caught = rates.caught_drop
    said = (
        f"Underpowered: {one_line(reference.architecture)} may drop by {100 * drop:g} pp unseen, which is caught in "
        f"{100 * rates.chance_to_fail(drop):.1f} of 100 cases; {100 * caught:.3f} pp is caught in {100 * POWER:.0f}. "
    )
    if reference.limit == reference.floors.accuracy:
        return said + "Its floor is the limit; a higher one, or a longer budget with less scatter, catches more."
    rule = rule_to_catch(drop, caught, references=now.runs, allowed=rates.allowed)
    said += (
        f"A longer budget helps, with a deviation of {_floored(100 * drop * now.deviation / caught)} pp instead of "
        f"{100 * now.deviation:.3f}. More seeds alone do not"
    )
    if rule.first > _MOST_ADVISED:
        return said + "."
    return said + (
        f": {rule.first:,} first and {rule.fresh:,} fresh ones instead of {FIRST_SEEDS} and {FRESH_SEEDS} would catch "
        f"it under a limit {rule.allowed:.2f} instead of {rates.allowed:.2f} deviations below {rule.references:,} "
        "references, and this gate's rule is fixed."
    )


def _floored(value: float) -> str:
    """The first two digits of a positive number, not rounded up: 0.0706 → 0.07."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.floor(value / unit + 1e-9) * unit:.12g}"
