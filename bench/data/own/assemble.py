"""Puts images of one's own in order, and sets a test set aside where there is none.

The order is by class, then by a hash of the pixels, then by group: the same images and labels give the same arrays, and
so the same content hash and the same runs, whatever files they came in.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError
from bench.data.arrays import Dataset, ImageArrays, check_arrays, content_hash, describe_dataset
from bench.data.own.parts import make_scratch
from bench.data.own.sides import (
    POOL,
    TEST,
    VALIDATION,
    Rows,
    describe_shared,
    describe_test,
    drop_equals,
    set_aside,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from bench.core.reading import ReadingOptions
    from bench.data.own.parts import Part, Parts

    Indices = npt.NDArray[np.int64]

_CHUNK_IMAGES = 1_000


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
    rows, notes = _sorted(_rows(parts)), [*parts.notes]
    if reading.drop_duplicates:
        rows, dropped = drop_equals(rows)
        notes += dropped
    _check_classes(rows, parts, origin)
    is_grouped = parts.pool.groups is not None
    if parts.test is None:
        with _named(origin):
            rows = set_aside(rows, grouped=is_grouped, names=parts.classes)
        notes.append(describe_test(rows, grouped=is_grouped))
    notes += describe_shared(rows, grouped=is_grouped)
    arrays = _arrays(rows, parts, grouped=is_grouped)
    check_arrays(arrays, classes=len(parts.classes), origin=origin)
    with _named(origin):
        validation_images = _validation_images(arrays, parts.classes)
    metadata = describe_dataset(
        name,
        arrays,
        classes=parts.classes,
        validation_images=validation_images,
        found_hash=content_hash(arrays),
        origin=origin,
        note=" ".join(notes),
    )
    return Dataset(metadata=metadata, **arrays.by_name())


@contextlib.contextmanager
def _named(origin: str) -> Iterator[None]:
    """Say of which images a fault speaks."""
    try:
        yield
    except DataError as fault:
        raise DataError(f"'{origin}': {fault}") from None


def _rows(parts: Parts) -> Rows:
    of_sides: list[tuple[int, Part]] = [(POOL, parts.pool)]
    of_sides += [(side, part) for side, part in ((VALIDATION, parts.validation), (TEST, parts.test)) if part]
    names = [name for _, part in of_sides for name in part.groups or [""] * len(part.labels)]
    images: list[npt.NDArray[np.uint8]] = [parts.pool.images] * 3
    for side, part in of_sides:
        images[side] = part.images
    sides = np.concatenate([np.full(len(part.labels), side) for side, part in of_sides])
    return Rows(
        images=images,
        part=sides,
        place=np.concatenate([np.arange(len(part.labels)) for _, part in of_sides]),
        side=sides,
        labels=np.concatenate([part.labels for _, part in of_sides]),
        digests=np.array([_digest(image) for _, part in of_sides for image in part.images], dtype="S16"),
        groups=np.unique(np.array(names), return_inverse=True)[1].astype(np.int64),
    )


def _digest(image: npt.NDArray[np.uint8]) -> bytes:
    """Of 15 bytes and one that is no zero, which numpy would take for the end."""
    return hashlib.sha256(np.ascontiguousarray(image).data).digest()[:15] + b"."


def _sorted(rows: Rows) -> Rows:
    """By class, pixels, group and part."""
    return rows.chosen(np.lexsort((rows.part, rows.groups, rows.digests, rows.labels)))


def _check_classes(rows: Rows, parts: Parts, origin: str) -> None:
    trained = np.unique(rows.labels[rows.side == POOL])
    if len(trained) < 2:
        only = parts.classes[trained[0]] if len(trained) else "none"
        raise DataError(
            f"'{origin}' has images of one class only ({only}) to train on; a net needs two or more to tell apart."
        )
    absent = [name for label, name in enumerate(parts.classes) if label not in trained]
    if absent:
        raise DataError(
            f"'{origin}': no training image is of class {', '.join(absent)}, though others are; add some, or take the "
            "class away."
        )


def _arrays(rows: Rows, parts: Parts, *, grouped: bool) -> ImageArrays:
    pool, test = rows.chosen(rows.side != TEST), rows.chosen(rows.side == TEST)
    return ImageArrays(
        pool_images=_gather(pool),
        pool_labels=pool.labels,
        test_images=_gather(test),
        test_labels=test.labels,
        pool_groups=_renumbered(pool.groups) if grouped else None,
        pool_validation=pool.side == VALIDATION if parts.validation is not None else None,
    )


def _gather(rows: Rows) -> npt.NDArray[np.uint8]:
    """The images of rows in their order, in a file of their own, so that memory stays free."""
    found = make_scratch((len(rows.labels), *rows.images[POOL].shape[1:]))
    for start in range(0, len(found), _CHUNK_IMAGES):
        part, place = rows.part[start : start + _CHUNK_IMAGES], rows.place[start : start + _CHUNK_IMAGES]
        for kind in np.unique(part):
            found[start + np.flatnonzero(part == kind)] = rows.images[kind][place[part == kind]]
    return found


def _renumbered(groups: Indices) -> Indices:
    """The same groups by the order in which they come, so that their names do not matter."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _validation_images(arrays: ImageArrays, names: tuple[str, ...]) -> int:
    """A fifth of the pool but no more than 2,000, or a tenth where that is more, and no more than 10,000.

    Of groups, as many as the cut of the first seed comes to.
    """
    if arrays.pool_validation is not None:
        return int(arrays.pool_validation.sum())
    count = len(arrays.pool_labels)
    wanted = min(max(min(count // 5, 2_000), count // 10), 10_000)
    if arrays.pool_groups is None:
        return wanted
    from bench.data.splits import cut  # noqa: PLC0415 - scikit-learn takes seconds to import

    _, second = cut(arrays.pool_labels, second=wanted, split_seed=0, groups=arrays.pool_groups, names=names)
    return len(second)
