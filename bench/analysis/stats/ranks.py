"""The rank test of a pair of nets: does a run of one beat a run of the other more often than not?

The statistic is that of Brunner and Munzel (2000, Biometrical Journal 42, 17) for paired samples (Munzel and Brunner
2002, Biometrical Journal 44, 584): the estimate of P(A > B) + P(A = B) / 2, less one half, over its standard error. The
standard error is estimated from both nets as they are, so that unlike spreads and shapes do not pass for a difference,
as they do in Wilcoxon's test and in sign flips; only how often A beats B counts, so that a rare collapse, seen or not,
moves it as little as any other seed.

Its p is exact, but for the draws, where both nets have the same distribution and share seeds without correlation: ranks
of n and n such values are a random permutation, whatever the distribution, so that the null distribution depends on n
alone (Neubert and Brunner 2007, Computational Statistics & Data Analysis 51, 5192, on why a studentised statistic may
use it for unlike distributions too). Where spreads are far apart `bench.analysis.stats.paired` asks more.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import rankdata, t

from bench.core.seeds import FEWEST_SEEDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Alternative = Literal["two-sided", "greater"]

TABULATED = 50
"""Up to so many seeds p comes from drawn permutations; beyond, from Student's t with n − 1 degrees."""
DRAWN = 99_999
_AT_ONCE = 25_000
_ROUNDING = 1e-12


def rank_statistic(a: Floats, b: Floats) -> Floats:
    """(share of pairs of runs in which A is above B − 1/2) / its standard error; above 0 where A tends to be above.

    Infinite where every run of one is above every run of the other, or where A is above B by one rank throughout. The
    values are (..., n), those of both nets on the same seeds; the statistic is (...).
    """
    n = a.shape[-1]
    together = rankdata(np.concatenate([a, b], axis=-1), axis=-1)  # (..., 2n), ties share the mean rank
    below_a = (together[..., :n] - rankdata(a, axis=-1)) / n  # share of B's runs that each run of A is above
    below_b = (together[..., n:] - rankdata(b, axis=-1)) / n
    return _studentise(below_a, below_b)


def p_of_ranks(a: Floats, b: Floats, alternative: Alternative = "two-sided") -> float:
    """The p of `rank_statistic` of (n,) and (n,) under no difference; "greater": A beats B more often than not."""
    statistic = rank_statistic(a, b)
    both_tails = float(p_of_statistic(statistic, len(a)))
    if alternative == "two-sided":
        return both_tails
    return both_tails / 2 if statistic > 0 else 1 - both_tails / 2


def fewest_seeds(pairs: int, level: float) -> int:
    """Seeds, six at least, below which no values could tell one of so many pairs apart at a level.

    The smallest p that n seeds can have is that of nets of which every run of one is above every run of the other:
    about two of the C(2n, n) ways in which ranks can fall.
    """
    n = FEWEST_SEEDS
    while pairs * float(p_of_statistic(np.array(math.inf), n)) >= level:
        n += 1
    return n


def p_of_statistic(statistic: Floats, n: int) -> Floats:
    """The two-sided p of values of `rank_statistic` from n seeds, of the same shape."""
    size = np.abs(statistic)
    if n > TABULATED:
        return np.asarray(2 * t.sf(size, n - 1), np.float64)
    table = _null_distribution(n)
    beyond = len(table) - np.searchsorted(table, size * (1 - _ROUNDING))
    return np.asarray((beyond + 1) / (DRAWN + 1), np.float64)


@functools.lru_cache(maxsize=TABULATED)
def _null_distribution(n: int) -> Floats:
    """The statistic's sizes under random permutations of the ranks, sorted, (DRAWN,); the same on every day."""
    generator, drawn = np.random.default_rng(n), []
    for start in range(0, DRAWN, _AT_ONCE):
        count = min(_AT_ONCE, DRAWN - start)
        ranks = generator.permuted(np.tile(np.arange(2 * n, dtype=np.int16), (count, 1)), axis=1)
        a, b = ranks[:, :n], ranks[:, n:]
        below_a, below_b = ((own - own.argsort(axis=1).argsort(axis=1)) / n for own in (a, b))
        drawn.append(_studentise(below_a, below_b))
    return np.sort(np.abs(np.concatenate(drawn)))


def _studentise(below_a: Floats, below_b: Floats) -> Floats:
    """From the share of the other net's runs that each run is above, (..., n) each."""
    n = below_a.shape[-1]
    lead = below_a.mean(axis=-1) - 0.5
    error = np.std(below_a - below_b, axis=-1, ddof=1) / math.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(error > _ROUNDING, lead / error, np.sign(lead) * math.inf)
    return np.asarray(np.where(np.abs(lead) <= _ROUNDING, 0.0, found), np.float64)
