"""On which side images are, to train on, to validate on or to test with; and what is on two sides."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.core.errors import DataError
from bench.system.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    Indices = npt.NDArray[np.int64]

POOL, VALIDATION, TEST = 0, 1, 2
_SIDES = ("training", "validation", "test")
_TEST_SHARE = 5
"""One in so many images becomes a test image where there is no test set."""
_TWICE = "--drop-duplicates keeps each image once"


class Rows(NamedTuple):
    """All images of all sides, one row each.

    Attributes:
        images: Of each part as it was read, (N, C, H, W).
        part: Which of these each is in, (M,).
        place: Where in it, (M,).
        side: `POOL`, `VALIDATION` or `TEST`, (M,).
        labels: (M,) int64.
        digests: Of the pixels, (M,) of 16 bytes.
        groups: Numbers of the groups, (M,) int64, by the order of their names; all 0 where nothing is asked for.
    """

    images: Sequence[npt.NDArray[np.uint8]]
    part: Indices
    place: Indices
    side: Indices
    labels: Indices
    digests: npt.NDArray[np.bytes_]
    groups: Indices

    def chosen(self, which: npt.NDArray[np.bool_] | Indices) -> Rows:
        """Some of the rows, or all in another order."""
        columns: Iterator[Any] = (column[which] for column in self[1:])
        return Rows(self.images, *columns)


def drop_equals(rows: Rows) -> tuple[Rows, list[str]]:
    """Rows of which no two have the same pixels, and what was left out, in sentences.

    Of equal images one is kept, that of the test set first; of equal ones of several classes none, as nobody can tell
    which is right.
    """
    torn = _are_of_several_classes(rows)
    order = np.lexsort((-rows.side, rows.digests))
    is_first = np.append(True, rows.digests[order][1:] != rows.digests[order][:-1])
    kept = np.zeros(len(order), dtype=np.bool_)
    kept[order[is_first]] = True
    notes = []
    if dropped := int((~kept & ~torn).sum()):
        notes.append(f"{plural(dropped, 'image')} left out that {_are(dropped)} there twice.")
    if torn.any():
        notes.append(f"{plural(int(torn.sum()), 'image')} left out whose equals are of other classes.")
    return rows.chosen(kept & ~torn), notes


def set_aside(rows: Rows, *, grouped: bool, names: Sequence[str]) -> Rows:
    """The rows with a fixed stratified fifth of those to train on as test set; equal images stay on one side.

    `names` of the classes are for messages.

    Raises:
        DataError: No such part can be made.
    """
    from bench.data.splits import check_splittable, cut  # noqa: PLC0415 - scikit-learn takes seconds to import

    in_pool = rows.side == POOL
    second = int(in_pool.sum()) // _TEST_SHARE
    groups = None
    if grouped:
        in_pool &= ~np.isin(rows.groups, rows.groups[rows.side == VALIDATION])
        if in_pool.sum() < second:
            raise DataError(
                "nearly all images are of groups that the validation set has too, so that none are left to test with; "
                "name test images, or leave the validation set out."
            )
        groups = rows.groups[in_pool]
    elif len(np.unique(rows.digests[in_pool])) < in_pool.sum():
        groups = np.unique(rows.digests[in_pool], return_inverse=True)[1].astype(np.int64)
    candidates = np.flatnonzero(in_pool)
    check_splittable(rows.labels[candidates], validation_images=second, names=names)
    _, chosen = cut(rows.labels[candidates], second=second, groups=groups, split_seed=0, names=names)
    side = rows.side.copy()
    side[candidates[chosen]] = TEST
    return rows._replace(side=side)


def describe_test(rows: Rows, *, grouped: bool) -> str:
    """What a reader must know of a test set that was set aside."""
    count, of = int((rows.side == TEST).sum()), int((rows.side != VALIDATION).sum())
    if grouped:
        return f"There is no test set: {count:,} of {of:,} images, whole groups, are set aside as one."
    return f"There is no test set: a stratified fifth, {count:,} images, is set aside as one."


def describe_shared(rows: Rows, *, grouped: bool) -> list[str]:
    """What is on two sides, or twice on one, in sentences."""
    notes = []
    is_test, is_validation = rows.side == TEST, rows.side == VALIDATION
    if twice := int(np.isin(rows.digests[is_test], rows.digests[~is_test]).sum()):
        notes.append(
            f"{plural(twice, 'test image')} {_are(twice)} among the training images too, pixel by pixel, so that "
            f"accuracies are too high: {_TWICE}."
        )
    if is_validation.any():
        seen = int(np.isin(rows.digests[is_validation], rows.digests[rows.side == POOL]).sum())
        if seen:
            notes.append(f"{plural(seen, 'validation image')} {_are(seen)} among the training images too: {_TWICE}.")
    notes += _describe_copies(rows)
    if torn := int(_are_of_several_classes(rows).sum()):
        notes.append(f"{plural(torn, 'image')} {_are(torn)} equal, pixel by pixel, to images of other classes.")
    return notes + (_describe_groups(rows) if grouped else [])


def _describe_copies(rows: Rows) -> list[str]:
    """How many images of each side are equal to others of it, and what that does."""
    is_split = not (rows.side == VALIDATION).any()
    effects = {
        TEST: ", which count as often",
        VALIDATION: ", which count as often",
        POOL: ", so that seeds validate on some that they trained on" if is_split else "",
    }
    notes = []
    for side, effect in effects.items():
        of_side = rows.digests[rows.side == side]
        if copies := len(of_side) - len(np.unique(of_side)):
            what = f"{plural(copies, f'{_SIDES[side]} image')} {'is a copy' if copies == 1 else 'are copies'}"
            notes.append(f"{what} of another {_SIDES[side]} image{effect}: {_TWICE}.")
    return notes


def _describe_groups(rows: Rows) -> list[str]:
    notes = []
    for one, other in itertools.combinations((TEST, VALIDATION, POOL), 2):
        shared = len(np.intersect1d(rows.groups[rows.side == one], rows.groups[rows.side == other]))
        if shared:
            notes.append(f"{plural(shared, 'group')} of the {_SIDES[one]} set {_are(shared)} in {_SIDES[other]} too.")
    return notes


def _are_of_several_classes(rows: Rows) -> npt.NDArray[np.bool_]:
    """Which rows have the pixels of a row of another class."""
    _, image = np.unique(rows.digests, return_inverse=True)
    pairs = np.unique(np.stack([image, rows.labels]), axis=1)  # each image with each of its classes, once
    images, classes = np.unique(pairs[0], return_counts=True)
    return np.isin(image, images[classes > 1])


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
