"""What galleries of test images, training images, filters and feature maps share: an image as the pixels of a tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports.wording import plural

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE = 3
"""Screen pixels for one of an image's."""


def pixels_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (C, H, W) as a tile has it: (H, W), or (H, W, 3) of three channels; of others the first is shown."""
    return np.moveaxis(image, 0, -1) if len(image) == 3 else image[0]


def count_images(shown: int, of: int) -> str:
    """How many images are shown of how many: 24 of 81 images."""
    return plural(of, "image") if shown == of else f"{shown} of {plural(of, 'image')}"
