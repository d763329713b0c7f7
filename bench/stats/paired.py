"""Two architectures on the same seeds: their differences and the tests of them."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import skew, t, ttest_rel
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import ttost_paired

from bench.stats.flips import flip_signs, flip_signs_beyond

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROUNDING = 1e-12
"""Differences of accuracies and epochs that are closer than this are equal but for rounding."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairedDifferences:
    """Differences a − b of two architectures over shared seeds, and what tests say of them.

    What is costly is computed when it is first asked for.

    Attributes:
        values: One difference a seed, (n,), n ≥ 2, in the unit of what is compared.
        margin: Half width of the range within which the two count as equivalent, in the same unit.
    """

    values: tuple[float, ...]
    margin: float

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
        constant = np.ptp(self.values) <= _ROUNDING * max(1.0, *map(abs, self.values))
        return 0.0 if constant else float(np.std(self.values, ddof=1))

    @functools.cached_property
    def p(self) -> float:
        """Two-sided p of Student's paired t (`scipy.stats.ttest_rel`)."""
        if self.deviation == 0:
            return float(abs(self.mean) <= _ROUNDING)
        return float(ttest_rel(self.values, np.zeros(self.n)).pvalue)

    @functools.cached_property
    def p_flips(self) -> float:
        """Two-sided p of the sign flips of the mean (`bench.stats.flips`), exact up to 15 pairs."""
        return flip_signs(np.asarray(self.values), "two-sided")

    @functools.cached_property
    def p_equivalent(self) -> float:
        """The p of two one-sided t tests within ± margin (Schuirmann 1987; `statsmodels` `ttost_paired`)."""
        if self.deviation == 0:
            return float(abs(self.mean) >= self.margin)
        return float(ttost_paired(np.asarray(self.values), np.zeros(self.n), -self.margin, self.margin)[0])

    @functools.cached_property
    def p_equivalent_flips(self) -> float:
        """The same by sign flips: the larger p of "not above −margin" and "not below +margin"."""
        return flip_signs_beyond(np.asarray(self.values), self.margin)

    @functools.cached_property
    def skewed(self) -> bool:
        """Whether they are clearly skewed, so that Student's t is not to be trusted.

        The sample skewness lies beyond 2.576 of its standard errors (Joanes and Gill 1998, The Statistician 47, 183),
        which normal differences do in about 1 % of cases. Under three pairs there is no skewness.
        """
        n = self.n
        if n < 3 or self.deviation == 0:
            return False
        error = math.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
        return abs(float(skew(self.values, bias=False))) > 2.576 * error

    @property
    def wins(self) -> float:
        """Seeds on which a is above b, ties half."""
        differences = np.asarray(self.values)
        ties = np.abs(differences) <= _ROUNDING
        return float((differences > _ROUNDING).sum() + 0.5 * ties.sum())

    @property
    def superiority(self) -> tuple[float, float, float]:
        """P(A is above B) on a seed, and Wilson's 95 % interval of it (`statsmodels` `proportion_confint`)."""
        low, high = proportion_confint(self.wins, self.n, alpha=0.05, method="wilson")
        return self.wins / self.n, float(low), float(high)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's t interval of the mean difference, as `ttest_rel(…).confidence_interval` gives it.

        Args:
            confidence: Its level, such as 0.95.
        """
        half = _quantile(0.5 + confidence / 2, self.n - 1) * self.deviation / math.sqrt(self.n)
        return self.mean - half, self.mean + half


def pair_differences(a: Sequence[float], b: Sequence[float], *, margin: float) -> PairedDifferences:
    """Differences of two architectures, seed by seed.

    Args:
        a: One value a seed of the first; NaN where there is none.
        b: The same seeds of the second; a pair with a NaN is left out.
        margin: Half width of the range within which they count as equivalent, in the values' unit.

    Raises:
        ValueError: Fewer than two pairs are left, or there are unlike numbers of values.
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} values cannot be paired.")
    there = np.isfinite(first) & np.isfinite(second)
    if there.sum() < 2:
        raise ValueError("Two pairs at least are needed for a difference with a deviation.")
    return PairedDifferences(values=tuple((first - second)[there].tolist()), margin=margin)


@functools.lru_cache(maxsize=4_096)
def _quantile(level: float, freedom: int) -> float:
    """Of Student's t; a table of pairs asks for few of them, thousands of times."""
    return float(t.ppf(level, freedom))
