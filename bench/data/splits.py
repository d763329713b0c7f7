"""Cuts the training pool into training and validation images, stratified and fixed by a seed."""

from __future__ import annotations

import math
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
_TRIES = 20
"""Orders of groups that are tried; the one that comes nearest to the size is taken."""
_NEAR = 0.01
"""So near to the size, as a share of it, that no other order is tried."""


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
            "in two parts needs 2 of each class: add one, or take the class away."
        )
    if not len(classes) <= validation_images <= len(labels) - len(classes):
        raise DataError(
            f"{len(labels)} images of {len(classes)} classes cannot be split {len(labels) - validation_images} to "
            f"{validation_images}; each part needs an image of each class. Use a larger dataset."
        )


def cut(
    labels: Labels, *, second: int, split_seed: int, groups: Labels | None = None, names: Sequence[str] | None = None
) -> tuple[Indices, Indices]:
    """Cut images, of classes (N,), in two parts, stratified; with groups, whole groups, so that sizes are about right.

    By `sklearn.model_selection.StratifiedShuffleSplit`, seeded by the split stream. Its like for groups gives folds of
    equal size, so few that a part may be half of all; groups are taken in an order drawn by the same seed instead, each
    that brings the classes nearer to their shares. Sorted indices of either part.

    Raises:
        DataError: A class, told by its name where `names` has one, has too few groups for both parts.
    """
    seed = derive_sklearn_seed(split_seed, Stream.SPLIT)
    if groups is None:
        from sklearn.model_selection import StratifiedShuffleSplit  # noqa: PLC0415 - takes seconds

        splitter = StratifiedShuffleSplit(n_splits=1, test_size=second, random_state=seed)
        first, rest = next(splitter.split(np.zeros(len(labels)), labels))
        return np.sort(first), np.sort(rest)
    in_second = _cut_groups(labels, groups, second, np.random.default_rng(seed), names)
    return np.flatnonzero(~in_second), np.flatnonzero(in_second)


def _cut_groups(
    labels: Labels, groups: Labels, second: int, generator: np.random.Generator, names: Sequence[str] | None
) -> npt.NDArray[np.bool_]:
    """Which images (N,) are in the second part."""
    classes, of_class = np.unique(labels, return_inverse=True)
    _, of_group = np.unique(groups, return_inverse=True)
    counts = np.zeros((of_group.max() + 1, len(classes)), dtype=np.int64)
    np.add.at(counts, (of_group, of_class), 1)
    if (groups_of := (counts > 0).sum(0)).min() < 2:
        alone = classes[groups_of.argmin()]
        raise DataError(
            f"Class {alone if names is None else repr(names[alone])} has images of one group only, which cannot be on "
            "both sides of a split; add another group, or leave --group-by out."
        )
    best, least = None, math.inf
    for _ in range(_TRIES):
        chosen = _choose_groups(counts, second / len(labels), generator.permutation(len(counts)))
        if chosen is not None and (off := abs(int(counts[chosen].sum()) - second)) < least:
            best, least = chosen[of_group], off
        if least <= _NEAR * second:
            break
    if best is not None:
        return best
    raise DataError(
        "Groups are so unlike that no split has images of each class on both sides; merge some, or leave --group-by "
        "out."
    )


def _choose_groups(counts: Labels, share: float, order: Indices) -> npt.NDArray[np.bool_] | None:
    """Which groups make up about that share of each class, all classes on both sides; None where this order fails.

    Args:
        counts: Images of each group in each class, (G, K).
        share: Of the images, that is wanted.
        order: In which groups are looked at, (G,).
    """
    shares = counts / counts.sum(0)  # of each class
    holds = counts > 0
    chosen = np.zeros(len(counts), dtype=np.bool_)
    missing, left = np.full(counts.shape[1], share), holds.sum(0)
    for need in (False, True):  # first what brings the shares nearer, then what a class still lacks
        for group in order:
            lacks = holds[group] & (missing >= share)
            helps = lacks.any() if need else float(shares[group] @ (shares[group] - 2 * missing)) < 0
            if not helps or chosen[group] or (left[holds[group]] < 2).any():
                continue
            chosen[group] = True
            missing = missing - shares[group]
            left = left - holds[group]
    return chosen if holds[chosen].any(0).all() else None
