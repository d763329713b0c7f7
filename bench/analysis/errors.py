"""Which test images are wrong: confusions of classes, the error floor, and McNemar's test of two fitted models."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]
    Predicted = Mapping[str, Mapping[int, NDArray[np.uint8]]]
    """Predicted class of every test image (N,), by architecture and seed."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What the fitted nets of one architecture said of every test image.

    Attributes:
        seeds: Their seeds.
        predicted: Predicted classes, one row a seed, (S, N) uint8.
        confidence: Probabilities given to these classes, (S, N) float32; None unless every net has them.
    """

    seeds: tuple[int, ...]
    predicted: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None = None

    def right(self, labels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Share of the seeds that get each image right (N,)."""
        return np.asarray((self.predicted == labels).mean(axis=0), np.float64)

    def wrong_confidence(self, labels: NDArray[np.uint8]) -> NDArray[np.float64] | None:
        """Mean confidence of the wrong answers to each image (N,), 0 without one; None where no confidence is known."""
        if self.confidence is None:
            return None
        wrong = self.predicted != labels  # (S, N)
        total = np.where(wrong, self.confidence, 0).sum(axis=0, dtype=np.float64)
        return np.asarray(total / np.maximum(wrong.sum(axis=0), 1), np.float64)

    def commonest_mistakes(self, image: int, true: int) -> tuple[int, list[int]]:
        """How many runs gave the wrong class that most of them gave an image, and which; several where they tie.

        Args:
            image: Its number; at least one run gets it wrong.
            true: Its class.

        Returns:
            The count, and the classes: those with the higher mean confidence first, then the lower ones.
        """
        said = self.predicted[:, image]
        counts = np.bincount(said[said != true])
        tied = np.flatnonzero(counts == counts.max()).tolist()
        if self.confidence is not None:
            sure = self.confidence[:, image].astype(np.float64)
            tied.sort(key=lambda given: (-float(sure[said == given].mean()), given))
        return int(counts.max()), tied


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


def hardest_images(answers: Answers, labels: NDArray[np.uint8]) -> list[int]:
    """The images that any run gets wrong: most runs first, of equal ones the surest wrong answers on average.

    Args:
        answers: Of one architecture, or pooled.
        labels: True class of each image (N,).
    """
    often = (answers.predicted != labels).sum(axis=0)
    sure = answers.wrong_confidence(labels)
    order = np.lexsort((np.zeros(len(labels)) if sure is None else -sure, -often))
    return [int(image) for image in order if often[image]]


def told_apart(a: Answers, b: Answers, labels: NDArray[np.uint8], *, least: float = 0.5) -> list[int]:
    """The images that a gets right and b wrong: the largest difference between the shares of seeds that are right.

    Args:
        a: The one that is right.
        b: The one that is wrong.
        labels: True class of each image (N,).
        least: Difference below which an image is left to chance.
    """
    apart = (a.right(labels) - b.right(labels)).round(12)  # 6/7 less 5/14 is a half, and a hair less in binary
    return [int(image) for image in np.argsort(-apart, kind="stable") if apart[image] >= least]


_MOST_DRAWS = 10_000
_FEWEST_DRAWS = 1_000
_SEEDS_DRAWN = 200_000
"""Draws times seeds: with hundreds of seeds the most draws would take half a minute."""


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
    answers: Answers, labels: NDArray[np.uint8], *, classes: int, most: int, tied: int = 0, seed: int = 0
) -> tuple[ConfusedPair, ...]:
    """The ordered pairs with the highest rates, those that happen, the highest first.

    The interval draws seeds and, within the true class, images again, both at once (Owen 2007, the pigeonhole
    bootstrap, Ann. Appl. Stat. 1, 386). It does not cover that these pairs were picked for being the highest.

    Args:
        answers: Of one architecture.
        labels: True class of each image (N,).
        classes: How many there are.
        most: How many pairs at most, but for ties.
        tied: How many more at most, of those that tie with the last.
        seed: Of the draws.
    """
    rates = np.nan_to_num(confusion_rates(answers, labels, classes=classes))
    np.fill_diagonal(rates, 0.0)
    order = np.argsort(-rates, axis=None, kind="stable")[: most + tied]
    last = rates.flat[order[:most][-1]]
    highest = [cell for place, cell in enumerate(order) if place < most or rates.flat[cell] == last]
    generator = np.random.default_rng(seed)
    count = len(answers.seeds)
    draws = min(_MOST_DRAWS, max(_FEWEST_DRAWS, _SEEDS_DRAWN // count))
    seed_counts = np.asarray(generator.multinomial(count, np.full(count, 1 / count), size=draws))  # (draws, S)
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageErrors:
    """The images that one architecture gets wrong, over its seeds.

    Attributes:
        mean: Images wrong, mean over seeds.
        ever: Images that at least one seed gets wrong.
        always: Images that every seed gets wrong.
    """

    mean: float
    ever: int
    always: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disagreement:
    """Two architectures on the same images, seed by seed; counts are means over the shared seeds.

    Attributes:
        a: The first.
        b: The second.
        seeds: Seeds that both have.
        differ: Images to which the two give different classes.
        only_a: Images that a alone gets right.
        only_b: Images that b alone gets right.
        both_wrong: Images that both get wrong.
        p_mcnemar: Exact p of McNemar's test of the two fitted models of each seed, in the order of `seeds`: of these
            models, not of the architectures.
    """

    a: str
    b: str
    seeds: tuple[int, ...]
    differ: float
    only_a: float
    only_b: float
    both_wrong: float
    p_mcnemar: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorFloor:
    """What the stored predictions of one table say of its images.

    Attributes:
        images: Test images.
        architectures: Errors of each architecture.
        everyone: Indices of the images that every run of every architecture gets wrong.
        pairs: Disagreement of each pair that shares a seed.
    """

    images: int
    architectures: Mapping[str, ImageErrors]
    everyone: tuple[int, ...]
    pairs: tuple[Disagreement, ...]


def find_error_floor(answers: Predicted, labels: NDArray[np.uint8]) -> ErrorFloor:
    """Compare predictions with the truth and with each other.

    Args:
        answers: Predicted class of each test image, by architecture and seed; each architecture has one seed at least.
        labels: True class of each test image (N,).
    """
    wrong = {
        name: np.stack([predicted != labels for _, predicted in sorted(by_seed.items())])  # (seeds, N)
        for name, by_seed in answers.items()
    }
    everyone = np.logical_and.reduce([of.all(axis=0) for of in wrong.values()]) if wrong else np.zeros(0)
    return ErrorFloor(
        images=len(labels),
        architectures={
            name: ImageErrors(
                mean=float(of.sum(axis=1).mean()), ever=int(of.any(axis=0).sum()), always=int(of.all(axis=0).sum())
            )
            for name, of in wrong.items()
        },
        everyone=tuple(np.flatnonzero(everyone).tolist()),
        pairs=tuple(
            _disagreement(a, b, answers, labels)
            for a, b in itertools.combinations(sorted(answers), 2)
            if answers[a].keys() & answers[b].keys()
        ),
    )


def _disagreement(a: str, b: str, answers: Predicted, labels: NDArray[np.uint8]) -> Disagreement:
    seeds = sorted(answers[a].keys() & answers[b].keys())
    first, second = (np.stack([answers[name][seed] for seed in seeds]) for name in (a, b))  # (seeds, N)
    right_a, right_b = first == labels, second == labels
    only_a, only_b = (right_a & ~right_b).sum(axis=1), (right_b & ~right_a).sum(axis=1)  # (seeds,)
    return Disagreement(
        a=a,
        b=b,
        seeds=tuple(seeds),
        differ=float((first != second).sum(axis=1).mean()),
        only_a=float(only_a.mean()),
        only_b=float(only_b.mean()),
        both_wrong=float((~right_a & ~right_b).sum(axis=1).mean()),
        p_mcnemar=tuple(exact_mcnemar(only_a, only_b).tolist()),
    )


def exact_mcnemar(only_a: NDArray[np.int64], only_b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Two-sided exact p of each two models, binomial at ½; statsmodels' `mcnemar(exact=True)` for many at once.

    Args:
        only_a: Images that the first alone gets right (seeds,).
        only_b: Images that the second alone gets right (seeds,).
    """
    return np.minimum(1.0, 2 * binom.cdf(np.minimum(only_a, only_b), only_a + only_b, 0.5))
