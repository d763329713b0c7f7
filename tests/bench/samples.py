"""Images of noise, as of a dataset that was made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.data.datasets import Sample

if TYPE_CHECKING:
    from bench.core.metadata import DatasetFacts


def noise(facts: DatasetFacts) -> Sample:
    """32 images of uniform noise in random classes, the same each time."""
    generator = np.random.default_rng(0)
    return Sample(
        facts=facts,
        images=generator.integers(0, 256, (32, *facts.image_shape), dtype=np.uint8),
        labels=generator.integers(0, len(facts.classes), 32, dtype=np.int64),
    )
