"""What the gate can catch, and where it errs too often: said before it trains and beside how a check ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.gate.rule import FIRST_SEEDS, FRESH_SEEDS, POWER, caught_drop, chance_to_fail, seeds_to_catch
from reports.document import Cell, Column, Table
from reports.wording import number_cell, one_line, percent_cell, text_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.gate.references import Reference

_WOLF = 0.01
"""Share of harmless changes above which a floor fails too many."""


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


def power_warnings(references: Sequence[Reference], drop: float) -> list[str]:
    """Which floors fail harmless changes, then where the drop that the user wants caught may stay unseen.

    Args:
        references: What architectures are held against.
        drop: The drop, an accuracy fraction.
    """
    near = [too_near(reference) for reference in references if cries_wolf(reference)]
    return near + [underpowered(reference, drop) for reference in references if is_underpowered(reference, drop)]


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
