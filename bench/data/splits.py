"""Cuts the training pool into training and validation images, stratified and fixed by a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.errors import DataError
from bench.seeds import Stream, derive_sklearn_seed

if TYPE_CHECKING:
    import numpy.typing as npt

    Indices = npt.NDArray[np.int64]
    Labels = npt.NDArray[np.int64]

PROBE_IMAGES = 1_000


class Split(NamedTuple):
    """Indices into the training pool, each part sorted, without a common image.

    Attributes:
        train: Images to train on, (T,) int64.
        validation: Images to choose by, (V,) int64.
    """

    train: Indices
    validation: Indices


def split(labels: Labels, *, validation_images: int, split_seed: int) -> Split:
    """Cut the pool by `sklearn.model_selection.StratifiedShuffleSplit`, seeded by the split stream.

    Args:
        labels: Classes of the whole pool, (N,).
        validation_images: How many images to set aside.
        split_seed: Seed of the split, from 0.

    Raises:
        DataError: The pool is too small, or a class has too few images for both parts.
    """
    _check_splittable(labels, validation_images)
    train, validation = _stratify(labels, second=validation_images, split_seed=split_seed)
    return Split(train=train, validation=validation)


def probe_of(parts: Split, labels: Labels, split_seed: int) -> Indices:
    """The fixed stratified probe: at most 1,000 validation images, scored often on the way to a target.

    Args:
        parts: The split.
        labels: Classes of the whole pool, (N,).
        split_seed: Seed of the split.

    Returns:
        Sorted indices into the pool, (min(1000, V),) int64, all of them validation images.

    Raises:
        DataError: A class has too few validation images to take a stratified part.
    """
    if len(parts.validation) <= PROBE_IMAGES:
        return parts.validation
    of_validation = labels[parts.validation]
    _check_splittable(of_validation, PROBE_IMAGES)
    _, chosen = _stratify(of_validation, second=PROBE_IMAGES, split_seed=split_seed)
    return parts.validation[chosen]


def _check_splittable(labels: Labels, second: int) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min(initial=2) < 2:
        raise DataError(
            f"Class {classes[counts.argmin()]} has 1 image of {len(labels)}; a stratified split needs 2 of each class. "
            "Use a larger dataset."
        )
    if not len(classes) <= second <= len(labels) - len(classes):
        raise DataError(
            f"{len(labels)} images of {len(classes)} classes cannot be split {len(labels) - second} to {second}; "
            "each part needs an image of each class. Use a larger dataset."
        )


def _stratify(labels: Labels, *, second: int, split_seed: int) -> tuple[Indices, Indices]:
    from sklearn.model_selection import StratifiedShuffleSplit  # noqa: PLC0415 - takes seconds to import

    splitter = StratifiedShuffleSplit(
        n_splits=1, test_size=second, random_state=derive_sklearn_seed(split_seed, Stream.SPLIT)
    )
    first, rest = next(splitter.split(np.zeros(len(labels)), labels))
    return np.sort(first), np.sort(rest)
