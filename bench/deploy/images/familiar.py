"""Is an image like those that a net was trained and tested on? A net says something of any image, a shoe or noise too.

The rule: an image is far from the data when its highest correlation with an image of a reference is lower than that of
99 in 100 images of the data. Correlation is over pixels, each image's own mean taken out, so that brightness and
contrast do not count; images of more than 32 pixels a side are averaged down first. The reference is every second test
image, 2,000 at most, and the bound comes from the others: test images are drawn as training images are, no net has been
fitted to them, and a store keeps all of them, of the training images three a class.

By construction one image in a hundred of the data itself is called far. Two things more are far: an image that is
brighter or darker all in all than any test image (a blot, a filled square), and where drawings
are looked for a picture whose background is as strong as its ink (noise, a photograph): cleaned, it would look like a
drawing. An image that is near may be mistaken all the same: a letter looks like digits. Of a test set of fewer than 100
images nothing is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.data.given.drawings import UNCLEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.data.arrays import Images
    from bench.data.given.prepare import Prepared

FAR_SHARE = 0.01
FEWEST_IMAGES = 100
_MOST_REFERENCE = _MOST_HELD = 2_000
_MOST_SIDE = 32
_CHUNK = 256
BLANK = -1.0
"""Similarity of an image of one colour, which correlates with nothing."""


class Likeness(NamedTuple):
    """How like the data an image is.

    Attributes:
        similarity: Its highest correlation with an image of the reference, from -1 to 1.
        why: What makes it far from the data, in words that end a sentence; empty where it is near.
    """

    similarity: float
    why: str

    @property
    def is_far(self) -> bool:
        """Whether it is far from the data."""
        return bool(self.why)


class Familiarity:
    """Tells images that are far from a dataset.

    Attributes:
        bound: Similarity below which an image is far.
        darkest, brightest: Mean pixels, of 255, beyond which it is.
    """

    def __init__(self, test_images: Images) -> None:
        """Find reference and bound.

        Args:
            test_images: (N, C, H, W) uint8.

        Raises:
            ValueError: There are fewer than `FEWEST_IMAGES`.
        """
        if len(test_images) < FEWEST_IMAGES:
            raise ValueError(f"{len(test_images)} test images are too few to tell what is like them")
        self._reference = _to_directions(_spread(test_images[::2], _MOST_REFERENCE))
        held = _spread(test_images[1::2], _MOST_HELD)
        self.bound = float(np.quantile(self.measure(held), FAR_SHARE))
        brightness = _mean_pixels(test_images)
        self.darkest, self.brightest = float(brightness.min()), float(brightness.max())

    def judge(self, pictures: Sequence[Prepared]) -> list[Likeness]:
        """How like the data pictures are, each of them."""
        if not pictures:
            return []
        images = np.stack([picture.pixels for picture in pictures])
        facts = zip(pictures, self.measure(images).tolist(), _mean_pixels(images).tolist(), strict=True)
        return [Likeness(similarity, self._say_why(picture, similarity, mean)) for picture, similarity, mean in facts]

    def _say_why(self, picture: Prepared, similarity: float, brightness: float) -> str:
        if not picture.is_clear:
            return UNCLEAR
        if similarity < self.bound:
            reach = f"{1 - FAR_SHARE:.0%} of the data reach {self.bound:.2f}"
            return f"its highest correlation with an image of the data is {similarity:.2f}, and {reach}"
        if not self.darkest <= brightness <= self.brightest:
            data = f"the data have {self.darkest / 255:.1%} to {self.brightest / 255:.1%}"
            return f"all in all it has {brightness / 255:.1%} of full brightness, and {data}"
        return ""

    def measure(self, images: Images) -> NDArray[np.float32]:
        """Highest correlation of each image (N, C, H, W) with one of the reference, (N,), from -1 to 1."""
        parts = [
            (_to_directions(images[start : start + _CHUNK]) @ self._reference.T).max(axis=1)
            for start in range(0, len(images), _CHUNK)
        ]
        found = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
        blank = images.reshape(len(images), -1)
        return np.where(blank.min(axis=1) == blank.max(axis=1), BLANK, found).astype(np.float32)


def _spread(images: Images, most: int) -> Images:
    """So many images at most, taken evenly: test sets may be sorted by class."""
    if len(images) <= most:
        return images
    return images[np.linspace(0, len(images) - 1, most).round().astype(np.int64)]


def _mean_pixels(images: Images) -> NDArray[np.float64]:
    """Mean pixel of each image (N, C, H, W), (N,), from 0 to 255."""
    found: NDArray[np.float64] = images.reshape(len(images), -1).mean(axis=1, dtype=np.float64)
    return found


def _to_directions(images: Images) -> NDArray[np.float32]:
    """Images as vectors of length 1 without their means, (N, D); of one colour, zeros."""
    small = _average(images).reshape(len(images), -1)
    centred = small - small.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    found: NDArray[np.float32] = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
    return found


def _average(images: Images) -> NDArray[np.float32]:
    """Images of at most `_MOST_SIDE` a side, blocks averaged; what is left over at the right and below is cut."""
    factor = -(-max(images.shape[2:]) // _MOST_SIDE)
    if factor == 1:
        return images.astype(np.float32)
    count, channels, height, width = images.shape
    rows, columns = max(1, height // factor), max(1, width // factor)
    cut = images[:, :, : rows * factor, : columns * factor]
    down, across = min(factor, height), min(factor, width)
    blocks = cut.reshape(count, channels, rows, down, columns, across)
    found: NDArray[np.float32] = blocks.mean(axis=(3, 5), dtype=np.float32)
    return found
