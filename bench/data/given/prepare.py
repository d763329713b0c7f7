"""Pictures of any size and kind → the pixels that nets of a dataset take, and what was done on the way.

Pictures are read as images of one's own are (`bench.data.own.pictures`), those of characters brought to the form of
their dataset (`drawings.py`), others scaled as the dataset's own were.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from bench.core.errors import DataError, first_line
from bench.data.given.drawings import bring_to_form, find_form
from bench.data.own.fitting import fit_picture, recall_fit
from bench.data.own.pictures import (
    MOST_PIXELS,
    Header,
    decode_picture,
    flatten_picture,
    is_grey,
    read_header,
    turn_upright,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.core.metadata import DatasetMetadata
    from bench.data.arrays import Images


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A picture as nets take it.

    Attributes:
        pixels: (C, H, W) uint8.
        said: What was done to it, a phrase each; nothing where it was taken as it is.
        is_clear: Whether it can be a drawing, where a drawing was looked for; what cannot is far from data of drawings.
    """

    pixels: Images
    said: tuple[str, ...] = ()
    is_clear: bool = True


class Preparer:
    """Prepares pictures for the nets of a dataset. Several threads may use it at once."""

    def __init__(
        self, dataset: DatasetMetadata, *, most_pixels: int = MOST_PIXELS, most_side: int | None = None
    ) -> None:
        """Make it.

        Args:
            dataset: What the nets were trained on.
            most_pixels: Pixels of a picture beyond which it is refused, before it is decoded.
            most_side: The same of its longer side; None for any.
        """
        self.form = find_form(dataset)
        self._shape, self._most_pixels, self.most_side = dataset.image_shape, most_pixels, most_side
        self._fit = recall_fit(dataset.note)

    def prepare_picture(self, source: Path | bytes) -> Prepared:
        """A picture's file, or the content of one.

        Raises:
            DataError: It cannot be read, is too large or has nothing drawn on it; the message fits behind its name.
        """
        header = read_header(source, most_pixels=self._most_pixels)
        if isinstance(header, str):
            raise DataError(header)
        height, width = header.size
        if self.most_side is not None and max(header.size) > self.most_side:
            raise DataError(f"it has {width:,}×{height:,} pixels, more than {self.most_side:,} a side")
        if self.form is not None:
            return self._prepare_drawing(
                lambda ground: _decode(source, header, header.shape, ground=ground), is_open=header.is_open
            )
        said = [] if header.size == self._shape[1:] else [self._describe_fit(height, width)]
        if self._shape[0] == 1 and not header.is_grey:
            said.append("colour taken as grey")
        return Prepared(pixels=_decode(source, header, self._shape, fit=self._fit), said=tuple(said))

    def prepare_image(self, image: Image.Image) -> Prepared:
        """A PIL picture; DataError as for a file."""
        if image.mode in {"I", "F"}:
            raise DataError(
                f"a PIL picture of mode {image.mode} does not say how bright its white is; convert it, as by "
                "picture.convert('L'), or give an array"
            )
        mode = "L" if is_grey(image) else "RGB"

        def look(ground: str) -> Images:
            try:
                return _to_planes(flatten_picture(turn_upright(image), mode, ground))
            except (OSError, ValueError, IndexError, SyntaxError) as fault:  # whatever a damaged file makes Pillow say
                raise DataError(f"it cannot be decoded ({first_line(fault)})") from fault

        if not all(image.size):
            raise DataError("it has no pixels")
        if self.form is not None:
            return self._prepare_drawing(look, is_open=image.has_transparency_data)
        return self._prepare_plain(look("white"))

    def prepare_array(self, pixels: Images) -> Prepared:
        """Pixels (C, H, W) uint8, C is 1 or 3; DataError as for a picture."""
        if self.form is None:
            return self._prepare_plain(pixels)
        if pixels.shape == self._shape and pixels.shape[1:] != (self.form.side,) * 2:
            return Prepared(pixels=pixels)  # as the dataset's own, which were brought to another size
        drawn, said, is_clear = bring_to_form(pixels, self.form)
        return Prepared(pixels=self._resize(drawn), said=tuple(said), is_clear=is_clear)

    def _prepare_drawing(self, look: Callable[[str], Images], *, is_open: bool) -> Prepared:
        """What is drawn on a picture, looked at over white; where nothing is and it is open, over black."""
        on_white = look("white")
        try:
            return self.prepare_array(on_white)
        except DataError:
            if not is_open:
                raise
            found = self.prepare_array(look("black"))
            return dataclasses.replace(found, said=("laid on black where it is transparent", *found.said))

    def _prepare_plain(self, pixels: Images) -> Prepared:
        said = []
        height, width = pixels.shape[1:]
        if len(pixels) != self._shape[0]:
            mode = "L" if self._shape[0] == 1 else "RGB"
            picture = Image.fromarray(
                pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
            )
            pixels = _to_planes(picture.convert(mode))
            said.append("colour taken as grey" if mode == "L" else "grey taken as colour")
        if (height, width) != self._shape[1:]:
            said.append(self._describe_fit(height, width))
        return Prepared(pixels=self._resize(pixels), said=tuple(said))

    def _resize(self, pixels: Images) -> Images:
        size = self._shape[1:]
        if pixels.shape[1:] == size:
            return np.ascontiguousarray(pixels)
        return np.stack([np.asarray(fit_picture(Image.fromarray(plane), size, self._fit)) for plane in pixels])

    def _describe_fit(self, height: int, width: int) -> str:
        how = "cut" if self._fit == "crop" else "padded with black"
        return f"{width}×{height} pixels scaled to {self._shape[2]}×{self._shape[1]} and {how}"


def _decode(
    source: Path | bytes, header: Header, shape: tuple[int, int, int], *, fit: str = "crop", ground: str = "white"
) -> Images:
    room = np.empty(shape, dtype=np.uint8)
    if why := decode_picture(source, header, room, fit, ground=ground):
        raise DataError(why)
    return room


def _to_planes(picture: Image.Image) -> Images:
    """A picture of mode L or RGB as (C, H, W)."""
    pixels = np.array(picture)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
