"""Who is better than whom, in words and as a table: worded so that nobody can read more into it than it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.looks import FEWEST_SEEDS
from bench.stats.ranking import better_pairs
from bench.stats.verdicts import BETTER, PairVerdict, Verdict
from reports.document import Cell, Column, Prose, Table
from reports.wording import MISSING, listing, number_cell, plural

if TYPE_CHECKING:
    from bench.stats.comparison import Comparison
    from bench.stats.metrics import Metric
    from bench.stats.paired import PairedDifferences

_MOST_NAMED = 12
"""Pairs that a sentence names; more are counted and left to the table."""

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
        return [Prose(text=_too_few(few, comparison.metric), tone="warning")]
    sentences = [Prose(text=text) for text in _better(comparison)]
    if equivalent := [pair for pair in pairs if pair.verdict == Verdict.EQUIVALENT]:
        margin = _amount(comparison.metric.margin, comparison.metric)
        names = listing(_named([f"{pair.a} and {pair.b}" for pair in equivalent]))
        sentences.append(Prose(text=f"Equivalent, their means being less than {margin} apart: {names}."))
    if undecided := [pair for pair in pairs if pair.verdict == Verdict.UNDECIDED]:
        names = "; ".join(_named([f"{pair.a} against {pair.b}{_more(pair)}" for pair in undecided]))
        text = f"Undecided, which does not mean equal: {names}."
        sentences.append(Prose(text=text, tone="warning"))
    if few:
        sentences.append(Prose(text=_too_few(few, comparison.metric), tone="warning"))
    return sentences


def _better(comparison: Comparison) -> list[str]:
    """One sentence for each architecture that is better than others."""
    by_names = {frozenset((pair.a, pair.b)): pair for pair in comparison.pairs}
    sentences = []
    won = better_pairs(comparison.pairs)
    best_first = sorted({good for good, _ in won}, key=lambda name: (-sum(g == name for g, _ in won), name))
    for name in best_first:
        beaten = sorted(bad for good, bad in won if good == name)
        parts = [f"{bad} by {_gain(by_names[frozenset((name, bad))], comparison.metric)}" for bad in beaten]
        verb = "is better than" if comparison.metric.higher_is_better else "is faster than"
        sentences.append(f"{name} {verb} {listing(_named(parts))}.")
    return sentences


def _gain(pair: PairVerdict, metric: Metric) -> str:
    """By how much the better one is better: `0.19 percentage points (0.10 to 0.28, 6 seeds)`."""
    low, high = sorted(abs(end) for end in (pair.low or 0.0, pair.high or 0.0))
    assert pair.differences is not None  # noqa: S101 - a better one was tested
    mean = abs(pair.differences.mean)
    ends = f"between {_number(low, metric)} and {_number(high, metric)}"
    small = "; too small to matter" if pair.matters is False else ""
    if pair.by_flips and (pair.low or 0.0) * (pair.high or 0.0) < 0:
        ends = "sign flips decide"  # the t interval would cross zero and is not what was tested
    return f"{_amount(mean, metric)} ({ends}, from {plural(pair.n, 'seed')}{small})"


def _too_few(pairs: list[PairVerdict], metric: Metric) -> str:
    fewest = min(pair.n for pair in pairs)
    names = "" if len(pairs) > _MOST_NAMED else f" ({'; '.join(f'{pair.a} against {pair.b}' for pair in pairs)})"
    if fewest < FEWEST_SEEDS:
        return (
            f"Too few seeds for a verdict{names}: {plural(fewest, 'shared seed')} of the {FEWEST_SEEDS} that are the "
            f"floor. Differences in the table may be luck; run again with --seeds {FEWEST_SEEDS} or more."
        )
    wanted = max(pair.n + (pair.more_seeds or 0) for pair in pairs)
    unit = "times to a target" if metric.by_flips else "these skewed differences"
    return f"Too few seeds for a verdict{names}: {unit} take {wanted} seeds before anything can be better."


def _named(parts: list[str]) -> list[str]:
    return parts if len(parts) <= _MOST_NAMED else [*parts[:_MOST_NAMED], f"{len(parts) - _MOST_NAMED} more"]


def _more(pair: PairVerdict) -> str:
    if pair.more_seeds is None:
        return " (more than 1,000 seeds)"
    return f" (about {plural(pair.more_seeds, 'more seed')})"


def pair_table(comparison: Comparison, *, title: str) -> Table:
    """One row a pair: verdict, difference with its interval, p, effect, seeds."""
    metric = comparison.metric
    images = (Column(name="Images of 10,000", essential=False),) if metric.unit == "pp" else ()
    columns = (
        Column(name="A against B", numeric=False),
        Column(name="Verdict", numeric=False),
        Column(name=f"A − B ({metric.unit})"),
        Column(name=f"Interval ({metric.unit})", numeric=False),
        *images,
        Column(name="Matters", numeric=False, essential=False),
        Column(name="More seeds"),
        Column(name="Seeds", essential=False),
        Column(name="p (Holm)", essential=False),
        Column(name="Test", numeric=False, essential=False),
        Column(name="p (sign flips)", essential=False),
        Column(name="P(A above B), 95 %", numeric=False, essential=False),
    )
    rows = tuple(_pair_row(pair, metric) for pair in comparison.pairs)
    levels = sorted({round(100 * pair.confidence, 2) for pair in comparison.pairs})
    level = f"{levels[0]:g} %" if len(levels) == 1 else f"{levels[0]:g} to {levels[-1]:g} %"
    return Table(caption=f"{title}: verdicts on all pairs; intervals at {level}", columns=columns, rows=rows)


def _pair_row(pair: PairVerdict, metric: Metric) -> tuple[Cell, ...]:
    found = pair.differences
    difference = None if found is None else metric.scale * found.mean
    images = (_images_cell(found),) if metric.unit == "pp" else ()
    interval = MISSING
    if pair.low is not None and pair.high is not None:
        interval = f"{_signed(pair.low, metric)} to {_signed(pair.high, metric)}"
    effect = MISSING
    if found is not None:
        share, low, high = found.superiority
        effect = f"{share:.2f} ({low:.2f} to {high:.2f})"
    more = pair.more_seeds
    undecided = pair.verdict == Verdict.UNDECIDED and more is None
    return (
        Cell(text=f"{pair.a} − {pair.b}"),
        Cell(text=worded_verdict(pair)),
        Cell(text=MISSING if found is None else _signed(found.mean, metric), value=difference),
        Cell(text=interval),
        *images,
        Cell(text=_matters_text(pair)),
        Cell(text="> 1,000") if undecided else number_cell(more),
        number_cell(pair.n),
        _p_cell(pair.p_holm),
        Cell(text=MISSING if pair.p is None else "sign flips" if pair.by_flips else "paired t"),
        _p_cell(found.p_flips if found is not None and pair.p is not None else None),
        Cell(text=effect),
    )


def _images_cell(found: PairedDifferences | None) -> Cell:
    """The mean difference in images of 10,000."""
    if found is None:
        return Cell(text=MISSING)
    return Cell(text=f"{10_000 * found.mean:+,.0f}".replace("-", "−"), value=10_000 * found.mean)


def _matters_text(pair: PairVerdict) -> str:
    """Whether a better one's lead is beyond the margin, within it, or the interval holds both."""
    if pair.verdict not in BETTER:
        return MISSING
    return {True: "yes", False: "too small", None: "open"}[pair.matters]


def worded_verdict(pair: PairVerdict) -> str:
    """The verdict with the winner's name."""
    if pair.verdict in BETTER:
        return f"{pair.a if pair.verdict == Verdict.A_BETTER else pair.b} better"
    return pair.verdict.value


def _p_cell(p: float | None) -> Cell:
    if p is None:
        return Cell(text=MISSING)
    return Cell(text="< 0.0001" if p < 1e-4 else f"{p:.4f}", value=p)


def _amount(value: float, metric: Metric) -> str:
    return f"{_number(value, metric)} {_NOUNS[metric.unit]}"


def _number(value: float, metric: Metric) -> str:
    return f"{metric.scale * value:.2f}"


def _signed(value: float, metric: Metric) -> str:
    text = f"{metric.scale * value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "−")
