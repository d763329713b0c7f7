"""What predictions say class by class, of data whose classes differ in size."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from bench.core.records import Study

UNEVEN = 2.0
"""How many times as many images the largest class must have as the smallest before classes count as uneven."""


class ClassScores(NamedTuple):
    """Scores of one run, fractions.

    Attributes:
        balanced_accuracy: Mean of the recalls of the classes that have images.
        macro_f1: Mean over these classes, and those that were said, of F1: the harmonic mean of precision and recall.
        recalls: Of each class, the share of its images that are right; NaN for a class without images.
    """

    balanced_accuracy: float
    macro_f1: float
    recalls: tuple[float, ...]


def score_classes(labels: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], *, classes: int) -> ClassScores:
    """Scores of predicted classes (N,) beside the true ones (N,), of so many classes at least.

    As `sklearn.metrics.balanced_accuracy_score` and `f1_score(average="macro", zero_division=0)` define them.
    """
    size = max(classes, 1 + int(labels.max()), 1 + int(predicted.max()))
    true, said = (np.bincount(values, minlength=size).astype(np.float64) for values in (labels, predicted))
    right = np.bincount(labels[labels == predicted], minlength=size).astype(np.float64)
    with np.errstate(invalid="ignore"):
        recalls, f1 = right / true, 2 * right / (true + said)
    return ClassScores(float(np.nanmean(recalls)), float(np.nanmean(f1)), tuple(recalls.tolist()))


def score_runs(study: Study) -> dict[str, ClassScores]:
    """Scores of every run whose answers to the test images are stored, by run id."""
    answered = [run for run in study.records if run.run_id in study.predicted and run.data_hash in study.labels]
    return {
        run.run_id: score_classes(
            study.labels[run.data_hash],
            study.predicted[run.run_id],
            classes=len(study.datasets[run.data_hash].classes) if run.data_hash in study.datasets else 0,
        )
        for run in answered
    }


def count_images(study: Study, data_hash: str) -> tuple[int, ...]:
    """Test images of each class of a dataset, in label order; empty where no answers to them are stored."""
    if data_hash not in study.labels:
        return ()
    classes = len(study.datasets[data_hash].classes) if data_hash in study.datasets else 0
    return tuple(np.bincount(study.labels[data_hash], minlength=classes).tolist())


def are_uneven(images: Sequence[int]) -> bool:
    """Whether classes of so many images differ so much that accuracy alone misleads; those without one do not count."""
    there = [count for count in images if count]
    return bool(there) and max(there) > UNEVEN * min(there)


def effective_images(images: Sequence[int]) -> float:
    """Images in classes of one size with which balanced accuracy varies as much as with classes of so many images.

    The variance of a mean of k shares of equal p is p(1 − p) Σ(1/n) / k²; of k classes of n/k images, p(1 − p) / n.
    """
    there = [count for count in images if count]
    return len(there) ** 2 / sum(1 / count for count in there) if there else 0.0
