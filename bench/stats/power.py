"""How many seeds it takes to decide, at the mean and deviation that were measured."""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import nctdtr
from scipy.stats import t

from bench.looks import FEWEST_SEEDS
from bench.stats.flips import all_signs

if TYPE_CHECKING:
    from bench.stats.paired import PairedDifferences

POWER = 0.8
MOST_SEEDS = 1_000
"""No advice to run more seeds than this."""

_FLIPS_BIND = 9
"""From ten pairs on, a t test that is significant after Holm is so by sign flips too."""
_DRAWS = 4_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Advice:
    """How many seeds would decide.

    Attributes:
        seeds: Pairs in all, six at least.
        shows: What they would show: "better" or "equivalent".
    """

    seeds: int
    shows: Literal["better", "equivalent"]


def seeds_to_decide(differences: PairedDifferences, *, alpha: float) -> Advice | None:
    """Pairs with which a verdict would be reached with 80 % power, if mean and deviation are what they seem.

    The smaller of two numbers: those that tell the mean difference from nothing, and those that place it within
    ± margin.

    Args:
        differences: As measured.
        alpha: Level of the test, corrected for the number of pairs of architectures.

    Returns:
        The advice; None when it takes more than `MOST_SEEDS`.
    """
    deviation, mean, margin = differences.deviation, abs(differences.mean), differences.margin
    if deviation == 0:
        return Advice(seeds=max(FEWEST_SEEDS, differences.n), shows="better" if mean > margin else "equivalent")
    numbers = range(FEWEST_SEEDS, MOST_SEEDS + 1)
    better = bisect.bisect_left(numbers, POWER, key=lambda n: power_of_better(mean / deviation, n, alpha=alpha))
    same = bisect.bisect_left(
        numbers[:better],
        POWER,
        key=lambda n: power_of_equivalence(mean / deviation, margin / deviation, n, alpha=alpha),
    )
    found = min(better, same)
    if found == len(numbers):
        return None
    return Advice(seeds=numbers[found], shows="better" if better <= same else "equivalent")


def power_of_better(effect: float, n: int, *, alpha: float) -> float:
    """Probability that n pairs are called better: Student's t at `alpha`, and sign flips at 0.05.

    Noncentral t (Cohen 1988, Statistical Power Analysis, 2.5); the other tail is left out. Up to nine pairs the sign
    flips are the stricter of the two; their power is simulated.

    Args:
        effect: Mean difference in standard deviations of the differences, not negative.
        n: Pairs.
        alpha: Two-sided level of the t test.
    """
    by_t = 1.0 - _noncentral_t(_critical(alpha / 2, n - 1), n - 1, effect * math.sqrt(n), far_out=0.0)
    if n > _FLIPS_BIND:
        return by_t
    values = effect + np.random.default_rng(n).standard_normal((_DRAWS, n))
    flipped = values @ all_signs(n).T  # (draws, 2^n)
    as_far = np.abs(flipped) >= np.abs(flipped[:, :1]) - 1e-9
    return min(by_t, float((as_far.mean(axis=1) < 0.05).mean()))


def power_of_equivalence(effect: float, margin: float, n: int, *, alpha: float) -> float:
    """Probability that two one-sided t tests place n pairs within ± margin.

    Phillips 1990 (J. Pharmacokinet. Biopharm. 18, 137) for paired values, by noncentral t.

    Args:
        effect: Mean difference in standard deviations of the differences, not negative.
        margin: Half width of the range, in the same.
        n: Pairs.
        alpha: Level of each test.
    """
    critical, root = _critical(alpha, n - 1), math.sqrt(n)
    if effect >= margin or critical >= margin * root:
        return 0.0
    below = _noncentral_t(-critical, n - 1, (effect - margin) * root, far_out=1.0)
    above = _noncentral_t(critical, n - 1, (effect + margin) * root, far_out=0.0)
    return max(0.0, below - above)


@functools.lru_cache(maxsize=4_096)
def _critical(tail: float, freedom: int) -> float:
    """Student's t beyond which `tail` lies; the pairs of a table ask for the same ones again and again."""
    return float(t.isf(tail, freedom))


def _noncentral_t(at: float, freedom: int, shift: float, *, far_out: float) -> float:
    """The distribution function of noncentral t, as `scipy.stats.nct` has it, without that one's tenfold overhead.

    Args:
        at: Where.
        freedom: Degrees of freedom.
        shift: The noncentrality.
        far_out: What it is where scipy gives up: where nothing is in doubt.
    """
    found = float(nctdtr(freedom, shift, at))
    return found if math.isfinite(found) else far_out
