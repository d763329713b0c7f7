"""What is taken for what: how often each class is given to the images of another, and the pairs most confused."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.stats.answers import Answers

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

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
