"""Two architectures on the same seeds: their differences and the tests of them."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest, t, ttest_1samp
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from bench.analysis.stats.flips import flip_signs
from bench.analysis.stats.ranks import p_of_ranks, rank_statistic

if TYPE_CHECKING:
    from collections.abc import Sequence

UNLIKE = 3.0
"""Times that one standard deviation must be another, from where on the rank test's p is not enough (simulated:
docs/error-rates.md)."""
DIGITS = 12
"""Decimals to which accuracies and epochs are compared: those that differ beyond are equal but for rounding."""
ROUNDING = 10.0**-DIGITS
"""Differences of accuracies and epochs that are closer than this are equal but for rounding."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairedDifferences:
    """Two architectures over shared seeds, their differences a − b, and what tests say of them.

    What is costly is computed when it is first asked for.
    """

    a: tuple[float, ...]  # one a seed, (n,), n ≥ 2, in the unit of what is compared
    b: tuple[float, ...]  # on the same seeds, (n,)
    margin: float  # half width of the range within which the two count as equivalent, in the same unit

    @functools.cached_property
    def values(self) -> tuple[float, ...]:
        """One difference a seed, (n,)."""
        return tuple(one - other for one, other in zip(self.a, self.b, strict=True))

    @property
    def n(self) -> int:
        """Pairs."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean difference."""
        return float(np.mean(self.values))

    @functools.cached_property
    def deviation(self) -> float:
        """Standard deviation (n − 1); 0 when all are equal but for rounding."""
        constant = np.ptp(self.values) <= ROUNDING * max(1.0, *map(abs, self.values))
        return 0.0 if constant else float(np.std(self.values, ddof=1))

    @functools.cached_property
    def rank_lead(self) -> float:
        """The statistic of the rank test: above 0 where a run of a beats a run of b more often than not."""
        return float(rank_statistic(np.asarray(self.a), np.asarray(self.b)))

    @functools.cached_property
    def p_ranks(self) -> float:
        """Two-sided p of the rank test (`bench.analysis.stats.ranks`)."""
        return p_of_ranks(np.asarray(self.a), np.asarray(self.b))

    @property
    def p_signs(self) -> float:
        """Two-sided p of the sign test: seeds on which a is above b against those on which it is below."""
        differences = np.asarray(self.values)
        above, below = int((differences > ROUNDING).sum()), int((differences < -ROUNDING).sum())
        return float(binomtest(above, above + below).pvalue) if above + below else 1.0

    @property
    def p_t(self) -> float:
        """Two-sided p of Student's paired t test; 1 where the differences do not vary, of which it says nothing."""
        return float(ttest_1samp(self.values, 0.0).pvalue) if self.deviation > 0 else 1.0

    @property
    def is_unlike(self) -> bool:
        """Whether the standard deviations differ `UNLIKE`-fold or more; what never varies is unlike anything."""
        small, large = sorted(float(np.std(values)) for values in (self.a, self.b))
        return large <= ROUNDING or large >= UNLIKE * small

    @functools.cached_property
    def p_better(self) -> float:
        """The p by which one is better: of the rank test; where spreads are unlike, signs or t must bear it out.

        The rank test takes its p from nets of one distribution. Where one hardly varies beside the other, all runs of
        the other lie on one side of it by luck in 2 of 2ⁿ studies, not in 2 of C(2n, n). There the sign test holds, and
        Student's t, which finds a lead that is large beside both spreads.
        """
        return max(self.p_ranks, min(self.p_signs, self.p_t)) if self.is_unlike else self.p_ranks

    @functools.cached_property
    def p_flips(self) -> float:
        """Two-sided p of the sign flips of the mean (`bench.analysis.stats.flips`), exact up to 15 pairs."""
        return flip_signs(np.asarray(self.values))

    @functools.cached_property
    def p_equivalent(self) -> float:
        """The larger p of "the means are not margin apart" and "the ranks would be, were one net margin better".

        The first are two one-sided t tests (Schuirmann 1987; `statsmodels` `ttost_paired`), the second two one-sided
        rank tests with one net moved by the margin, so that a mean and typical seeds must both lie within.
        """
        # Accuracies are whole images, and a margin may be one: what is moved must tie with what stays.
        (a, b), (a_moved, b_moved) = (np.round(np.array([self.a, self.b]) + by, 12) for by in (0.0, self.margin))
        by_ranks = max(p_of_ranks(a_moved, b, "greater"), p_of_ranks(b_moved, a, "greater"))
        if self.deviation == 0:
            return float(abs(self.mean) >= self.margin)
        by_means = ttost_paired(np.asarray(self.values), np.zeros(self.n), -self.margin, self.margin)[0]
        return max(by_ranks, float(by_means))

    @property
    def wins(self) -> float:
        """Seeds on which a is above b, ties half."""
        differences = np.asarray(self.values)
        ties = np.abs(differences) <= ROUNDING
        return float((differences > ROUNDING).sum() + 0.5 * ties.sum())

    @property
    def superiority(self) -> tuple[float, float, float]:
        """P(A is above B) on a seed, and Wilson's 95 % interval of it (`statsmodels` `proportion_confint`)."""
        low, high = proportion_confint(self.wins, self.n, alpha=0.05, method="wilson")
        return self.wins / self.n, float(low), float(high)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's t interval of the mean difference, as `ttest_rel(…).confidence_interval` gives it."""
        half = _quantile(0.5 + confidence / 2, self.n - 1) * self.deviation / math.sqrt(self.n)
        return self.mean - half, self.mean + half


def pair_differences(a: Sequence[float], b: Sequence[float], *, margin: float) -> PairedDifferences:
    """Differences of two architectures, seed by seed; a pair of values with a NaN is left out.

    Values are rounded to `DIGITS`: means of the same numbers in another order must tie.

    Raises:
        ValueError: Fewer than two pairs are left, or there are unlike numbers of values.
    """
    first, second = (np.round(np.asarray(values, dtype=float), DIGITS) for values in (a, b))
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} values cannot be paired.")
    there = np.isfinite(first) & np.isfinite(second)
    if there.sum() < 2:
        raise ValueError("Two pairs at least are needed for a difference with a deviation.")
    return PairedDifferences(a=tuple(first[there].tolist()), b=tuple(second[there].tolist()), margin=margin)


@functools.lru_cache(maxsize=4_096)
def _quantile(level: float, freedom: int) -> float:
    """Of Student's t; a table of pairs asks for few of them, thousands of times."""
    return float(t.ppf(level, freedom))
