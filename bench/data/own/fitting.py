"""Brings pictures to one size, their aspect ratio kept: cropped to fill it, or padded with black to fit within.

Pixels are resampled by Pillow's bicubic filter, which averages over all that it shrinks. A picture that has the size is
left as it is, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from bench.data.own.parts import make_scratch

if TYPE_CHECKING:
    from bench.data.arrays import Images

_FILTER = Image.Resampling.BICUBIC
_PADDED = "padded with black"


def fit_picture(image: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """A picture of another size.

    Args:
        image: Of mode L or RGB.
        size: Height and width.
        fit: "crop" to take the largest part of that shape from its centre, "pad" to put all of it on black.
    """
    height, width = size
    if fit == "crop":
        return ImageOps.fit(image, (width, height), method=_FILTER)
    scale = min(height / image.height, width / image.width)
    # A long, flat picture keeps a row of pixels, where ImageOps.pad leaves none.
    inner_height, inner_width = (max(1, round(side * scale)) for side in (image.height, image.width))
    padded = Image.new(image.mode, (width, height))
    inner = image.resize((inner_width, inner_height), resample=_FILTER)
    padded.paste(inner, ((width - inner_width) // 2, (height - inner_height) // 2))
    return padded


def fit_array(images: Images, size: tuple[int, int], fit: str) -> Images:
    """Images (N, C, H, W) uint8 of another size, height and width, each as `fit_picture` brings it there."""
    if images.shape[2:] == size:
        return images
    fitted = make_scratch((*images.shape[:2], *size))
    for place, planes in enumerate(images):
        for channel, plane in enumerate(planes):  # (H, W)
            fitted[place, channel] = np.asarray(fit_picture(Image.fromarray(plane), size, fit))
    return fitted


def describe_fit(size: tuple[int, int], fit: str) -> str:
    """What was done to pictures, for who reads the results: one sentence."""
    height, width = size
    return f"Pictures were scaled to {height}×{width} and {'cropped' if fit == 'crop' else _PADDED}."


def recall_fit(note: str) -> str:
    """How pictures of a dataset were brought to its size, by what `describe_fit` said in its note; "crop" if not."""
    return "pad" if _PADDED in note else "crop"
