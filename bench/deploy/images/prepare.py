"""Pictures of any size and kind → the pixels that nets of a dataset take, and what was done on the way.

Pictures are read as images of one's own are (`bench.data.own.pictures`), those of characters brought to the form of
their dataset (`digits.py`), others scaled as the dataset's own were.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from bench.core.errors import DataError
from bench.data.own.fitting import fit_picture
from bench.data.own.pictures import MOST_PIXELS, decode_picture, read_header
from bench.deploy.images.digits import UNCLEAR, bring_to_form, find_form

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.metadata import DatasetMetadata
    from bench.data.arrays import Images


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A picture as nets take it.

    Attributes:
        pixels: (C, H, W) uint8.
        said: What was done to it, a phrase each; nothing where it was taken as it is.
    """

    pixels: Images
    said: tuple[str, ...] = ()

    @property
    def is_clear(self) -> bool:
        """Whether it can be a drawing, where a drawing was looked for; what cannot is far from data of drawings."""
        return UNCLEAR not in self.said


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
        self._fit = "pad" if "padded with black" in dataset.note else "crop"

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
            raise DataError(f"it has {height:,}×{width:,} pixels, more than {self.most_side:,} a side")
        is_whole = self.form is not None
        shape = (1 if header.is_grey else 3, height, width) if is_whole else self._shape
        room = np.empty(shape, dtype=np.uint8)
        if why := decode_picture(source, header, room, self._fit):
            raise DataError(why)
        if is_whole:
            return self.prepare_array(room)
        said = [] if header.size == self._shape[1:] else [self._describe_fit(height, width)]
        if self._shape[0] == 1 and not header.is_grey:
            said.append("colour taken as grey")
        return Prepared(pixels=room, said=tuple(said))

    def prepare_array(self, pixels: Images) -> Prepared:
        """Pixels (C, H, W) uint8, C is 1 or 3; DataError as for a picture."""
        if self.form is None:
            return self._prepare_plain(pixels)
        if pixels.shape == self._shape and pixels.shape[1:] != (self.form.side,) * 2:
            return Prepared(pixels=pixels)  # as the dataset's own, which were brought to another size
        drawn, said = bring_to_form(pixels, self.form)
        return Prepared(pixels=self._resize(drawn), said=tuple(said))

    def _prepare_plain(self, pixels: Images) -> Prepared:
        said = []
        height, width = pixels.shape[1:]
        if len(pixels) != self._shape[0]:
            mode = "L" if self._shape[0] == 1 else "RGB"
            picture = Image.fromarray(
                pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
            )
            plain = np.asarray(picture.convert(mode))
            pixels = plain[None] if plain.ndim == 2 else plain.transpose(2, 0, 1)
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
        return f"{height}×{width} pixels scaled to {'×'.join(map(str, self._shape[1:]))} and {how}"
