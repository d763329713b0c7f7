"""Whether tuning changed who is better than whom: the verdicts on pairs of architectures, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from bench.stats.verdicts import BETTER, Verdict
from reports.document import Prose
from reports.wording import first_ones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.stats.verdicts import PairVerdict
    from reports.conditions import Condition
    from reports.gains import Contest

_Words: TypeAlias = dict[tuple[str, str], str]
"""By pair of architectures in alphabetical order: the name of the better one, or the verdict."""


def order_sentences(contest: Contest, conditions: Sequence[Condition]) -> list[Prose]:
    """Which verdicts on pairs of architectures differ between default and tuned recipes; nothing under two of them.

    Args:
        contest: Architectures that were tuned on the same data for the same epochs.
        conditions: Of the study; the tables of default and of tuned runs are among them.
    """
    before, after = (_verdicts(contest, conditions, tuned=tuned) for tuned in (False, True))
    shared = sorted(before.keys() & after.keys())
    if not shared:
        return []
    differ = [pair for pair in shared if before[pair] != after[pair]]
    turned = [pair for pair in differ if {before[pair], after[pair]} == set(pair)]
    if not differ:
        every = f"all {len(shared)} pairs have" if len(shared) > 1 else "the one pair has"
        return [
            Prose(text=f"Tuning did not change the order: {every} the same verdict with default and tuned recipes.")
        ]
    sentences = []
    if turned:
        parts = [
            f"{before[pair]} is better than {after[pair]} with default recipes, and worse when tuned" for pair in turned
        ]
        sentences.append(f"Tuning changed the order: {'; '.join(first_ones(parts))}.")
    else:
        sentences.append("Tuning turned no pair round: nobody who was better is worse when tuned.")
    if others := [pair for pair in differ if pair not in turned]:
        parts = [f"{a} against {b}: {_worded(before[a, b])} before, {_worded(after[a, b])} tuned" for a, b in others]
        sentences.append(
            f"Verdicts that differ otherwise: {'; '.join(first_ones(parts))}. Undecided does not mean equal, so that "
            "going from or to it is no change of order by itself."
        )
    return [Prose(text=" ".join(sentences))]


def _verdicts(contest: Contest, conditions: Sequence[Condition], *, tuned: bool) -> _Words:
    """What the table of default or of tuned runs says of the architectures that were tuned."""
    single = [gain for gain in contest.gains if len(gain.tuning.objectives) == 1]  # a front has no place in an order
    labels = {run.run_id: gain.label for gain in single for run in (gain.later if tuned else gain.earlier)}
    found: _Words = {}
    for condition in conditions:
        if condition.records[0].recipe_name.startswith("tuned") != tuned:
            continue
        names = {
            entry.label: labels[run.run_id]
            for entry in condition.entries
            for run in entry.records
            if run.run_id in labels
        }
        for pair in condition.accuracy.pairs:
            if pair.a in names and pair.b in names:
                key = (min(names[pair.a], names[pair.b]), max(names[pair.a], names[pair.b]))
                found.setdefault(key, _word(pair, names[pair.a], names[pair.b]))
    return found


def _word(pair: PairVerdict, a: str, b: str) -> str:
    if pair.verdict in BETTER:
        return a if pair.verdict == Verdict.A_BETTER else b
    return pair.verdict.value


def _worded(word: str) -> str:
    return word if word in (Verdict.EQUIVALENT, Verdict.UNDECIDED, Verdict.TOO_FEW_SEEDS) else f"{word} better"
