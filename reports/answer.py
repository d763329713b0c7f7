"""The answer to "which net is best?", as data and as one sentence: no more than the verdicts carry."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.analysis.ranking import find_unbeaten
from bench.analysis.stats.estimates import median_of
from bench.analysis.verdicts import BETTER, PairVerdict, Verdict
from bench.core.seeds import FEWEST_SEEDS
from bench.system.text import listing, percent, plural, span
from reports.sections.comparison import accuracy_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.analysis.conditions import Condition, Entry

_MOST_NAMED = 4
"""Nets that the sentence names in a row; of more it says how many."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """Which nets of a condition may be best.

    Attributes:
        unbeaten: Those that no other is judged better than, the one first that more others are worse than; the best is
            one of them. Empty while no pair could be judged.
        is_decided: Whether the first of them is called best: it is alone there.
        beaten: Pairs in which the first is the better one, the runner-up first.
        alike: Nets that cannot be told apart from the first, those equivalent to it left out, in order of their means.
        equivalent: Nets that are equivalent to the first.
        text: All of it in one sentence.
    """

    unbeaten: tuple[str, ...] = ()
    is_decided: bool = False
    beaten: tuple[PairVerdict, ...] = ()
    alike: tuple[str, ...] = ()
    equivalent: tuple[str, ...] = ()
    text: str


def find_answer(condition: Condition) -> Answer:
    """The answer that the verdicts of a condition give on accuracy."""
    comparison = condition.accuracy
    names = sorted(comparison.means, key=lambda name: (-comparison.means[name], name))
    if len(names) < 2:
        return Answer(text=_alone(condition, names))
    if not any(pair.p is not None for pair in comparison.pairs):
        return Answer(text=_too_few(condition, names))
    won = {name: [pair for pair in comparison.pairs if pair.winner == name] for name in names}
    unbeaten = sorted(find_unbeaten(names, comparison.pairs), key=lambda name: -len(won[name]))
    if not unbeaten:  # pairs are judged on the seeds that both share, so that each may be beaten by another
        return Answer(text="No net can be called best: each is judged worse than another, on other seeds.")
    first = unbeaten[0]
    others = {pair.other(first): pair for pair in comparison.pairs if first in (pair.a, pair.b)}
    open_names = [name for name in names if name in others and others[name].verdict not in BETTER]
    found = Answer(
        unbeaten=tuple(unbeaten),
        is_decided=len(unbeaten) == 1,
        beaten=tuple(sorted(won[first], key=lambda pair: names.index(pair.other(first)))),
        alike=tuple(name for name in open_names if others[name].verdict != Verdict.EQUIVALENT),
        equivalent=tuple(name for name in open_names if others[name].verdict == Verdict.EQUIVALENT),
        text="",
    )
    shown = f"Of the {len(condition.entries)} shown: " if condition.beside else ""  # one that is not may be better
    return dataclasses.replace(found, text=f"{shown}{_text(found, condition)}")


def _text(answer: Answer, condition: Condition) -> str:
    first, lead = answer.unbeaten[0], _lead(answer, condition)
    if answer.is_decided:
        by = " by balanced accuracy" if condition.metric.is_balanced else ""
        return f"{first} is best{by}: {'; '.join([lead, *_open(answer)])}."
    pairs = [pair for pair in condition.accuracy.pairs if {pair.a, pair.b} <= {*answer.unbeaten}]
    if all(pair.never for pair in pairs):
        return f"No net can be called best: {_named(answer.unbeaten)} learned nothing on any seed."
    margin = f"{condition.accuracy.metric.scale * condition.accuracy.metric.margin:.2f} pp"
    also = f"; {first} is {lead}" if lead else ""
    if all(pair.verdict == Verdict.EQUIVALENT for pair in pairs):
        same = "the same" if not any(any(p.differences.values) for p in pairs if p.differences) else f"within {margin}"
        start = f"{_named(answer.unbeaten)} are {'best, and ' if lead else ''}equivalent ({same})"
        return f"{start}{also}." if lead else f"No net can be called best: {start}."
    alike = sum(pair.verdict == Verdict.EQUIVALENT for pair in pairs)
    nobody = len(answer.unbeaten) == len(condition.accuracy.means) and not alike
    told = f"none of the {len(pairs)} pairs can be told apart yet" if nobody and len(pairs) > 1 else ""
    some = f" ({alike} of their {len(pairs)} pairs {'is' if alike == 1 else 'are'} equivalent)" if alike else ""
    return f"No net can be called best: {told or f'{_named(answer.unbeaten)} cannot be told apart yet{some}'}{also}."


def _alone(condition: Condition, names: Sequence[str]) -> str:
    if not names:
        return "No net can be called best: no run has ended with a result."
    accuracy = accuracy_of(next(entry for entry in condition.entries if entry.label == names[0]), condition)
    if accuracy.mean is None:
        return f"No net can be called best: {names[0]} alone has results."
    ends = "" if accuracy.low is None or accuracy.high is None else f" ({span(accuracy.low, accuracy.high)} %)"
    why = "there is no other to compare"
    if condition.beside:
        why = "no other is shown here"
    elif len(condition.entries) > 1:
        why = "no other has a result"
    if condition.metric.is_balanced:
        return f"{names[0]} has a balanced accuracy of {percent(accuracy.mean)} %{ends}; {why}."
    return f"{names[0]} gets {percent(accuracy.mean)} %{ends} of the test images right; {why}."


def _too_few(condition: Condition, names: Sequence[str]) -> str:
    most = max(pair.n for pair in condition.accuracy.pairs)
    shown = " of those shown" if condition.beside else ""
    so_far = f"{names[0]} has the highest mean{shown} so far, which may be luck"
    return (
        f"No net can be called best: {plural(most, 'shared seed')} of two nets {'is' if most == 1 else 'are'} too few "
        f"for a verdict, {FEWEST_SEEDS} are the floor; {so_far}."
    )


def _lead(answer: Answer, condition: Condition) -> str:
    """`0.12 pp better than lenet21k at 19× its parameters, 0.21 to 0.25 pp better than bn25k and conv16k`."""
    if not answer.beaten:
        return ""
    first, (nearest, *rest) = answer.unbeaten[0], answer.beaten
    entries = {entry.label: entry for entry in condition.entries}
    runner_up = nearest.other(first)
    parts = [f"{_better(nearest, first, condition)}{_cost(entries[first], entries[runner_up], condition)}"]
    for typical_only in (False, True):
        pairs = [pair for pair in rest if pair.typical_only == typical_only]
        names = _named([pair.other(first) for pair in pairs])
        amounts = sorted({_amount(pair, condition) for pair in pairs}, key=float)
        gain = " to ".join(dict.fromkeys([*amounts[:1], *amounts[-1:]]))
        if pairs:
            better = "better on typical seeds than" if typical_only else f"{gain} pp better than"
            parts.append(f"{better} {names}")
    return ", ".join(parts)


def _better(pair: PairVerdict, first: str, condition: Condition) -> str:
    other, found = pair.other(first), pair.differences
    if not pair.typical_only or found is None:
        return f"{_amount(pair, condition)} pp better than {other}"
    won = found.wins if pair.a == first else pair.n - found.wins
    return f"better than {other} on {won:g} of {plural(pair.n, 'seed')}"


def _amount(pair: PairVerdict, condition: Condition) -> str:
    return f"{condition.accuracy.metric.scale * abs(pair.differences.mean if pair.differences else 0.0):.2f}"


def _cost(one: Entry, other: Entry, condition: Condition) -> str:
    """What one net costs beside another: ` at 17× its parameters and 1.7× its training time`; empty where alike.

    Times count only where all runs were timed in one way on one machine, and the budget is not one of seconds.
    """
    timed = len(condition.clocks) == 1 and not (condition.budget and condition.budget.seconds)
    costs = [
        ("parameters", lambda run: run.params),
        *([("training time", lambda run: run.train_seconds)] if timed else []),
    ]
    parts = []
    for name, read in costs:
        mine, its = (median_of(_known(map(read, entry.having("ok")))) for entry in (one, other))
        if mine and its and _times(mine / its) != "1×":
            parts.append(f"{_times(mine / its)} its {name}")
    return f" at {listing(parts)}" if parts else ""


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _times(ratio: float) -> str:
    """A ratio to two digits: 17×, 1.7×, 0.34×."""
    return f"{float(f'{ratio:.2g}'):,.10g}×"


def _open(answer: Answer) -> list[str]:
    parts = []
    if answer.equivalent:
        parts.append(f"{_named(answer.equivalent)} {_are(answer.equivalent)} equivalent to it")
    if answer.alike:
        parts.append(f"{_named(answer.alike)} cannot be told apart from it yet")
    return parts


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _named(names: Sequence[str]) -> str:
    return listing([*names]) if len(names) <= _MOST_NAMED else f"{names[0]} and {len(names) - 1} others"
