"""Turns EMNIST upright and numbers its classes from 0.

EMNIST's IDX files (Cohen, Afshar, Tapson and van Schaik, "EMNIST: extending MNIST to handwritten letters", 2017) hold
each image transposed, and torchvision gives it so. Here rows and columns change places, so that letters look like
letters; pixel values and the order of images stay. The labels of its letters run from 1 to 26, and torchvision puts a
class "N/A" before them; here they run from 0 to 25. All other labels are as torchvision has them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench.data.arrays import ImageArrays, Images


def turn_upright(arrays: ImageArrays, *, first_label: int) -> ImageArrays:
    """The same images, (N, 1, H, W) → (N, 1, W, H), with labels that begin at 0.

    Args:
        arrays: As the files hold them.
        first_label: Where the labels of the files begin.
    """
    return dataclasses.replace(
        arrays,
        pool_images=_transpose(arrays.pool_images),
        pool_labels=arrays.pool_labels - first_label,
        test_images=_transpose(arrays.test_images),
        test_labels=arrays.test_labels - first_label,
    )


def _transpose(images: Images) -> Images:
    return np.ascontiguousarray(images.swapaxes(2, 3))
