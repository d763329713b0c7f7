"""The filters of a net's first convolution as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports.document import Gallery, Tile
from reports.tiles import pixels_of
from reports.wording import short_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_FILTERS = 64
_SCALES = {
    1: "grey is 0, white and black ± its largest weight",
    3: "red, green and blue are the weights of its three channels: half is 0, full and none ± its largest weight",
}
"""What the pixels of a filter mean, by its channels."""


def filter_gallery(weights: NDArray[np.float32], label: str, *, slug: str) -> Gallery | None:
    """Filters, each scaled by its own largest weight, with zero half way; None unless they have 1 or 3 channels."""
    if len(weights) == 0 or weights.shape[1] not in _SCALES:
        return None
    finite = np.nan_to_num(weights[:_MOST_FILTERS].astype(np.float64))
    largest = np.abs(finite).max(axis=(1, 2, 3))
    scaled = finite / np.where(largest > 0, largest, 1.0)[:, None, None, None]
    pixels = np.rint(127.5 + 127.5 * scaled).astype(np.uint8)
    size = "×".join(map(str, weights.shape[2:]))
    more = f", the first {_MOST_FILTERS} of {len(weights)}" if len(weights) > _MOST_FILTERS else ""
    tiles = tuple(
        Tile(
            pixels=pixels_of(pixels[number]),
            caption=f"{number + 1}: ±{short_number(most)}",
            alt=f"Filter {number + 1} of the first convolution of {label}, weights up to {short_number(most)} in size.",
        )
        for number, most in enumerate(largest.tolist())
    )
    title = f"{label}: filters of the first convolution, {size}{more}; {_SCALES[weights.shape[1]]}"
    return Gallery(slug=slug, title=title, tiles=tiles, scale=max(1, 48 // max(weights.shape[2:])))
