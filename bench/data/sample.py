"""A few images of a dataset, on which nets are tried before anything trains."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench.data.arrays import Images, Labels
    from bench.data.datasets import Dataset
    from bench.facts import DatasetFacts

IMAGES = 32
"""Enough for every class of most datasets, few enough that a step of a large net takes a fraction of a second."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Images of the training pool.

    Attributes:
        facts: What is known of the whole dataset.
        images: (N, C, H, W) uint8.
        labels: Their classes, (N,) int64.
    """

    facts: DatasetFacts
    images: Images
    labels: Labels


def take_sample(dataset: Dataset) -> Sample:
    """Images from everywhere in the pool, evenly, since some pools are sorted by class."""
    chosen = np.linspace(0, len(dataset.pool_labels) - 1, IMAGES).round().astype(np.int64)
    return Sample(
        facts=dataset.facts, images=dataset.pool_images[chosen].copy(), labels=dataset.pool_labels[chosen].copy()
    )
