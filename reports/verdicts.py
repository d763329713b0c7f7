"""Who is better than whom, in sentences: worded so that nobody can read more into them than they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.looks import FEWEST_SEEDS
from bench.stats.power import POWER
from bench.stats.ranking import better_pairs
from bench.stats.verdicts import PairVerdict, Verdict
from reports.document import Prose
from reports.wording import first_ones, listing, plural, signed

if TYPE_CHECKING:
    from bench.stats.comparison import Comparison
    from bench.stats.metrics import Metric

_MOST_SENTENCES = 6
"""Architectures whose victories the first lines name; the table has them all."""

_NOUNS = {"pp": "percentage points", "epochs": "epochs"}


def verdict_sentences(comparison: Comparison) -> list[Prose]:
    """What was found, what is undecided and how many seeds that would take; nothing for fewer than two architectures.

    Args:
        comparison: On test accuracy or on epochs to a target.
    """
    pairs = comparison.pairs
    if not pairs:
        return []
    few = [pair for pair in pairs if pair.verdict == Verdict.TOO_FEW_SEEDS]
    if len(few) == len(pairs):
        return [Prose(text=_too_few(few), tone="warning")]
    sentences = [Prose(text=text) for text in _better(comparison)]
    equivalent = [pair for pair in pairs if pair.verdict == Verdict.EQUIVALENT]
    if same := [pair for pair in equivalent if pair.differences and not any(pair.differences.values)]:
        sentences.append(Prose(text=f"The same value on every seed: {_pairs(same)}."))
    if close := [pair for pair in equivalent if pair not in same]:
        margin = _amount(comparison.metric.margin, comparison.metric)
        sentences.append(Prose(text=f"Equivalent, confidently less than {margin} apart: {_pairs(close)}."))
    if never := [pair for pair in pairs if pair.never]:
        nowhere = "learned anything" if comparison.metric.higher_is_better else "got there within the budget"
        sentences.append(Prose(text=f"Neither {nowhere} on any seed: {_pairs(never)}."))
    if undecided := [pair for pair in pairs if pair.verdict == Verdict.UNDECIDED and not pair.never]:
        metric = comparison.metric
        names = "; ".join(first_ones([f"{pair.a} against {pair.b}{_more(pair, metric)}" for pair in undecided]))
        text = f"Undecided, which does not mean equal: {names}. {_what_seeds_find(undecided, metric)}"
        sentences.append(Prose(text=text, tone="warning"))
    if few:
        sentences.append(Prose(text=_too_few(few), tone="warning"))
    return sentences


def _better(comparison: Comparison) -> list[str]:
    """One sentence for each architecture that is better than others."""
    by_names = {frozenset((pair.a, pair.b)): pair for pair in comparison.pairs}
    sentences = []
    won = better_pairs(comparison.pairs)
    best_first = sorted({good for good, _ in won}, key=lambda name: (-sum(g == name for g, _ in won), name))
    for name in best_first:
        beaten = sorted(bad for good, bad in won if good == name)
        parts = [f"than {bad} by {_gain(by_names[frozenset((name, bad))], comparison.metric)}" for bad in beaten]
        verb = "is better" if comparison.metric.higher_is_better else "gets to 95 % in fewer epochs"
        sentences.append(f"{name} {verb} {listing(first_ones(parts))}.")
    if len(sentences) > _MOST_SENTENCES:
        left = len(sentences) - _MOST_SENTENCES
        sentences[_MOST_SENTENCES:] = [
            f"{plural(left, 'more architecture')} better than others: see the table of pairs."
        ]
    return sentences


def _pairs(pairs: list[PairVerdict]) -> str:
    return "; ".join(first_ones([f"{pair.a} with {pair.b}" for pair in pairs]))


def _gain(pair: PairVerdict, metric: Metric) -> str:
    """By how much the better one is better: `0.19 percentage points (between 0.10 and 0.28, from 6 seeds)`."""
    low, high = sorted(abs(end) for end in (pair.low or 0.0, pair.high or 0.0))
    assert pair.differences is not None  # noqa: S101 - a better one was tested
    mean = abs(pair.differences.mean)
    digits = 2 if metric.scale * low >= 0.005 else 4  # a lead "between 0.00 and …" would read as none
    ends = f"between {_number(low, metric, digits)} and {_number(high, metric, digits)}"
    if pair.typical_only:
        ahead, side = _ahead(pair, metric), 1 if pair.differences.mean > 0 else -1
        least, most = sorted(side * metric.scale * (end or 0.0) for end in (pair.low, pair.high))
        ends = f"on typical seeds alone: ahead on {ahead}, but the mean lead may be anything from {signed(least)} to "
        ends += signed(most)
    small = {True: "; matters", False: "; too small to matter", None: ""}[pair.matters]
    seeds = "" if pair.typical_only else f", from {plural(pair.n, 'seed')}"
    return f"{_amount(mean, metric)} ({ends}{seeds}{small}{_left_out(pair)})"


def _ahead(pair: PairVerdict, metric: Metric) -> str:
    """On how many seeds the better one was ahead: `8 of 9 seeds`."""
    assert pair.differences is not None  # noqa: S101 - a better one was tested
    wins = pair.differences.wins
    won = wins if (pair.verdict == Verdict.A_BETTER) == metric.higher_is_better else pair.n - wins
    return f"{won:g} of {plural(pair.n, 'seed')}"


def _left_out(pair: PairVerdict) -> str:
    """Seeds that one of the two ended without a value."""
    count = len(pair.left_out)
    return f"; {plural(count, 'seed')} left out, where one of the two failed" if count else ""


def _too_few(pairs: list[PairVerdict]) -> str:
    names = "; ".join(first_ones([f"{pair.a} against {pair.b}, {plural(pair.n, 'shared seed')}" for pair in pairs]))
    needed = max(pair.n + (pair.more_seeds or 0) for pair in pairs)
    least = (
        f"{FEWEST_SEEDS} seeds that ended with a value are the floor"
        if needed <= FEWEST_SEEDS
        else f"so many pairs at once take {needed} seeds"
    )
    return f"Too few seeds for a verdict ({names}): {least}. Until then differences may be luck."


def _more(pair: PairVerdict, metric: Metric) -> str:
    return f" ({more_seeds_text(pair, metric)}{_left_out(pair)})"


def more_seeds_text(pair: PairVerdict, metric: Metric) -> str:
    """What more seeds would find: `14 more seeds would find a true difference of 0.10 pp`."""
    if pair.more_seeds is None or pair.more_find is None:
        return "more than 1,000 seeds would be needed"
    found = f"{_number(pair.more_find, metric, 2 if metric.scale * pair.more_find >= 0.1 else 3)} {metric.unit}"
    return f"{plural(pair.more_seeds, 'more seed')} would find a true difference of {found}"


def _what_seeds_find(pairs: list[PairVerdict], metric: Metric) -> str:
    """The smallest difference that so many seeds would have found."""
    found = sorted({_number(pair.detectable, metric) for pair in pairs if pair.detectable is not None}, key=float)
    if not found:
        return ""
    least = f"{found[0]} to {found[-1]}" if len(found) > 1 else found[0]
    return (
        f"With the seeds so far, a true difference of {least} {metric.unit} is found in {100 * POWER:g} % of studies."
    )


def _amount(value: float, metric: Metric) -> str:
    return f"{_number(value, metric)} {_NOUNS[metric.unit]}"


def _number(value: float, metric: Metric, digits: int = 2) -> str:
    return f"{metric.scale * value:.{digits}f}"
