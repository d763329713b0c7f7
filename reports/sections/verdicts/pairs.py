"""Who is better than whom: in sentences that claim no more than the verdicts do, as a table, and as a picture."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from bench.analysis.ranking import better_pairs
from bench.analysis.stats.paired import ROUNDING
from bench.analysis.stats.power import POWER
from bench.analysis.verdicts import BETTER, PairVerdict, Verdict
from bench.core.seeds import ALPHA, FEWEST_SEEDS
from bench.system.text import first_ones, listing, plural, signed
from reports.cells import (
    MISSING,
    column,
    difference_cell,
    difference_interval,
    levels_text,
    number_cell,
    number_column,
    p_cell,
    table_of,
    text_column,
)
from reports.document import Cell, Figure, Heatmap, Prose, Section, Table, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.analysis.comparison import Comparison
    from bench.analysis.conditions import Condition
    from bench.analysis.metrics import Metric
    from bench.analysis.stats.paired import PairedDifferences
    from reports.cells import ColumnOf

_MOST_SENTENCES = 6
"""Architectures whose victories the first lines name; the table has them all."""


def undecided_note(comparison: Comparison, *, about: str = "") -> Iterator[Prose]:
    """Which pairs are undecided, why, and what more seeds would find; nothing where every pair is decided."""
    undecided = [pair for pair in comparison.pairs if pair.verdict == Verdict.UNDECIDED and not pair.never]
    if undecided:
        metric = comparison.metric
        parts = [
            f"{p.a} against {p.b}: {why_text(p, metric)}; {more_seeds_text(p, metric)}{_left_out(p)}."
            for p in undecided[:_MOST_OPEN]
        ]
        left = len(undecided) - len(parts)
        more = [f"{plural(left, 'more pair')} in the table of pairs."] if left else []
        yield Prose(" ".join([f"{about}This does not mean equal.", *parts, *more]), tone="undecided")
    few = [pair for pair in comparison.pairs if pair.verdict == Verdict.TOO_FEW_SEEDS]
    if few:
        yield Prose(f"{about}{_too_few(few)}", tone="undecided")


_MOST_OPEN = 4
"""Undecided pairs that the first lines name; the table of pairs has them all."""


def why_text(pair: PairVerdict, metric: Metric) -> str:
    """Why a verdict is what it is, where a reader may expect another; empty where the numbers say it themselves."""
    found = pair.differences
    if found is None or pair.p is None or pair.p_holm is None or pair.verdict not in (*BETTER, Verdict.UNDECIDED):
        return ""
    if pair.never:
        return "neither got anywhere on any seed"
    a_leads = (found.mean > 0) == metric.higher_is_better
    won = found.wins if (found.mean > 0) else pair.n - found.wins
    ahead = f"{pair.a if a_leads else pair.b} ahead on {won:g} of {plural(pair.n, 'seed')}"
    if pair.verdict in BETTER:
        return f"{ahead}, but the mean lead may be none, as its seeds vary" if pair.typical_only else ""
    if pair.p_holm < ALPHA:
        return _why_not_by_ranks(pair, found)
    return _why_by_ranks(pair, found, ahead)


def _why_by_ranks(pair: PairVerdict, found: PairedDifferences, ahead: str) -> str:
    """Why the rank test does not call a pair decided: most of all where the interval leaves out zero."""
    if pair.low is None or pair.high is None or pair.low <= 0 <= pair.high:
        return f"{ahead}, p = {pair.p_holm:.2g}"
    if found.p_ranks < found.p_better:
        return f"{ahead}, but one varies over three times as much as the other, and neither signs nor t confirm it"
    return f"the interval leaves out zero, but the rank test does not confirm it ({ahead}, p = {pair.p_holm:.2g})"


def _why_not_by_ranks(pair: PairVerdict, found: PairedDifferences) -> str:
    """Why a pair is undecided whose rank test speaks for one of the two."""
    if found.p_flips >= ALPHA:
        tied = sum(abs(value) <= ROUNDING for value in found.values)
        against = sum((value > 0) != (found.mean > 0) for value in found.values if abs(value) > ROUNDING)
        counted = [(against, "went the other way"), (tied, "tied")]
        parts = [f"{'one seed' if n == 1 else plural(n, 'seed')} {did}" for n, did in counted if n]
        why = " and ".join(parts) or "a few seeds make up most of the lead"
        return f"{why} (sign flips p = {found.p_flips:.2g})"
    if (found.mean > 0) != (found.rank_lead > 0):
        return "mean and ranks point to opposite sides"
    return f"p = {pair.p_holm:.2g} does not reach the level of this look at the results"


def verdict_sentences(comparison: Comparison) -> Iterator[Prose]:
    """What was found, what is undecided and how many seeds that would take; nothing under two architectures."""
    pairs, metric = comparison.pairs, comparison.metric
    few = [pair for pair in pairs if pair.verdict == Verdict.TOO_FEW_SEEDS]
    if few and len(few) == len(pairs):  # nothing was found, not even that neither got anywhere
        yield warning(_too_few(few))
        return
    yield from map(Prose, _better(comparison))
    equivalent = [pair for pair in pairs if pair.verdict == Verdict.EQUIVALENT]
    if same := [pair for pair in equivalent if pair.differences and not any(pair.differences.values)]:
        yield Prose(f"The same value on every seed: {_pairs(same)}.")
    if close := [pair for pair in equivalent if pair not in same]:
        yield Prose(f"Equivalent, confidently less than {_amount(metric.margin, metric)} apart: {_pairs(close)}.")
    if never := [pair for pair in pairs if pair.never]:
        nowhere = "learned anything" if metric.higher_is_better else "got there within the budget"
        yield Prose(f"Neither {nowhere} on any seed: {_pairs(never)}.")
    if undecided := [pair for pair in pairs if pair.verdict == Verdict.UNDECIDED and not pair.never]:
        parts = [f"{p.a} against {p.b} ({more_seeds_text(p, metric)}{_left_out(p)})" for p in undecided]
        names = "; ".join(first_ones(parts))
        yield warning(f"Undecided, which does not mean equal: {names}. {_what_seeds_find(undecided, metric)}")
    if few:
        yield warning(_too_few(few))


def _better(comparison: Comparison) -> list[str]:
    by_names = {frozenset((pair.a, pair.b)): pair for pair in comparison.pairs}
    sentences = []
    won = better_pairs(comparison.pairs)
    best_first = sorted({good for good, _ in won}, key=lambda name: (-sum(g == name for g, _ in won), name))
    for name in best_first:
        beaten = sorted(bad for good, bad in won if good == name)
        parts = [f"than {bad} by {_gain(by_names[frozenset((name, bad))], comparison.metric)}" for bad in beaten]
        verb = "is better" if comparison.metric.higher_is_better else "gets to 95 % in fewer epochs"
        sentences.append(f"{name} {verb} {listing(first_ones(parts))}.")
    if left := len(sentences[_MOST_SENTENCES:]):
        more = f"{plural(left, 'more architecture')} better than others: see the table of pairs."
        return [*sentences[:_MOST_SENTENCES], more]
    return sentences


def _pairs(pairs: list[PairVerdict]) -> str:
    return "; ".join(first_ones([f"{pair.a} with {pair.b}" for pair in pairs]))


def _gain(pair: PairVerdict, metric: Metric) -> str:
    """By how much the better one is better: `0.19 percentage points (between 0.10 and 0.28, from 6 seeds)`."""
    assert pair.differences is not None  # noqa: S101 - a better one was tested
    mean, wins, scale = pair.differences.mean, pair.differences.wins, metric.scale
    low, high = sorted(abs(end) for end in (pair.low or 0.0, pair.high or 0.0))
    digits = 2 if scale * low >= 0.005 else 4  # a lead "between 0.00 and …" would read as none
    ends = f"between {_number(low, metric, digits)} and {_number(high, metric, digits)}, from {plural(pair.n, 'seed')}"
    if pair.typical_only:
        won = wins if (pair.verdict == Verdict.A_BETTER) == metric.higher_is_better else pair.n - wins
        least, most = sorted((1 if mean > 0 else -1) * scale * (end or 0.0) for end in (pair.low, pair.high))
        ends = f"on typical seeds alone: ahead on {won:g} of {plural(pair.n, 'seed')}, but the mean lead may be "
        ends += f"anything from {signed(least)} to {signed(most)}"
    small = {True: "; matters", False: "; too small to matter", None: ""}[pair.matters]
    return f"{_amount(abs(mean), metric)} ({ends}{small}{_left_out(pair)})"


def _left_out(pair: PairVerdict) -> str:
    """Seeds that one of the two ended without a value."""
    count = len(pair.left_out)
    return f"; {plural(count, 'seed')} left out, where one of the two failed" if count else ""


def _too_few(pairs: list[PairVerdict]) -> str:
    names = "; ".join(first_ones([f"{pair.a} against {pair.b}, {plural(pair.n, 'shared seed')}" for pair in pairs]))
    needed = max(pair.n + (pair.more_seeds or 0) for pair in pairs)
    least = f"{FEWEST_SEEDS} seeds that ended with a value are the floor"
    if needed > FEWEST_SEEDS:
        least = f"so many pairs at once take {needed} seeds"
    return f"Too few seeds for a verdict ({names}): {least}. Until then differences may be luck."


def more_seeds_text(pair: PairVerdict, metric: Metric) -> str:
    """What more seeds would find: `14 more seeds would find a true difference of 0.10 pp`."""
    if pair.more_seeds is not None and pair.more_find is not None:
        return (
            f"{plural(pair.more_seeds, 'more seed')} would find a true difference of {_wanted(pair.more_find, metric)}"
        )
    margin = _wanted(pair.differences.margin if pair.differences else metric.margin, metric)
    return f"over 1,000 seeds would find {margin}"


def _wanted(difference: float, metric: Metric) -> str:
    return f"{_number(difference, metric, 2 if metric.scale * difference >= 0.1 else 3)} {metric.unit}"


def _what_seeds_find(pairs: list[PairVerdict], metric: Metric) -> str:
    found = sorted({_number(pair.detectable, metric) for pair in pairs if pair.detectable is not None}, key=float)
    least = " to ".join(dict.fromkeys([*found[:1], *found[-1:]]))
    of_studies = f"{metric.unit} is found in {100 * POWER:g} % of studies."
    return f"With the seeds so far, a true difference of {least} {of_studies}" if found else ""


def _amount(value: float, metric: Metric) -> str:
    return f"{_number(value, metric)} {'percentage points' if metric.unit == 'pp' else metric.unit}"


def _number(value: float, metric: Metric, digits: int = 2) -> str:
    return f"{metric.scale * value:.{digits}f}"


def pair_table(comparison: Comparison, *, title: str) -> Table:
    """One row a pair: verdict, difference with its interval, p, effect, seeds."""
    metric = comparison.metric

    def sign_flips(pair: PairVerdict) -> float | None:
        return pair.differences.p_flips if pair.differences is not None and pair.p is not None else None

    columns: list[ColumnOf[PairVerdict]] = [
        text_column("A against B", lambda pair: f"{pair.a} − {pair.b}"),
        text_column("Verdict", _worded),
        text_column("Why", lambda pair: why_text(pair, metric) or MISSING, essential=False),
        column(f"A − B ({metric.unit})", lambda pair: difference_cell(pair, metric)),
        text_column(f"Interval ({metric.unit})", lambda pair: difference_interval(pair, metric)),
        text_column("Matters", _matters_text, essential=False),
        column("More seeds", _more_seeds_cell),
        number_column("Seeds", lambda pair: pair.n, essential=False),
        number_column(
            f"Found in 80 % ({metric.unit})", lambda pair: pair.detectable, 2, factor=metric.scale, essential=False
        ),
        column("p (ranks, Holm)", lambda pair: p_cell(pair.p_holm), essential=False),
        column("p (sign flips)", lambda pair: p_cell(sign_flips(pair)), essential=False),
        text_column("Seeds with A ahead, 95 %", lambda pair: _ahead_text(pair, metric), essential=False),
    ]
    if metric.unit == "pp":
        columns.insert(5, column("Images of 10,000", _images_cell, essential=False))
    caption = f"{title}: verdicts on all pairs; intervals at {levels_text(comparison.pairs)}; {_RULE}"
    return table_of(caption, comparison.pairs, columns)


def pair_section(condition: Condition) -> Section | None:
    """Every pair of a condition, in words and as a table; None without one."""
    if not condition.accuracy.pairs:
        return None
    return Section(
        title="Every pair",
        slug=f"{condition.slug}-pairs",
        blocks=(*verdict_sentences(condition.accuracy), pair_table(condition.accuracy, title=condition.metric.title)),
        level=3,
        gist="How far apart any two nets are, with interval and p, why each verdict is what it is, and seeds to add.",
    )


_RULE = (
    "one is better where p (ranks, Holm; borne out by signs or t where standard deviations differ threefold) is below "
    "5 %, or the level of its look, and p (sign flips) below 5 % as well; the intervals of the mean difference "
    "(Student's t, Bonferroni) do not decide who is better"
)
"""What a pair must show before one of the two is called better."""


def _ahead_text(pair: PairVerdict, metric: Metric) -> str:
    """On which share of seeds A is better, with its interval: `0.78 (0.55 to 0.94)`."""
    if pair.differences is None:
        return MISSING
    share, low, high = pair.differences.superiority
    if not metric.higher_is_better:
        share, low, high = 1 - share, 1 - high, 1 - low
    return f"{share:.2f} ({low:.2f} to {high:.2f})"


def _more_seeds_cell(pair: PairVerdict) -> Cell:
    beyond = pair.verdict == Verdict.UNDECIDED and pair.more_seeds is None and not pair.never
    return Cell("> 1,000") if beyond else number_cell(pair.more_seeds)


def _images_cell(pair: PairVerdict) -> Cell:
    images = 10_000 * pair.differences.mean if pair.differences else None
    return Cell(MISSING) if images is None else Cell(signed(images, 0), images)


def _matters_text(pair: PairVerdict) -> str:
    """Whether a better one's lead is beyond the margin, within it, or the interval holds both."""
    return {True: "yes", False: "too small", None: "open"}[pair.matters] if pair.verdict in BETTER else MISSING


def _worded(pair: PairVerdict) -> str:
    if pair.verdict in BETTER:
        name = pair.a if pair.verdict == Verdict.A_BETTER else pair.b
        return f"{name} better{' on typical seeds alone' if pair.typical_only else ''}"
    if pair.never:
        return "undecided (neither got there)"
    return pair.verdict.value


MOST_ARCHITECTURES = 12
"""Of more, cells become too small for their words; the table of pairs has them all."""

_Words = tuple[str, float | None]
"""What stands in a cell, and what colours it."""


def verdict_figure(condition: Condition) -> Figure | None:
    """Verdicts on accuracy as a matrix: the row is better than the column by so much, or worse, or neither.

    None for fewer than three architectures, where a sentence says it, for more than `MOST_ARCHITECTURES`, and where no
    pair could be judged.
    """
    comparison = condition.accuracy
    paired = sorted({name for pair in comparison.pairs for name in (pair.a, pair.b)})
    ordered = [name for block in comparison.ordered for name in block if name in paired]
    names = (*ordered, *(name for name in paired if name not in ordered))
    if not 3 <= len(names) <= MOST_ARCHITECTURES or all(p.verdict == Verdict.TOO_FEW_SEEDS for p in comparison.pairs):
        return None
    words: dict[tuple[str, str], _Words] = collections.defaultdict(lambda: ("", None))
    for pair in comparison.pairs:
        words[pair.a, pair.b], words[pair.b, pair.a] = (_words(pair, sign, comparison.metric) for sign in (1, -1))
    unit = comparison.metric.unit
    title = f"Verdicts on all pairs: {condition.metric.title.lower()} of the row against the column"
    panel = Heatmap(
        title=title,
        x_label="… than this one",
        y_label="This one is …",
        rows=names,
        columns=names,
        values=tuple(tuple(words[row, column][1] for column in names) for row in names),
        texts=tuple(tuple(words[row, column][0] for column in names) for row in names),
        kind="diverging",
        value_label=f"Difference where one is better ({unit})",
    )

    def against(other: str) -> ColumnOf[str]:
        return text_column(other, lambda name: words[name, other][0])

    caption = f"Verdicts as a matrix; differences in {unit}, row − column"
    table = table_of(caption, names, [text_column("Row against column", lambda name: name), *map(against, names)])
    slug = f"{condition.slug}-verdicts"
    return Figure(slug=slug, title=title, alt=_alt(comparison.pairs), panels=(panel,), table=table)


def _words(pair: PairVerdict, sign: int, metric: Metric) -> _Words:
    """One pair as its first (1) or its second (-1) sees it."""
    mean = None if pair.differences is None else sign * metric.scale * pair.differences.mean
    number = "" if mean is None else f"\n{signed(mean)}"
    if pair.verdict in BETTER:
        won = (pair.verdict == Verdict.A_BETTER) == (sign == 1)
        return ("better" if won else "worse") + number, mean
    if pair.verdict == Verdict.EQUIVALENT:
        return "equivalent" + number, 0.0
    if pair.verdict == Verdict.TOO_FEW_SEEDS:
        return "too few\nseeds", None
    return "undecided" + number, None


def _alt(pairs: Sequence[PairVerdict]) -> str:
    kinds = {
        "decided for one of the two": BETTER,
        "equivalent": (Verdict.EQUIVALENT,),
        "undecided": (Verdict.UNDECIDED,),
        "with too few seeds": (Verdict.TOO_FEW_SEEDS,),
    }
    counts = {what: sum(pair.verdict in kind for pair in pairs) for what, kind in kinds.items()}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"A matrix of all pairs, lettered in every cell: of {len(pairs)} pairs {said}."
