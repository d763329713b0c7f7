"""What the fitted nets of an architecture said of every test image, and the images on which that tells most."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


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
