"""Where one more run would lie: prediction intervals of a single run, and how far outside a printed number is.

Student's, for a normal spread: m ± t · s · √(1 + 1/n) (Hahn and Meeker 1991, Statistical Intervals). Values may be
(..., n): simulations judge thousands of samples at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def prediction_half(values: Floats, level: float) -> Floats:
    """Half the width of the prediction interval of one more value, (...) of (..., n)."""
    n = values.shape[-1]
    quantile = float(t.ppf(0.5 + level / 2, n - 1))
    return np.asarray(quantile * np.std(values, axis=-1, ddof=1) * math.sqrt(1 + 1 / n), np.float64)


def p_of_one_more(values: Floats, low: float | Floats, high: float | Floats, *, by_side: bool = False) -> Floats:
    """Two-sided p that one more value lies as far from the mean as [low, high], all that was printed may stand for.

    1 where the mean lies within; (...) of (..., n). Where the values do not vary it is 0 or 1.

    Args:
        values: (..., n).
        low: The least that was printed.
        high: The most.
        by_side: Take the larger of the deviation and of √2 times that of the values on the side of what was printed,
            from the mean: for values with a tail there (simulated: docs/claims.md).
    """
    n = values.shape[-1]
    mean, deviation = values.mean(axis=-1), np.std(values, axis=-1, ddof=1)
    if by_side:
        deviation = np.where(np.asarray(high) < mean, *_side_deviations(values))
    gap = np.maximum(0.0, np.maximum(low - mean, mean - high))
    scale = deviation * math.sqrt(1 + 1 / n)
    # A gap of rounding alone is none.
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(gap <= 1e-12 * np.maximum(1.0, np.abs(mean)), 0.0, gap / scale)
    return np.asarray(np.where(distance == 0.0, 1.0, 2 * t.sf(distance, n - 1)), np.float64)


def _side_deviations(values: Floats) -> tuple[Floats, Floats]:
    """Of values below the mean and above it: the larger of the deviation and of √2 times that side's own."""
    off = values - values.mean(axis=-1)[..., None]
    every = np.std(values, axis=-1, ddof=1)
    sides = (
        np.sqrt(2 * (part**2).sum(-1) / (values.shape[-1] - 1)) for part in (np.minimum(off, 0), np.maximum(off, 0))
    )
    below, above = (np.asarray(np.maximum(every, side), np.float64) for side in sides)
    return below, above


def holm_least(p_values: Floats) -> Floats:
    """The smallest of several p values after Holm: the least times their number, (...) of (..., k)."""
    return np.asarray(np.minimum(1.0, p_values.min(axis=-1) * p_values.shape[-1]), np.float64)


def mean_interval(values: Floats, level: float, *, by_side: bool = False) -> tuple[Floats, Floats]:
    """Student's interval of the mean, (...) each of (..., n); `by_side` as in `p_of_one_more`."""
    n = values.shape[-1]
    scale = float(t.ppf(0.5 + level / 2, n - 1)) / math.sqrt(n)
    mean, every = values.mean(axis=-1), np.std(values, axis=-1, ddof=1)
    below, above = _side_deviations(values) if by_side else (every, every)
    return np.asarray(mean - scale * below, np.float64), np.asarray(mean + scale * above, np.float64)
