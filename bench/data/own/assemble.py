"""Puts images of one's own in order, finds those that are there twice, and sets a test set aside where there is none.

The order is by class, then by a hash of the pixels, then by group: the same images and labels give the same arrays, and
so the same content hash and the same runs, whatever files they came in.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.core.errors import DataError
from bench.data.arrays import Dataset, ImageArrays, check_arrays, content_hash, describe_dataset
from bench.data.own.parts import make_scratch
from bench.system.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from bench.core.reading import ReadingOptions
    from bench.data.own.parts import Part, Parts

    Indices = npt.NDArray[np.int64]

_TEST_SHARE = 5
"""One in so many images becomes a test image where there is no test set."""
_CHUNK_IMAGES = 1_000
_POOL, _VALIDATION, _TEST = 0, 1, 2


class _Rows(NamedTuple):
    """All images of all parts, one row each.

    Attributes:
        images: Of each part, (N, C, H, W).
        part: Which part each is in, (M,).
        place: Where in it, (M,).
        labels: (M,) int64.
        digests: Of the pixels, (M,) of 16 bytes.
        groups: Numbers of the groups, (M,) int64, by the order of their names; all 0 where nothing is asked for.
    """

    images: Sequence[npt.NDArray[np.uint8]]
    part: Indices
    place: Indices
    labels: Indices
    digests: npt.NDArray[np.bytes_]
    groups: Indices

    def chosen(self, which: npt.NDArray[np.bool_] | Indices) -> _Rows:
        return self._replace(
            part=self.part[which],
            place=self.place[which],
            labels=self.labels[which],
            digests=self.digests[which],
            groups=self.groups[which],
        )


def assemble(parts: Parts, *, name: str, origin: str, reading: ReadingOptions) -> Dataset:
    """The dataset that parts make.

    Args:
        parts: What was read.
        name: What the dataset is called.
        origin: Where it was read from, for people.
        reading: How it was read.

    Raises:
        DataError: There is nothing to tell apart, or too little to be split.
    """
    rows = _sorted(_rows(parts))
    _check_classes(rows, parts, origin)
    notes = [*parts.notes]
    if reading.drop_duplicates:
        kept = _first_of_equals(rows)
        if dropped := len(rows.labels) - int(kept.sum()):
            notes.append(f"{plural(dropped, 'image')} left out that {'is' if dropped == 1 else 'are'} there twice.")
        rows = rows.chosen(kept)
    elif twice := _in_both(rows):
        notes.append(
            f"{plural(twice, 'test image')} {'is' if twice == 1 else 'are'} among the training images too, pixel by "
            "pixel, so that accuracies are too high: --drop-duplicates keeps each image once."
        )
    is_grouped = parts.pool.groups is not None
    is_test = rows.part == _TEST
    if parts.test is None:
        is_test = _set_aside(rows, grouped=is_grouped)
        notes.append(f"There is no test set: a stratified fifth, {is_test.sum():,} images, is set aside as one.")
    elif is_grouped and (shared := len(np.intersect1d(rows.groups[is_test], rows.groups[~is_test]))):
        notes.append(f"{plural(shared, 'group')} of the test set {'is' if shared == 1 else 'are'} in training too.")
    pool, test = rows.chosen(~is_test), rows.chosen(is_test)
    arrays = ImageArrays(
        pool_images=_gather(pool),
        pool_labels=pool.labels,
        test_images=_gather(test),
        test_labels=test.labels,
        pool_groups=_renumbered(pool.groups) if is_grouped else None,
        pool_validation=pool.part == _VALIDATION if parts.validation is not None else None,
    )
    check_arrays(arrays, classes=len(parts.classes), origin=origin)
    found_hash = content_hash(arrays)
    metadata = describe_dataset(
        name,
        arrays,
        classes=parts.classes,
        validation_images=_validation_images(arrays),
        found_hash=found_hash,
        origin=origin,
        note=" ".join(notes),
    )
    return Dataset(metadata=metadata, **arrays.by_name())


def _rows(parts: Parts) -> _Rows:
    of_parts: list[tuple[int, Part]] = [(_POOL, parts.pool)]
    of_parts += [(kind, part) for kind, part in ((_VALIDATION, parts.validation), (_TEST, parts.test)) if part]
    names = [name for _, part in of_parts for name in part.groups or [""] * len(part.labels)]
    images: list[npt.NDArray[np.uint8]] = [parts.pool.images] * 3
    for kind, part in of_parts:
        images[kind] = part.images
    return _Rows(
        images=images,
        part=np.concatenate([np.full(len(part.labels), kind) for kind, part in of_parts]),
        place=np.concatenate([np.arange(len(part.labels)) for _, part in of_parts]),
        labels=np.concatenate([part.labels for _, part in of_parts]),
        digests=np.array([_digest(image) for _, part in of_parts for image in part.images], dtype="S16"),
        groups=np.unique(np.array(names), return_inverse=True)[1].astype(np.int64),
    )


def _digest(image: npt.NDArray[np.uint8]) -> bytes:
    """Of 15 bytes and one that is no zero, which numpy would take for the end."""
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()[:15] + b"."


def _sorted(rows: _Rows) -> _Rows:
    """By class, pixels, group and part."""
    return rows.chosen(np.lexsort((rows.part, rows.groups, rows.digests, rows.labels)))


def _check_classes(rows: _Rows, parts: Parts, origin: str) -> None:
    in_pool = np.unique(rows.labels[rows.part != _TEST])
    if len(in_pool) < 2:
        only = parts.classes[in_pool[0]] if len(in_pool) else "none"
        raise DataError(f"'{origin}' has images of one class only ({only}); a net needs two or more to tell apart.")
    absent = [name for label, name in enumerate(parts.classes) if label not in in_pool]
    if absent:
        raise DataError(
            f"'{origin}': no training image is of class {', '.join(absent)}, though test images are; add some, or take "
            "the class out of the test set."
        )


def _first_of_equals(rows: _Rows) -> npt.NDArray[np.bool_]:
    """Which rows to keep so that no two have the same pixels: those of the test set first."""
    order = np.lexsort((rows.labels, -rows.part, rows.digests))
    is_first = np.append(True, rows.digests[order][1:] != rows.digests[order][:-1])
    kept = np.zeros(len(order), dtype=np.bool_)
    kept[order[is_first]] = True
    return kept


def _in_both(rows: _Rows) -> int:
    """How many test images are in the pool too."""
    is_test = rows.part == _TEST
    return int(np.isin(rows.digests[is_test], rows.digests[~is_test]).sum())


def _set_aside(rows: _Rows, *, grouped: bool) -> npt.NDArray[np.bool_]:
    """Which rows become test images: a fixed stratified fifth of those that are not there to validate on."""
    from bench.data.splits import cut  # noqa: PLC0415 - scikit-learn takes seconds to import

    candidates = np.flatnonzero(rows.part == _POOL)
    groups = rows.groups[candidates] if grouped else None
    _, second = cut(rows.labels[candidates], second=len(candidates) // _TEST_SHARE, groups=groups, split_seed=0)
    is_test = np.zeros(len(rows.labels), dtype=np.bool_)
    is_test[candidates[second]] = True
    return is_test


def _gather(rows: _Rows) -> npt.NDArray[np.uint8]:
    """The images of rows in their order, in a file of their own, so that memory stays free."""
    found = make_scratch((len(rows.labels), *rows.images[_POOL].shape[1:]))
    for start in range(0, len(found), _CHUNK_IMAGES):
        part, place = rows.part[start : start + _CHUNK_IMAGES], rows.place[start : start + _CHUNK_IMAGES]
        for kind in np.unique(part):
            found[start + np.flatnonzero(part == kind)] = rows.images[kind][place[part == kind]]
    return found


def _renumbered(groups: Indices) -> Indices:
    """The same groups by the order in which they come, so that their names do not matter."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _validation_images(arrays: ImageArrays) -> int:
    """A fifth of the pool but no more than 2,000, or a tenth where that is more, and no more than 10,000."""
    if arrays.pool_validation is not None:
        return int(arrays.pool_validation.sum())
    count = len(arrays.pool_labels)
    return min(max(min(count // 5, 2_000), count // 10), 10_000)
