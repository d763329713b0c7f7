"""Which images are wrong, and for whom: the error floor, disagreement, and McNemar's test of two fitted models."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Predicted = Mapping[str, Mapping[int, NDArray[np.uint8]]]
    """Predicted class of every test image (N,), by architecture and seed."""


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
