"""How sure nets are beside how often they are right, bin by bin, and means of what cannot be negative."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.analysis.stats.estimates import student_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BINS = 15
"""Bins of confidence, of equal width (Guo et al. 2017, arXiv 1706.04599)."""


class Bin(NamedTuple):
    """The answers of one range of confidence: how many, their mean confidence, and the share that is right."""

    number: int
    answers: int
    sure: float
    right: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """How often nets are right when they are so sure; rows are runs, columns bins of confidence.

    Bin k holds confidences from k/15 to below (k + 1)/15, the last one those of 1 too.
    """

    images: Floats  # images in each bin, (S, 15)
    confidence: Floats  # sum of their confidences, (S, 15)
    right: Floats  # how many of them are right, (S, 15)

    @property
    def errors(self) -> tuple[float, ...]:
        """Expected calibration error of each run, a fraction: |right − confidence| of each bin, over all images."""
        gaps = np.abs(self.right - self.confidence).sum(axis=1) / self.images.sum(axis=1)
        return tuple(gaps.tolist())

    def bins(self, fewest: int) -> list[Bin]:
        """Mean confidence and share right of the bins with so many answers, all runs together."""
        images, sure, right = (sums.sum(axis=0).tolist() for sums in (self.images, self.confidence, self.right))
        enough = [at for at in range(BINS) if images[at] >= fewest]
        return [Bin(at, int(images[at]), sure[at] / images[at], right[at] / images[at]) for at in enough]


def find_reliability(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> Reliability:
    """Sort answers into bins of the confidence that each was given, (S, N), and count which are right, (S, N)."""
    sure = confidence.astype(np.float64)
    inner = np.linspace(0.0, 1.0, BINS + 1)[1:-1]  # without 1.0 as an edge, a confidence of 1 has no bin of its own
    runs = len(sure)
    cells = (np.digitize(sure, inner) + BINS * np.arange(runs)[:, None]).ravel()

    def sums(weights: Floats) -> Floats:
        found = np.bincount(cells, weights=weights.ravel(), minlength=runs * BINS)
        return np.asarray(found.reshape(runs, BINS), np.float64)

    return Reliability(images=sums(np.ones_like(sure)), confidence=sums(sure), right=sums(right.astype(np.float64)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeanEstimate:
    """A mean over seeds; None without values."""

    mean: float | None = None
    low: float | None = None  # lower end of the 95 % Student-t interval, cut at 0; None under three seeds
    high: float | None = None


def estimate_mean(values: Sequence[float]) -> MeanEstimate:
    """Mean and Student's interval over seeds of what cannot be negative; what is not finite is left out."""
    there = [value for value in values if math.isfinite(value)]
    if not there:
        return MeanEstimate()
    mean = statistics.fmean(there)
    if len(there) < 3:
        return MeanEstimate(mean=mean)
    low, high = student_interval(there)
    return MeanEstimate(mean=mean, low=max(0.0, low), high=high)
