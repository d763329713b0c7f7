"""What the data of a study looks like: its facts as a table, and its first training images of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.text import one_line
from reports.document import Cell, Column, Gallery, Table, Tile
from reports.tiles import pixels_of
from reports.wording import four_digits, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.facts import DatasetFacts
    from bench.pictures import DataPictures

_MOST_SAMPLES = 60


def facts_table(facts: DatasetFacts, labels: NDArray[np.uint8] | None) -> Table:
    """What is known of a dataset.

    Args:
        facts: The dataset.
        labels: True class of each test image (N,); None where no prediction is stored.
    """
    shape = " × ".join(map(str, facts.image_shape))
    channels = plural(facts.image_shape[0], "channel")
    rows = [
        ("Images", f"{facts.pool_images:,} to train and validate on, {facts.test_images:,} to test"),
        ("Size of an image", f"{shape} ({channels}, height, width)"),
        ("Mean of each channel", f"{four_digits(facts.mean)} (pixels from 0 to 1, whole training pool)"),
        ("Deviation of each channel", four_digits(facts.deviation)),
        ("Classes", f"{len(facts.classes)}: {', '.join(facts.classes)}"),
    ]
    if labels is not None:
        counts = np.bincount(labels, minlength=len(facts.classes)).tolist()
        listed = ", ".join(f"{name}: {count:,}" for name, count in zip(facts.classes, counts, strict=False))
        rows.append(("Test images of each class", listed))
    return Table(
        caption=one_line(f"The data: {facts.name}"),
        columns=(Column(name="What", numeric=False), Column(name="Value", numeric=False)),
        rows=tuple((Cell(text=what), Cell(text=one_line(value))) for what, value in rows),
    )


def sample_gallery(pictures: DataPictures, facts: DatasetFacts | None, *, slug: str) -> Gallery:
    """The training images that are stored, as many as fit."""
    names = facts.classes if facts else ()
    count = min(_MOST_SAMPLES, len(pictures.samples))
    tiles = tuple(
        Tile(
            pixels=pixels_of(pictures.samples[sample]),
            caption=_class_name(int(pictures.sample_labels[sample]), names),
            alt=f"Training image: {name_sample(sample, pictures, names)}.",
        )
        for sample in range(count)
    )
    what = f"Images of {facts.name}" if facts else "Images"
    cut = f"; {count} of {len(pictures.samples)} are shown" if count < len(pictures.samples) else ""
    return Gallery(slug=slug, title=one_line(f"{what}, the first of each class{cut}"), tiles=tiles)


def name_sample(sample: int, pictures: DataPictures, names: Sequence[str]) -> str:
    """The class of one of the stored training images and where it stands in the pool."""
    name = _class_name(int(pictures.sample_labels[sample]), names)
    return f"{name}, number {pictures.sample_indices[sample]} of the pool"


def _class_name(label: int, names: Sequence[str]) -> str:
    return one_line(names[label]) if label < len(names) else str(label)
