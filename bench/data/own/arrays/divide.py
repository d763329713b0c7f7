"""Arrays with their names, part by part, become what every reader gives."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.core.errors import DataError
from bench.data.own.arrays.images import convert_images
from bench.data.own.arrays.labels import convert_labels
from bench.data.own.parts import Part, Parts, check_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.reading import ReadingOptions
    from bench.data.arrays import Images
    from bench.data.own.arrays.images import Named


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GivenPart:
    """Images and labels of one part as somebody keeps them.

    Attributes:
        images: (N, H, W), (N, H, W, C) or (N, C, H, W).
        labels: (N,), (N, 1) or one-hot (N, K).
        groups: What each image shares with others, N names; None without.
    """

    images: Named
    labels: Named
    groups: Sequence[str] | None = None


def make_parts(
    *,
    origin: str,
    reading: ReadingOptions,
    pool: GivenPart,
    validation: GivenPart | None = None,
    test: GivenPart | None = None,
    classes: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> Parts:
    """What a reader gives of arrays.

    Args:
        origin: Where they were read from, for messages.
        reading: How they are read: the size that all images are brought to, if any.
        pool: What is trained on.
        validation: What every seed validates on, if that is told.
        test: What is looked at once, if that is told.
        classes: What `convert_labels` takes.
        notes: What a reader of the results must know of the reading, beside what is found here.

    Raises:
        DataError: Images or labels cannot be understood, or differ in number, or images become too many bytes.
    """
    given = [part for part in (pool, validation, test) if part is not None]
    for part in given:
        _check_counts(part, origin)
    images, of_images = convert_images([part.images for part in given], origin=origin)
    images, of_size = _fit(images, reading, origin)
    labels, names, of_labels = convert_labels([part.labels for part in given], origin=origin, classes=classes)
    made = iter(
        Part(images=some, labels=theirs, groups=part.groups)
        for part, some, theirs in zip(given, images, labels, strict=True)
    )
    return Parts(
        pool=next(made),
        validation=None if validation is None else next(made),
        test=None if test is None else next(made),
        classes=names,
        notes=(*notes, *of_images, *of_size, *of_labels),
    )


def _fit(images: list[Images], reading: ReadingOptions, origin: str) -> tuple[list[Images], list[str]]:
    """Images (N, C, H, W) of the size that is asked for, and what to say of it."""
    size = reading.image_size
    if size is None or images[0].shape[2:] == size:
        return images, []
    check_bytes(sum(map(len, images)), (images[0].shape[1], *size), of=f"'{origin}': images")
    from bench.data.own.fitting import describe_fit, fit_array  # noqa: PLC0415 - Pillow takes a moment to import

    return [fit_array(some, size, reading.fit) for some in images], [describe_fit(size, reading.fit)]


def _check_counts(part: GivenPart, origin: str) -> None:
    images, labels = part.images, part.labels
    if not images.values.ndim or not labels.values.ndim:
        name = labels.name if images.values.ndim else images.name
        raise DataError(f"'{origin}': {name} is a single value; an array with one entry an image is needed.")
    if len(images.values) != len(labels.values):
        shapes = ["×".join(map(str, each.values.shape)) for each in (images, labels)]
        raise DataError(
            f"'{origin}': {len(images.values):,} images in {images.name} ({shapes[0]}) but {len(labels.values):,} "
            f"labels in {labels.name} ({shapes[1]}); both begin with the images."
        )
    if part.groups is not None and len(part.groups) != len(images.values):
        raise DataError(
            f"'{origin}': {len(images.values):,} images in {images.name} but {len(part.groups):,} groups; one each."
        )
