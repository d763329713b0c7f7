"""How good the best of n trials is to be expected, for every n: what a smaller tuning would have found."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FAILED_ACCURACY = 0.0
"""What a trial counts as that ended without a value: as the worst there is, for it was paid for and found nothing."""

_RESAMPLES = 2_000
_ENDS = (2.5, 97.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpectedBest:
    """The best of n trials, on average over all ways to draw n of those that were run.

    The interval is descriptive: the best of N cannot rise above what was seen.
    """

    n: int
    mean: float
    low: float  # lower end of the 95 % percentile interval over trials drawn again
    high: float


def expected_best(values: Sequence[float], *, seed: int = 0) -> tuple[ExpectedBest, ...]:
    """The expected maximum, for each n = 1..N, of n of N trials drawn independently, without replacement.

    The mean over all subsets of size n (Tang et al. 2020, ACL, "Showing Your Work Doesn't Always Work"); that of Dodge
    et al. 2019 (arXiv 1909.03004) draws with replacement and so is biased downwards. It says nothing of trials that
    were chosen in the light of earlier ones, whose order matters. Higher values are better.
    """
    if not values:
        return ()
    found = np.sort(np.asarray(values, dtype=np.float64))  # (N,)
    weights = _weights(len(found))
    draws = np.random.default_rng(seed).integers(len(found), size=(_RESAMPLES, len(found)))
    again = np.sort(found[draws], axis=1) @ weights.T  # (resamples, N)
    low, high = np.percentile(again, _ENDS, axis=0)
    means = weights @ found
    ends = zip(means.tolist(), low.tolist(), high.tolist(), strict=True)
    return tuple(ExpectedBest(n=n, mean=mean, low=low, high=high) for n, (mean, low, high) in enumerate(ends, 1))


def _weights(count: int) -> NDArray[np.float64]:
    """Chance that the i-th smallest of N is the largest of n drawn: C(i − 1, n − 1) / C(N, n); (n, i), both from 1.

    By the ratio of two neighbours, (i − n) / (i − 1), from i = N down: binomials of a thousand trials are no floats.
    """
    n = np.arange(1, count + 1)
    weights = np.zeros((count, count))
    weights[:, -1] = n / count
    for i in range(count, 1, -1):
        weights[:, i - 2] = weights[:, i - 1] * np.maximum(i - n, 0) / (i - 1)
    return weights
