"""What the layers of a fitted net make of some images: one picture an image and stage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bench.text import one_line
from reports.document import Gallery, Tile
from reports.tiles import pixels_of
from reports.wording import listing, short_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.pictures import DataPictures, Portrait, StageMaps
    from reports.sitters import Sitter

_MOST_STAGES = 12
_LINE = 128
"""Grey between feature maps."""


def choose_stages(portrait: Portrait) -> list[int]:
    """All stages, or so many evenly spaced with the first and the last."""
    count = len(portrait.stages)
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, _MOST_STAGES)).tolist()})


def input_gallery(sitter: Sitter, pictures: DataPictures, *, slug: str) -> Gallery:
    """The images that the net was shown."""
    tiles = tuple(
        Tile(
            pixels=pixels_of(pictures.samples[int(sitter.portrait.images[number])]),
            caption=sitter.image_name(number),
            alt=f"Training image shown to {sitter.label}: {sitter.image_name(number)}.",
        )
        for number in range(len(sitter.portrait.images))
    )
    return Gallery(slug=slug, title=f"{sitter.label}: what the net was shown", tiles=tiles, scale=3)


def stage_gallery(sitter: Sitter, number: int, *, slug: str) -> Gallery:
    """One tile an image: the maps of a stage side by side."""
    stage = sitter.portrait.stages[number]
    name = one_line(f"{stage.layer} ({stage.kind})")
    what = _stage_size(stage, sitter.channels(stage.layer))
    tiles = []
    for image in range(len(sitter.portrait.images)):
        span = f"{short_number(float(stage.lows[image]))} to {short_number(float(stage.highs[image]))}"
        tiles.append(
            Tile(
                pixels=compose_maps(stage.maps[image]),
                caption=span,
                alt=f"{name} of {sitter.label} for {sitter.image_name(image)}: {what}, values {span}.",
            )
        )
    width = max(tile.pixels.shape[1] for tile in tiles)
    title = f"{sitter.label}, stage {number + 1}: {name}, {what}"
    if left_out := sitter.left_out_after(number):
        title += one_line(f"; next, flat and not shown: {listing(left_out)}")
    return Gallery(slug=slug, title=title, tiles=tuple(tiles), scale=max(1, min(12, 240 // width)))


def _stage_size(stage: StageMaps, channels: int | None) -> str:
    """How much of a stage is shown, of how much, as far as that is known."""
    _, kept, height, width = stage.maps.shape
    flat = height == width == 1
    of = f"{kept} of {channels:,} " if channels and channels > kept else f"{kept} "
    noun = "value" if flat else "map"
    return f"{of}{noun}{'' if of == '1 ' else 's'}{'' if flat else f' of {height} × {width}'}"


def compose_maps(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Maps (C, H, W) side by side in one grey picture, with a line between them; single values without one.

    Returns:
        As square a grid as can be; values up to 16 stand in one row.
    """
    flat = maps.shape[1:] == (1, 1)
    gap = 0 if flat else 1
    columns = len(maps) if flat and len(maps) <= 16 else math.ceil(math.sqrt(len(maps)))
    height, width = (size + gap for size in maps.shape[1:])
    rows = -(-len(maps) // columns)
    picture = np.full((rows * height - gap, columns * width - gap), _LINE, np.uint8)
    for place, one in enumerate(maps):
        row, column = divmod(place, columns)
        picture[row * height :, column * width :][: one.shape[0], : one.shape[1]] = one
    return picture
