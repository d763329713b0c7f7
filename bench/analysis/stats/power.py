"""What so many seeds can find, and how many it takes to find a difference that matters, at the measured deviation.

Neither speaks of the difference that was just seen: the power at an observed effect says nothing that its p does not
(Hoenig and Heisey 2001, The American Statistician 55, 19).
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import nctdtr
from scipy.stats import t

from bench.analysis.stats.flips import all_signs
from bench.analysis.stats.ranks import p_of_statistic, rank_statistic
from bench.core.seeds import ALPHA, FEWEST_SEEDS

if TYPE_CHECKING:
    from bench.analysis.stats.paired import PairedDifferences

POWER = 0.8
MOST_SEEDS = 1_000
"""No advice to run more seeds than this."""

_SIMULATED = 12
"""Up to so many pairs power is simulated; beyond, the rank test is a t test of 3/π as many pairs (Hodges and Lehmann
1956, Ann. Math. Statist. 27, 324), and sign flips at 5 % hardly ever contradict it."""
_DRAWS = 4_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Advice:
    """How many seeds would find what."""

    seeds: int  # pairs in all, six at least
    difference: float  # the true one that so many would call better with 80 % power, in the values' unit


def advise_seeds(differences: PairedDifferences, *, alpha: float) -> Advice | None:
    """Seeds that would find a difference of the margin; where those there are would have, of half of it, and so on.

    None when it takes more than `MOST_SEEDS` or the differences do not vary; their mean is not looked at. The level of
    the test is corrected for the number of pairs of architectures.
    """
    deviation, wanted = differences.deviation, differences.margin
    if deviation == 0:
        return None
    while (seeds := seeds_to_find(wanted / deviation, alpha=alpha)) is not None:
        if seeds > differences.n:
            return Advice(seeds=seeds, difference=wanted)
        wanted /= 2
    return None


def detectable_difference(differences: PairedDifferences, *, alpha: float) -> float:
    """The smallest true difference that so many seeds of that deviation find with 80 % power, in the values' unit."""
    return differences.deviation * _detectable_effect(differences.n, alpha)


def seeds_to_find(effect: float, *, alpha: float) -> int | None:
    """The fewest pairs that find an effect with 80 % power (`power_of_better`); None above `MOST_SEEDS`."""
    numbers = range(FEWEST_SEEDS, MOST_SEEDS + 1)
    at = bisect.bisect_left(numbers, POWER, key=lambda n: power_of_better(effect, n, alpha=alpha))
    return numbers[at] if at < len(numbers) else None


def power_of_better(effect: float, n: int, *, alpha: float) -> float:
    """Probability that n pairs of two normal nets of one spread are called better: by ranks at `alpha`, flips at 0.05.

    The effect is the mean difference in standard deviations of the differences, not negative.
    """
    if n <= _SIMULATED:
        return _simulated_power(effect, n, alpha)
    shift = effect * math.sqrt(3 / math.pi * n)
    # As `scipy.stats.nct` has it, without that one's tenfold overhead; where it gives up nothing is in doubt.
    below = float(nctdtr(n - 1, shift, float(t.isf(alpha / 2, n - 1))))  # without the wrong tail
    return 1.0 - below if math.isfinite(below) else 1.0


@functools.lru_cache(maxsize=4_096)
def _detectable_effect(n: int, alpha: float) -> float:
    """In deviations of the differences, to three digits; infinite where so few seeds find nothing at that level."""
    largest = 20.0
    if power_of_better(largest, n, alpha=alpha) < POWER:
        return math.inf
    steps = range(round(1_000 * largest))
    return bisect.bisect_left(steps, POWER, key=lambda step: power_of_better(step / 1_000, n, alpha=alpha)) / 1_000


@functools.lru_cache(maxsize=4_096)
def _simulated_power(effect: float, n: int, alpha: float) -> float:
    a, b = np.random.default_rng(n).normal(scale=math.sqrt(0.5), size=(2, _DRAWS, n))
    a = a + effect
    statistic = rank_statistic(a, b)
    by_ranks = (statistic > 0) & (p_of_statistic(statistic, n) < alpha)
    flipped = np.abs((a - b)[by_ranks] @ all_signs(n).T)  # (draws, 2^n), the unflipped ones first
    by_flips = (flipped >= flipped[:, :1] - 1e-9).mean(axis=1) < ALPHA
    return float(np.count_nonzero(by_flips)) / _DRAWS
