"""How many seeds of each architecture collapsed, in sentences: the second statement beside every verdict."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bench.looks import ALPHA
from bench.stats.collapses import FEWEST_TO_COMPARE, p_of_collapses
from reports.document import Prose
from reports.wording import first_ones, listing, percent, plural

if TYPE_CHECKING:
    from bench.stats.collapses import Collapses
    from reports.conditions import Condition

RULE = (
    "A seed has collapsed when its run diverged, ended at chance level, or ended more than eight robust standard "
    "deviations below the median of its own net (six seeds at least)"
)
"""docs/methodology.md, "Reliability"."""


def untrained_sentences(condition: Condition) -> list[Prose]:
    """Which architectures learned nothing on any seed, so that no verdict says anything of them."""
    shown = {entry.label: condition.collapses[entry.label] for entry in condition.entries}
    names = [label for label, found in shown.items() if found.seeds and found.typical is None]
    if not names:
        return []
    verb = "has" if len(names) == 1 else "have"
    text = (
        f"On {condition.title}, {listing(first_ones(names))} {verb} learned nothing on any seed: with this recipe a "
        "verdict says nothing of the net; try another recipe, as with a smaller --lr."
    )
    return [Prose(text=text, tone="warning")]


def reliability_sentences(condition: Condition) -> list[Prose]:
    """Which architectures collapsed on how many seeds, and what the others may still hide; nothing without a value."""
    shown = {entry.label: condition.collapses[entry.label] for entry in condition.entries}
    there = {label: found for label, found in shown.items() if found.seeds}
    fallen = {label: found for label, found in there.items() if found.collapsed}
    lines = []
    if fallen:
        parts = first_ones([_describe(label, found) for label, found in fallen.items()])
        lines.append(Prose(text=f"Reliability: {'; '.join(parts)}. {RULE}.", tone="warning"))
    if more := [text for names, text in _compared(condition.collapses) if set(names) <= there.keys()]:
        lines.append(Prose(text=f"{'; '.join(first_ones(more))} (Fisher's exact test, Holm)."))
    if there and len(fallen) < len(there):
        fewest = min(len(found.seeds) for label, found in there.items() if label not in fallen)
        bound = 1 - ALPHA ** (1 / fewest)
        whose = "No seed collapsed" if not fallen else "No seed of the others collapsed"
        meaning = "" if fallen else " (diverged, stayed at chance or ended far below its net's others)"
        text = (
            f"{whose}{meaning}; with {plural(fewest, 'seed')} of a net, up to {percent(bound, 0)} % of all its seeds "
        )
        lines.append(Prose(text=f"{text}may still do so (95 % bound)."))
    return lines


def _describe(label: str, found: Collapses) -> str:
    """`bnrelu collapses: 1 of 9 seeds (at most 43 % would); typical 93.6 %, mean 89.1 %`."""
    counted = f"{len(found.collapsed)} of {plural(len(found.seeds), 'seed')}"
    text = f"{label} collapsed on {counted} (at most {percent(found.upper_bound, 0)} % of seeds would)"
    if found.typical is None or found.mean is None:
        return text
    return f"{text}: typical {percent(found.typical)} %, mean {percent(found.mean)} %"


def _compared(there: dict[str, Collapses]) -> list[tuple[tuple[str, str], str]]:
    """Pairs that collapse unlike often, and how to say it, from ten seeds on, Holm over those that could be tested."""
    tested = [
        (p, a, b)
        for a, b in itertools.combinations(there, 2)
        if min(len(there[a].seeds), len(there[b].seeds)) >= FEWEST_TO_COMPARE
        and (p := p_of_collapses(there[a], there[b])) is not None
    ]
    found = []
    for at, (p, a, b) in enumerate(sorted(tested)):
        if p * (len(tested) - at) >= ALPHA:
            break
        share = {name: len(there[name].collapsed) / len(there[name].seeds) for name in (a, b)}
        more, less = sorted((a, b), key=lambda name: -share[name])
        found.append(((a, b), f"{more} collapses more often than {less}"))
    return found
