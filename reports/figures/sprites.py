"""Puts the tiles of a gallery into one PNG, the same bytes for the same gallery."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reports.figures.svg import CREATOR

if TYPE_CHECKING:
    from reports.document import Gallery

MOST_COLUMNS = 8
"""Tiles side by side; a page of Markdown has no room for more captions."""

MARK = b"tEXtSoftware\x00" + CREATOR.encode()
"""Stands in every PNG: by it a picture of ours is known again."""


def sprite_columns(gallery: Gallery) -> int:
    """How many tiles stand side by side in the PNG."""
    return min(MOST_COLUMNS, len(gallery.tiles))


def draw_sprite(gallery: Gallery, *, scale: int = 1, gap: int = 0) -> bytes:
    """All tiles, row by row, as one PNG with a white gap between them, grey unless a tile has colours."""
    height, width = (scale * pixels for pixels in gallery.tiles[0].pixels.shape[:2])
    coloured = any(tile.pixels.ndim == 3 for tile in gallery.tiles)
    columns = sprite_columns(gallery)
    rows = -(-len(gallery.tiles) // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap)
    sprite = np.full((*shape, 3) if coloured else shape, 255, dtype=np.uint8)
    for number, tile in enumerate(gallery.tiles):
        row, column = divmod(number, columns)
        top, left = row * (height + gap), column * (width + gap)
        pixels = tile.pixels.repeat(scale, axis=0).repeat(scale, axis=1)
        grey = pixels[:, :, None] if coloured and pixels.ndim == 2 else pixels  # (H, W, 1) beside colours
        sprite[top : top + height, left : left + width] = grey
    mark = PngInfo()
    mark.add_text("Software", CREATOR)
    content = io.BytesIO()
    Image.fromarray(sprite).save(content, format="PNG", pnginfo=mark, compress_level=9)
    return content.getvalue()


def is_our_png(content: bytes) -> bool:
    """Whether a PNG's beginning bears our mark."""
    return content.startswith(b"\x89PNG") and MARK in content[:200]
