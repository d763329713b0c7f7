"""Who is better: every pair of one table, judged together so that in 5 % of tables at most anything is better by luck.

Better is a statement about typical seeds: a run of the one beats a run of the other more often than not. That anything
is called equivalent that is not has its own 5 %. docs/methodology.md has the whole rule, docs/error-rates.md how often
it errs.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import itertools
import math
import statistics
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bench.analysis.metrics import accuracy_metric
from bench.analysis.stats.paired import PairedDifferences, pair_differences
from bench.analysis.stats.power import advise_seeds, detectable_difference
from bench.analysis.stats.ranks import fewest_seeds
from bench.core.records import MARGIN
from bench.core.seeds import ALPHA, FEWEST_SEEDS, ONE_LOOK, Look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.metrics import Metric
    from bench.core.records import RunRecord

SCOPE = "typical seeds"
"""What a verdict speaks of."""


class Verdict(enum.StrEnum):
    """What is said of a pair; the value is what tables for programs hold."""

    A_BETTER = "a better"
    B_BETTER = "b better"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    TOO_FEW_SEEDS = "too few seeds"


BETTER = (Verdict.A_BETTER, Verdict.B_BETTER)
DECIDED = (*BETTER, Verdict.EQUIVALENT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairVerdict:
    """A pair of architectures as judged within its table."""

    a: str
    b: str
    seeds: tuple[int, ...] = ()  # on which both have a value and are compared
    left_out: tuple[int, ...] = ()  # seeds that both ran and one of them ended without a value
    verdict: Verdict = Verdict.TOO_FEW_SEEDS
    differences: PairedDifferences | None = None  # a − b over these seeds; None under two
    confidence: float = 1 - ALPHA  # level of the shown interval: 1 − level/m for m pairs (Bonferroni)
    low: float | None = None  # lower end of Student's interval of the mean difference; None under three seeds
    high: float | None = None
    p: float | None = None  # that one is better (`PairedDifferences.p_better`), before Holm; None when not tested
    p_holm: float | None = None  # the same after Holm
    p_equivalent: float | None = None  # that they are equivalent, after Holm
    never: bool = False  # whether neither got there, or learned anything, on any seed, so that nothing was measured
    typical_only: bool = False  # of a better one: is so on typical seeds alone, as the interval of the mean holds zero
    matters: bool | None = None  # of a better one: True when its interval lies wholly beyond the margin, False within
    detectable: float | None = None  # what so many seeds would find with 80 % power; None of a decided pair
    more_seeds: int | None = None  # how many more would find `more_find` so; None when decided or too many
    more_find: float | None = None  # the margin unless these seeds would have found that; None without advice

    @property
    def n(self) -> int:
        """Seeds compared."""
        return len(self.seeds)

    @property
    def winner(self) -> str:
        """The better one; empty where neither is called so."""
        return {Verdict.A_BETTER: self.a, Verdict.B_BETTER: self.b}.get(self.verdict, "")

    def other(self, name: str) -> str:
        """The one beside it."""
        return self.b if name == self.a else self.a


def judge(
    values: Mapping[str, Mapping[int, float]],
    *,
    margin: float = MARGIN,
    looks: Sequence[Look] = ONE_LOOK,
    higher_is_better: bool = True,
) -> tuple[PairVerdict, ...]:
    """Judge plain numbers as the suite judges its own: for simulations, other people's results, a notebook.

    Args:
        values: For each net its value by seed, as in `{"a": {0: 0.981, 1: 0.983, …}, "b": {…}}`; NaN where a run ended
            without one.
        margin: Half width of the range of equivalence, in the values' unit.
        looks: When they are judged: once, unless `SeedPlan.until_decided(6, 30).looks` or the like says so.
        higher_is_better: False for times and errors.

    Returns:
        A verdict for each pair, in the order of the names.
    """
    metric = dataclasses.replace(accuracy_metric(margin), name="", higher_is_better=higher_is_better)
    return judge_pairs(values, metric, looks=looks)


def judge_pairs(
    values: Mapping[str, Mapping[int, float]],
    metric: Metric,
    *,
    looks: Sequence[Look] = ONE_LOOK,
    pairs: Sequence[tuple[str, str]] | None = None,
    advises: bool = True,
) -> tuple[PairVerdict, ...]:
    """Judge pairs together (docs/methodology.md, "Verdicts").

    A study that runs until decided is judged look by look, as it was run: what one look decided stands, and a look
    that one of the two has not finished is not taken; such a pair keeps its place in Holm.

    Args:
        values: For each architecture its value by seed; NaN where the run ended without one, absent where none ended.
        metric: What the values are.
        looks: When they are judged; their seeds grow.
        pairs: The only pairs that are judged and counted, each as (a, b); all of them when None.
        advises: Whether it is worked out, for what is open, how many seeds would decide it, which takes a while.

    Returns:
        One for each pair, in the order given, or else of the names.
    """
    named = itertools.combinations(sorted(values), 2) if pairs is None else pairs
    found = {(a, b): PairVerdict(a=a, b=b) for a, b in named}
    for look in looks:
        open_pairs = {names: pair for names, pair in found.items() if pair.verdict not in DECIDED}
        taken = {names: pair for names, pair in open_pairs.items() if look.nets is None or look.nets.issuperset(names)}
        reached = {(a, b): pair for (a, b), pair in taken.items() if _has_all(values[a], values[b], look)}
        paired = [_pair(pair, values, metric, look, of=len(found)) for pair in reached.values()]
        tested = [pair for pair in paired if pair.n >= FEWEST_SEEDS]
        before = [pair for names, pair in found.items() if pair.p is not None and names not in reached]
        judged = _judge_look(tested, before, metric, level=look.level)
        found |= {(pair.a, pair.b): pair for pair in (*paired, *judged)}
    if not advises:
        return tuple(found.values())
    first = next(look for look in looks if look.nets is None)
    return tuple(_with_more_seeds(pair, values, metric, first) for pair in found.values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Versions:
    """One architecture in two versions."""

    label: str  # unlike that of any other that is judged with it
    earlier: tuple[RunRecord, ...]
    later: tuple[RunRecord, ...]
    verdict: PairVerdict | None = None  # on later − earlier, by test accuracy; None where they are not judged

    @property
    def means(self) -> tuple[float | None, float | None]:
        """Mean test accuracy of the earlier and of the later one, None without a value.

        On the seeds that both have, where a diverged run counts as guessing as it does in the verdict; on its own where
        the other has no run, or they are not judged.
        """
        if self.verdict is not None and (found := self.verdict.differences) is not None:
            return statistics.fmean(found.b), statistics.fmean(found.a)
        seeds = self.verdict.seeds if self.verdict and self.earlier and self.later else None

        def mean(runs: Sequence[RunRecord]) -> float | None:
            ok = [run for run in runs if run.status == "ok" and (seeds is None or run.seed in seeds)]
            known = [run.test_accuracy for run in ok if run.test_accuracy is not None]
            return statistics.fmean(known) if known else None

        return mean(self.earlier), mean(self.later)


Judged = TypeVar("Judged", bound=Versions)


def judge_versions(
    found: Sequence[Judged], *, chance: float, margin: float = MARGIN, looks: Sequence[Look] = ONE_LOOK
) -> tuple[Judged, ...]:
    """Each with its verdict on later − earlier, Holm over all of them.

    A run that diverged counts for `chance`; `margin` is half the width of the range of equivalence, a fraction.
    """
    metric = accuracy_metric(margin, chance=chance)
    names = [(f"{each.label} later", f"{each.label} earlier") for each in found]
    values = {f"{each.label} later": metric.values(each.later) for each in found}
    values |= {f"{each.label} earlier": metric.values(each.earlier) for each in found}
    verdicts = judge_pairs(values, metric, looks=looks, pairs=names)
    return tuple(dataclasses.replace(each, verdict=verdict) for each, verdict in zip(found, verdicts, strict=True))


def _has_all(a: Mapping[int, float], b: Mapping[int, float], look: Look) -> bool:
    return look.seeds is None or set(look.seeds) <= a.keys() & b.keys()


def _pair(
    pair: PairVerdict, values: Mapping[str, Mapping[int, float]], metric: Metric, look: Look, *, of: int
) -> PairVerdict:
    """The pair's differences at a look, before it is judged as one of so many."""
    a, b = values[pair.a], values[pair.b]
    shared = sorted(a.keys() & b.keys()) if look.seeds is None else look.seeds
    seeds = tuple(seed for seed in shared if math.isfinite(a[seed]) and math.isfinite(b[seed]))
    more = dataclasses.replace(
        pair,
        seeds=seeds,
        left_out=tuple(seed for seed in shared if seed not in seeds),
        never=bool(seeds) and all(metric.is_nothing(a[seed]) and metric.is_nothing(b[seed]) for seed in seeds),
        verdict=Verdict.TOO_FEW_SEEDS,
        more_seeds=max(1, fewest_seeds(of, look.level) - len(seeds)),
    )
    if len(seeds) < 2:
        return more
    differences = pair_differences([a[s] for s in seeds], [b[s] for s in seeds], margin=metric.margin)
    low, high = differences.interval(1 - ALPHA) if len(seeds) > 2 else (None, None)
    return dataclasses.replace(more, differences=differences, low=low, high=high)


def _judge_look(
    tested: Sequence[PairVerdict], before: Sequence[PairVerdict], metric: Metric, *, level: float
) -> list[PairVerdict]:
    """Judge the pairs that one look tests, beside those that earlier looks tested last, which keep their place in Holm.

    Were a pair that does not take this look to leave its place, what is left would be chosen by what earlier looks saw.
    """
    better = [0.0 if pair.verdict in BETTER else 1.0 for pair in before]
    same = [0.0 if pair.verdict == Verdict.EQUIVALENT else 1.0 for pair in before]
    p_better = _holm([_of(pair).p_better for pair in tested], better)
    p_equivalent = _holm([_of(pair).p_equivalent for pair in tested], same)
    pairs = len(tested) + len(before)
    return [
        _judge(pair, metric, level=level, pairs=pairs, p_better=p_better[at], p_equivalent=p_equivalent[at])
        for at, pair in enumerate(tested)
    ]


def _judge(
    pair: PairVerdict, metric: Metric, *, level: float, pairs: int, p_better: float, p_equivalent: float
) -> PairVerdict:
    """The first verdict that holds, by p values after Holm."""
    found, confidence = _of(pair), 1 - level / pairs
    low, high = found.interval(confidence)
    numbers = {"p": found.p_better, "p_holm": p_better, "p_equivalent": p_equivalent, "low": low, "high": high}
    judged = functools.partial(dataclasses.replace, pair, confidence=confidence, more_seeds=None, **numbers)
    if pair.never:
        return judged(verdict=Verdict.UNDECIDED)
    if not any(found.values):
        return judged(verdict=Verdict.EQUIVALENT)
    if pair.n < (fewest := fewest_seeds(pairs, level)):
        return judged(more_seeds=fewest - pair.n)
    # The mean must not contradict the ranks: a few seeds far off are worth a doubt, though no verdict of their own.
    agree = found.p_flips < ALPHA and (found.mean > 0) == (found.rank_lead > 0)
    if p_better < level and agree:
        better = Verdict.A_BETTER if (found.mean > 0) == metric.higher_is_better else Verdict.B_BETTER
        return judged(verdict=better, typical_only=low <= 0 <= high, matters=_matters(low, high, metric.margin))
    return judged(verdict=Verdict.EQUIVALENT if p_equivalent < level else Verdict.UNDECIDED)


def _with_more_seeds(
    pair: PairVerdict, values: Mapping[str, Mapping[int, float]], metric: Metric, first: Look
) -> PairVerdict:
    """With what more seeds would find; of a pair that has not reached its first look, with what it has so far."""
    if pair.verdict == Verdict.UNDECIDED and not pair.never:
        alpha = 1 - pair.confidence
        found = dataclasses.replace(pair, detectable=detectable_difference(_of(pair), alpha=alpha))
        advice = advise_seeds(_of(pair), alpha=alpha)
        if advice is None:
            return found
        return dataclasses.replace(found, more_seeds=advice.seeds - pair.n, more_find=advice.difference)
    if pair.more_seeds is None and pair.verdict == Verdict.TOO_FEW_SEEDS:
        so_far = _pair(pair, values, metric, dataclasses.replace(first, seeds=None), of=1)  # what it asks is replaced
        return dataclasses.replace(so_far, more_seeds=max(1, len(first.seeds or ()) - so_far.n))
    return pair


def _matters(low: float, high: float, margin: float) -> bool | None:
    if low > margin or high < -margin:
        return True
    return False if -margin < low and high < margin else None


def _of(pair: PairVerdict) -> PairedDifferences:
    assert pair.differences is not None  # noqa: S101 - only pairs with six seeds are tested
    return pair.differences


def _holm(p_values: Sequence[float], decided: Sequence[float]) -> list[float]:
    """Holm 1979 (Scand. J. Statist. 6, 65) over all of them; those of `p_values` are returned.

    What statsmodels' `multipletests` gives, which a test holds it against, and which collects garbage for a tenth of a
    second every time.
    """
    every_p = np.array([*p_values, *decided])
    order = np.argsort(every_p, kind="stable")
    corrected = np.empty_like(every_p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(every_p[order] * np.arange(len(every_p), 0, -1)))
    return [float(p) for p in corrected[: len(p_values)]]
