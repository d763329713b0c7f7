"""The one picture of a gallery."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from reports.document import Gallery, Tile
from reports.figures.sprites import draw_sprite


def test_a_coloured_tile_colours_the_sprite_and_leaves_grey_ones_grey() -> None:
    red = Tile(pixels=np.full((3, 2, 3), (200, 10, 20), dtype=np.uint8), caption="", alt="")
    grey = Tile(pixels=np.full((3, 2), 77, dtype=np.uint8), caption="", alt="")
    png = draw_sprite(Gallery(slug="s", title="t", tiles=(red, grey)), scale=2, gap=1)
    with Image.open(io.BytesIO(png)) as sprite:
        assert sprite.size == (9, 6)
        assert [sprite.getpixel((x, 5)) for x in (3, 4, 5)] == [(200, 10, 20), (255, 255, 255), (77, 77, 77)]
