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
