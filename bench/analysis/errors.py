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
    Labels = NDArray[np.uint8]
    """True class of every test image (N,)."""
    Predicted = Mapping[str, Mapping[int, NDArray[np.uint8]]]
    """Predicted class of every test image (N,), by architecture and seed."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What the fitted nets of one architecture said of every test image."""

    seeds: tuple[int, ...]
    predicted: NDArray[np.uint8]  # predicted classes, one row a seed, (S, N)
    confidence: NDArray[np.float32] | None = None  # given to these classes, (S, N); None unless every net has them

    def right(self, labels: Labels) -> Floats:
        """Share of the seeds that get each image right (N,)."""
        return np.asarray((self.predicted == labels).mean(axis=0), np.float64)

    def wrong_confidence(self, labels: Labels) -> Floats | None:
        """Mean confidence of the wrong answers to each image (N,), 0 without one; None where no confidence is known."""
        if self.confidence is None:
            return None
        wrong = self.predicted != labels  # (S, N)
        total = np.where(wrong, self.confidence, 0).sum(axis=0, dtype=np.float64)
        return np.asarray(total / np.maximum(wrong.sum(axis=0), 1), np.float64)

    def commonest_mistakes(self, image: int, true: int) -> tuple[int, list[int]]:
        """How many runs gave the wrong class that most of them gave an image, and which; several where they tie.

        At least one run gets the image wrong. The classes with the higher mean confidence come first, then lower ones.
        """
        said = self.predicted[:, image]
        counts = np.bincount(said[said != true])
        tied = np.flatnonzero(counts == counts.max()).tolist()
        if self.confidence is not None:
            sure = self.confidence[:, image].astype(np.float64)
            tied.sort(key=lambda given: (-float(sure[said == given].mean()), given))
        return int(counts.max()), tied


def pool_answers(answers: Sequence[Answers]) -> Answers:
    """Those of several architectures, one at least, as if they were one: every run counts alike."""
    sure = [net.confidence for net in answers if net.confidence is not None]
    return Answers(
        seeds=tuple(seed for net in answers for seed in net.seeds),
        predicted=np.concatenate([net.predicted for net in answers]),
        confidence=np.concatenate(sure) if len(sure) == len(answers) else None,
    )


def hardest_images(answers: Answers, labels: Labels) -> list[int]:
    """The images that any run gets wrong: most runs first, of equal ones the surest wrong answers on average."""
    often = (answers.predicted != labels).sum(axis=0)
    sure = answers.wrong_confidence(labels)
    order = np.lexsort((np.zeros(len(labels)) if sure is None else -sure, -often))
    return [int(image) for image in order if often[image]]


def told_apart(a: Answers, b: Answers, labels: Labels, *, least: float = 0.5) -> list[int]:
    """The images that a gets right and b wrong: the largest difference between the shares of seeds that are right.

    An image with a smaller difference than the least is left to chance.
    """
    apart = (a.right(labels) - b.right(labels)).round(12)  # 6/7 less 5/14 is a half, and a hair less in binary
    return [int(image) for image in np.argsort(-apart, kind="stable") if apart[image] >= least]


_MOST_DRAWS = 10_000
_FEWEST_DRAWS = 1_000
_SEEDS_DRAWN = 200_000
"""Draws times seeds: with hundreds of seeds the most draws would take half a minute."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConfusedPair:
    """One class taken for another."""

    true: int
    said: int
    rate: float  # share of the images of `true`, mean over seeds
    low: float  # lower end of the 95 % interval: percentiles over seeds and images drawn again
    high: float


def confusion_rates(answers: Answers, labels: Labels, *, classes: int) -> Floats:
    """Mean over seeds of the share of each true class that is given each class, (classes, classes).

    The true class is the row, one of NaN for a class without an image.
    """
    # One count over all seeds: scikit-learn's `confusion_matrix`, run by run, takes seconds for a thousand runs.
    cells = labels.astype(np.intp) * classes + answers.predicted  # (S, N)
    counts = np.bincount(cells.ravel(), minlength=classes**2).reshape(classes, classes)
    images = counts.sum(axis=1, keepdims=True)
    rates = np.full((classes, classes), math.nan)
    return np.asarray(np.divide(counts, images, out=rates, where=images > 0), np.float64)


def most_confused(
    answers: Answers, labels: Labels, *, classes: int, most: int, tied: int = 0, seed: int = 0
) -> tuple[ConfusedPair, ...]:
    """The `most` ordered pairs with the highest rates, and up to `tied` more that tie with the last; only what happens.

    The interval draws seeds and, within the true class, images again, both at once (Owen 2007, the pigeonhole
    bootstrap, Ann. Appl. Stat. 1, 386). It does not cover that these pairs were picked for being the highest.
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
    """How many images one architecture gets wrong, over its seeds."""

    mean: float
    ever: int  # by at least one seed
    always: int  # by every seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disagreement:
    """Two architectures on the same images, seed by seed; counts of images are means over the shared seeds."""

    a: str
    b: str
    seeds: tuple[int, ...]  # that both have
    differ: float  # given different classes
    only_a: float  # that a alone gets right
    only_b: float
    both_wrong: float
    p_mcnemar: tuple[float, ...]  # exact, of the two fitted models of each seed, not of the architectures


@dataclasses.dataclass(frozen=True, kw_only=True)
class ErrorFloor:
    """What the stored predictions of one table say of its images."""

    images: int
    architectures: Mapping[str, ImageErrors]
    everyone: tuple[int, ...]  # indices of the images that every run of every architecture gets wrong
    pairs: tuple[Disagreement, ...]  # that share a seed


def find_error_floor(answers: Predicted, labels: Labels) -> ErrorFloor:
    """Compare predictions, of one seed of each architecture at least, with the truth and with each other."""
    wrong = {
        name: np.stack([predicted != labels for _, predicted in sorted(by_seed.items())])  # (seeds, N)
        for name, by_seed in answers.items()
    }
    everyone = np.logical_and.reduce([images.all(axis=0) for images in wrong.values()]) if wrong else np.zeros(0)
    return ErrorFloor(
        images=len(labels),
        architectures={
            name: ImageErrors(
                mean=float(images.sum(axis=1).mean()),
                ever=int(images.any(axis=0).sum()),
                always=int(images.all(axis=0).sum()),
            )
            for name, images in wrong.items()
        },
        everyone=tuple(np.flatnonzero(everyone).tolist()),
        pairs=tuple(
            _disagreement(a, b, answers, labels)
            for a, b in itertools.combinations(sorted(answers), 2)
            if answers[a].keys() & answers[b].keys()
        ),
    )


def _disagreement(a: str, b: str, answers: Predicted, labels: Labels) -> Disagreement:
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
    """Two-sided exact p of each two models (seeds,), binomial at ½: statsmodels' `mcnemar(exact=True)` for many."""
    return np.minimum(1.0, 2 * binom.cdf(np.minimum(only_a, only_b), only_a + only_b, 0.5))
