"""Who is better over several datasets, of which each counts once, however many images or seeds it has.

Ranks of nets over datasets, Wilcoxon's signed ranks for pairs with Holm over them, and the critical difference of mean
ranks: Demšar 2006, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 1. What is found speaks of
datasets like these.
"""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import rankdata, studentized_range
from statsmodels.stats.multitest import multipletests

from bench.analysis.stats.flips import flip_signs
from bench.analysis.stats.paired import DIGITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Means = Mapping[str, Mapping[str, float]]
    """Mean of each net on each dataset, by dataset and net; every dataset has the same nets."""

LEVEL = 0.05


class MeanRank(NamedTuple):
    """Ranks of one net over datasets, 1 the best; equal means share the mean of their ranks."""

    mean: float
    best: float
    worst: float
    deviation: float  # standard deviation over datasets; NaN of one


class PairOverDatasets(NamedTuple):
    """Two nets over all datasets."""

    a: str
    b: str
    difference: float  # mean over datasets of a − b
    wins: int  # datasets on which a has the higher mean
    losses: int
    rank_sum: float  # of the signed ranks: above 0 where a is ahead by them
    p_holm: float  # of Wilcoxon's signed ranks, two-sided, exact to 15 datasets

    @property
    def better(self) -> str:
        """The better one; empty where neither is called so."""
        if self.p_holm >= LEVEL:
            return ""
        return self.a if self.rank_sum > 0 else self.b


def rank_over_datasets(means: Means) -> dict[str, MeanRank]:
    """Ranks of each net over datasets, the highest mean being rank 1."""
    names = sorted(next(iter(means.values())))
    ranks = np.array([rankdata([-_rounded(of[name]) for name in names]) for of in means.values()])  # (datasets, nets)
    return {
        name: MeanRank(
            float(column.mean()),
            float(column.min()),
            float(column.max()),
            statistics.stdev(column.tolist()) if len(column) > 1 else math.nan,
        )
        for name, column in zip(names, ranks.T, strict=True)
    }


def judge_over_datasets(means: Means) -> tuple[PairOverDatasets, ...]:
    """Every pair of nets by Wilcoxon's signed ranks over datasets, Holm over the pairs.

    With fewer datasets than `fewest_datasets` says, nothing can be better.
    """
    names = sorted(next(iter(means.values())))
    pairs = list(itertools.combinations(names, 2))
    found = {(a, b): np.array([_rounded(of[a] - of[b]) for of in means.values()]) for a, b in pairs}
    ranks = [_signed_ranks(of) for of in found.values()]
    holm = multipletests([flip_signs(of) if len(of) else 1.0 for of in ranks], method="holm")[1] if pairs else []
    return tuple(
        PairOverDatasets(
            a, b, float(of.mean()), int((of > 0).sum()), int((of < 0).sum()), float(signed.sum()), float(p)
        )
        for ((a, b), of), signed, p in zip(found.items(), ranks, holm, strict=True)
    )


def _rounded(value: float) -> float:
    """A mean or a difference of means, so that those that are equal but for their last bits tie."""
    return round(value, DIGITS)


def _signed_ranks(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Wilcoxon's signed ranks; differences of zero are left out, equal ones share a rank."""
    known = differences[differences != 0]
    signed: NDArray[np.float64] = np.sign(known) * rankdata(np.abs(known))
    return signed


def fewest_datasets(nets: int) -> int:
    """Datasets that it takes before anything can be better among so many nets: all of them alike give 2 in 2^n."""
    pairs = math.comb(nets, 2)
    return next(n for n in itertools.count(1) if 2 / 2**n * pairs < LEVEL)


def critical_difference(nets: int, datasets: int) -> float:
    """By how much mean ranks must differ to be told apart by Nemenyi's test at 5 %; drawn, not judged by."""
    quantile = float(studentized_range.ppf(1 - LEVEL, nets, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(nets * (nets + 1) / (6 * datasets))
