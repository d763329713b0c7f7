"""Cuts the training pool into training and validation images, stratified and fixed by a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.core.errors import DataError
from bench.core.seeds import Stream, derive_sklearn_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Indices = npt.NDArray[np.int64]
    Labels = npt.NDArray[np.int64]

PROBE_IMAGES = 1_000


class Split(NamedTuple):
    """Sorted indices into the training pool, (T,) and (V,) int64, without a common image."""

    train: Indices
    validation: Indices


def split(
    labels: Labels,
    *,
    validation_images: int,
    split_seed: int,
    groups: Labels | None = None,
    validation: npt.NDArray[np.bool_] | None = None,
) -> Split:
    """Cut the pool into images to train and to validate on.

    Args:
        labels: Classes of the pool, (N,).
        validation_images: How many to validate on; with groups, about so many.
        split_seed: What the cut follows from.
        groups: Numbers of groups that stay on one side, (N,); None for none.
        validation: Which images every seed validates on, (N,); None for a cut of each seed's own.

    Raises:
        DataError: The pool is too small, or a class has too few images, or groups, for both parts.
    """
    if validation is not None:
        return Split(train=np.flatnonzero(~validation), validation=np.flatnonzero(validation))
    check_splittable(labels, validation_images=validation_images)
    train, second = cut(labels, second=validation_images, split_seed=split_seed, groups=groups)
    return Split(train=train, validation=second)


def probe_of(parts: Split, labels: Labels, split_seed: int) -> Indices:
    """The fixed stratified probe: at most 1,000 validation images, scored often on the way to a target.

    Sorted indices into the pool, int64, of which `labels` (N,) are the classes. The only validation image of a class is
    always among them.
    """
    if len(parts.validation) <= PROBE_IMAGES:
        return parts.validation
    of_validation = labels[parts.validation]
    classes, place, counts = np.unique(of_validation, return_inverse=True, return_counts=True)
    alone = counts[place] == 1  # cannot be divided, and nothing but all of it is a share of it
    several = np.flatnonzero(~alone)
    left = len(classes) - np.count_nonzero(alone)
    wanted = min(PROBE_IMAGES - np.count_nonzero(alone), len(several) - left)
    _, chosen = cut(of_validation[several], second=int(wanted), split_seed=split_seed)
    return np.sort(np.concatenate((parts.validation[alone], parts.validation[several[chosen]])))


def probe_of_test(labels: Labels, split_seed: int) -> Indices:
    """The probe of test images of classes (N,), for runs of claims; sorted indices into the test set, int64."""
    every = np.arange(len(labels))
    return probe_of(Split(train=every[:0], validation=every), labels, split_seed)


def check_splittable(labels: Labels, *, validation_images: int, names: Sequence[str] | None = None) -> None:
    """Refuse a pool, labels (N,), that cannot be cut, before anything trains; `names` of classes are for the message.

    Raises:
        DataError: The pool is too small, or a class has too few images for both parts.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min(initial=2) < 2:
        rare = classes[counts.argmin()]
        raise DataError(
            f"Class {rare if names is None else repr(names[rare])} has 1 image of {len(labels)}; a stratified split "
            "into training and validation images needs 2 of each class: add one, or take the class away."
        )
    if not len(classes) <= validation_images <= len(labels) - len(classes):
        raise DataError(
            f"{len(labels)} images of {len(classes)} classes cannot be split {len(labels) - validation_images} to "
            f"{validation_images}; each part needs an image of each class. Use a larger dataset."
        )


def cut(labels: Labels, *, second: int, split_seed: int, groups: Labels | None = None) -> tuple[Indices, Indices]:
    """Cut images, of classes (N,), in two parts, stratified; with groups, whole groups, so that sizes are about right.

    By `sklearn.model_selection.StratifiedShuffleSplit`, seeded by the split stream, with groups by the fold of
    `StratifiedGroupKFold` that comes next to the size. Sorted indices of either part.

    Raises:
        DataError: A class has too few groups for both parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit  # noqa: PLC0415 - takes seconds

    seed, nothing = derive_sklearn_seed(split_seed, Stream.SPLIT), np.zeros(len(labels))
    if groups is None:
        splitter = StratifiedShuffleSplit(n_splits=1, test_size=second, random_state=seed)
        first, rest = next(splitter.split(nothing, labels))
        return np.sort(first), np.sort(rest)
    fewest = min(len(np.unique(groups[labels == label])) for label in np.unique(labels))
    if fewest < 2:
        raise DataError("A class has images of one group only, which cannot be on both sides of a split.")
    folds = StratifiedGroupKFold(min(fewest, max(2, round(len(labels) / second))), shuffle=True, random_state=seed)
    first, rest = min(folds.split(nothing, labels, groups), key=lambda sides: abs(len(sides[1]) - second))
    if not len(np.unique(labels)) == len(np.unique(labels[first])) == len(np.unique(labels[rest])):
        raise DataError("Groups are so unlike that no split has images of each class on both sides; merge some.")
    return first, rest
