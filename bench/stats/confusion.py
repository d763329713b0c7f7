"""What is taken for what, on which images, and how sure: everything that stored predictions say beyond accuracy."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import ttest_1samp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

BINS = 15
"""Bins of confidence, of equal width (Guo et al. 2017, arXiv 1706.04599)."""

_DRAWS = 1_000


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What the fitted nets of one architecture said of every test image.

    Attributes:
        seeds: Their seeds.
        predicted: Predicted classes, one row a seed, (S, N) uint8.
        confidence: Probabilities given to these classes, (S, N) float16; None unless every net has them.
    """

    seeds: tuple[int, ...]
    predicted: NDArray[np.uint8]
    confidence: NDArray[np.float16] | None = None

    def right(self, labels: NDArray[np.uint8]) -> Floats:
        """Share of the seeds that get each image right (N,)."""
        return np.asarray((self.predicted == labels).mean(axis=0), np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfusedPair:
    """One class taken for another.

    Attributes:
        true: The class it is.
        said: The class it is taken for.
        rate: Share of the images of `true`, mean over seeds.
        low: Lower end of the 95 % interval: percentiles over seeds and images drawn again.
        high: Upper end.
    """

    true: int
    said: int
    rate: float
    low: float
    high: float


def confusion_rates(answers: Answers, labels: NDArray[np.uint8], *, classes: int) -> Floats:
    """Mean over seeds of the share of each true class that is given each class.

    Args:
        answers: Of one architecture.
        labels: True class of each image (N,).
        classes: How many there are.

    Returns:
        (classes, classes), true class by row; a row of NaN for a class without an image.
    """
    # One count over all seeds: scikit-learn's `confusion_matrix`, run by run, takes seconds for a thousand runs.
    cells = labels.astype(np.intp) * classes + answers.predicted  # (S, N)
    counts = np.bincount(cells.ravel(), minlength=classes**2).reshape(classes, classes)
    images = counts.sum(axis=1, keepdims=True)
    rates = np.full((classes, classes), math.nan)
    return np.asarray(np.divide(counts, images, out=rates, where=images > 0), np.float64)


def most_confused(
    answers: Answers, labels: NDArray[np.uint8], *, classes: int, most: int, seed: int = 0
) -> tuple[ConfusedPair, ...]:
    """The ordered pairs with the highest rates, those that happen, the highest first.

    The interval draws seeds and, within the true class, images again, both at once (Owen 2007, the pigeonhole
    bootstrap, Ann. Appl. Stat. 1, 386). It does not cover that these pairs were picked for being the highest.

    Args:
        answers: Of one architecture.
        labels: True class of each image (N,).
        classes: How many there are.
        most: How many pairs at most.
        seed: Of the draws.
    """
    rates = np.nan_to_num(confusion_rates(answers, labels, classes=classes))
    np.fill_diagonal(rates, 0.0)
    highest = np.argsort(-rates, axis=None, kind="stable")[:most]
    generator = np.random.default_rng(seed)
    count = len(answers.seeds)
    seed_counts = np.asarray(generator.multinomial(count, np.full(count, 1 / count), size=_DRAWS))  # (draws, S)
    pairs = []
    for true, said in (divmod(int(cell), classes) for cell in highest):
        if rates[true, said] > 0:
            taken = answers.predicted[:, labels == true] == said  # (S, images of the class)
            drawn = _draw_rates(taken, seed_counts, generator)
            low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
            pairs.append(ConfusedPair(true=true, said=said, rate=float(rates[true, said]), low=low, high=high))
    return tuple(pairs)


def _draw_rates(taken: NDArray[np.bool_], seed_counts: Counts, generator: np.random.Generator) -> Floats:
    """The rate in each draw (draws,).

    Images that the same seeds get wrong count alike: they are drawn together, and those that nobody gets wrong, nearly
    all, cost nothing.
    """
    packed = np.packbits(taken, axis=0)  # (bytes, images)
    _, first, alike = np.unique(packed, axis=1, return_index=True, return_counts=True)
    seeds, images = taken.shape
    image_counts = generator.multinomial(images, alike / images, size=len(seed_counts))  # (draws, kinds)
    return np.asarray(((seed_counts @ taken[:, first]) * image_counts).sum(axis=1) / (seeds * images), np.float64)


def pool_answers(answers: Sequence[Answers]) -> Answers:
    """Those of several architectures as if they were one: every run counts alike.

    Args:
        answers: At least one.
    """
    sure = [of.confidence for of in answers if of.confidence is not None]
    return Answers(
        seeds=tuple(seed for of in answers for seed in of.seeds),
        predicted=np.concatenate([of.predicted for of in answers]),
        confidence=np.concatenate(sure) if len(sure) == len(answers) else None,
    )


def hardest_images(answers: Answers, labels: NDArray[np.uint8], *, most: int) -> list[int]:
    """The images that the largest share of runs gets wrong, of equal ones the surest mistake first.

    Args:
        answers: Of one architecture, or pooled.
        labels: True class of each image (N,).
        most: How many at most; images that everybody gets right are none of them.
    """
    wrong = answers.predicted != labels  # (S, N)
    often = wrong.sum(axis=0)
    sure = np.zeros(len(labels))
    if answers.confidence is not None:
        sure = np.where(wrong, answers.confidence, 0).sum(axis=0, dtype=np.float64) / np.maximum(often, 1)
    order = np.lexsort((-sure, -often))[:most]
    return [int(image) for image in order if often[image]]


def told_apart(a: Answers, b: Answers, labels: NDArray[np.uint8], *, most: int, least: float = 0.5) -> list[int]:
    """The images that a gets right and b wrong: the largest difference between the shares of seeds that are right.

    Args:
        a: The one that is right.
        b: The one that is wrong.
        labels: True class of each image (N,).
        most: How many at most.
        least: Difference below which an image is left to chance.
    """
    apart = a.right(labels) - b.right(labels)
    return [int(image) for image in np.argsort(-apart, kind="stable")[:most] if apart[image] >= least]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """How often nets are right when they are so sure; rows are runs, columns bins of confidence.

    Bin k holds confidences from k/15 to below (k + 1)/15, the last one those of 1 too.

    Attributes:
        images: Images in each bin, (S, 15).
        confidence: Sum of their confidences, (S, 15).
        right: How many of them are right, (S, 15).
    """

    images: Floats
    confidence: Floats
    right: Floats

    @property
    def errors(self) -> tuple[float, ...]:
        """Expected calibration error of each run, a fraction: |right − confidence| of each bin, over all images."""
        gaps = np.abs(self.right - self.confidence).sum(axis=1) / self.images.sum(axis=1)
        return tuple(gaps.tolist())


def find_reliability(confidence: NDArray[np.float16], right: NDArray[np.bool_]) -> Reliability:
    """Sort answers into bins of confidence.

    Args:
        confidence: Probability given to each answer, one row a run, (S, N).
        right: Whether it is right, (S, N).
    """
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
    """A mean over seeds.

    Attributes:
        mean: The mean; None without values.
        low: Lower end of the 95 % Student-t interval, cut at 0; None under three seeds.
        high: Upper end.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None


def estimate_mean(values: Sequence[float]) -> MeanEstimate:
    """Mean and interval (`scipy.stats.ttest_1samp`) of what cannot be negative; what is not finite is left out."""
    there = [value for value in values if math.isfinite(value)]
    if not there:
        return MeanEstimate()
    mean = statistics.fmean(there)
    if len(there) < 3:
        return MeanEstimate(mean=mean)
    if min(there) == max(there):  # scipy warns of lost precision when all are equal
        return MeanEstimate(mean=mean, low=mean, high=mean)
    interval = ttest_1samp(there, popmean=0.0).confidence_interval(0.95)
    return MeanEstimate(mean=mean, low=max(0.0, float(interval.low)), high=float(interval.high))
