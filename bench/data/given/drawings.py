"""Brings a drawing to the form in which a dataset of written characters was made, and says what was done.

MNIST's was: "size normalized to fit in a 20x20 pixel box while preserving their aspect ratio", by a technique that
leaves grey levels, and "centered in a 28x28 image by computing the center of mass of the pixels, and translating the
image so as to position this point at the center of the 28x28 field" (LeCun, Cortes and Burges, "The MNIST database of
handwritten digits"), light on dark. A drawing here may have any size, place and colours, and lie dark on light:

1. Its background is the median of its outermost pixels; ink is how far a pixel is from it, in the channel that tells
   most. What varies along the edge of the picture (paper, noise of a camera) is taken off, and a frame around the
   paper (`frames.py`) before that.
2. Specks, of less than a fiftieth of the largest stroke, are left out.
3. What is drawn is cut out, scaled into the box, its aspect ratio kept, and stretched in brightness.
4. Its centre of mass is put in the middle by whole pixels.

A picture that is in the form already is left as it is, bit for bit.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from bench.core.errors import DataError
from bench.data.given.frames import cut_frame, outermost

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.core.metadata import DatasetMetadata
    from bench.data.arrays import Images

_LEAST_CONTRAST = 24
"""Grey levels between background and ink below which nothing is drawn; paper and cameras vary by as much."""
_FULL_CONTRAST = 200
"""From which ink is not faint; the brightest pixel of any image of MNIST has 254, of the 8×8 digits 239."""
_MOST_SIDE = 280
"""Pixels of a side beyond which a drawing is shrunk first: ten times what is left in the end."""
_SPECK = 0.02
_AROUND = np.ones((3, 3), dtype=np.bool_)
"""Pixels that touch, corners included."""
_EDGE_PERCENTILE, _EDGE_FACTOR = 75, 2.5
"""What is taken off for noise: so much of what the edge of the picture shows, of which strokes may cross a quarter."""
UNCLEAR = "its background is as strong as what is drawn on it"
"""Said of what may be no drawing: noise, a photograph."""
_FULL_PERCENTILE = 75
"""Of the pixels within strokes: what becomes white, as in MNIST, where strokes are saturated."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """How a dataset's characters stand in their field.

    Attributes:
        side: Height and width of the field.
        box: Longer side of a character.
        by_mass: Whether its centre of mass is in the middle, else that of its box.
    """

    side: int
    box: int
    by_mass: bool = True


class Drawing(NamedTuple):
    """A drawing in a form.

    Attributes:
        pixels: (1, side, side) uint8.
        said: What was done to it, a phrase each.
        is_clear: Whether it can be a drawing; noise and photographs are not, whatever they look like in the end.
    """

    pixels: Images
    said: list[str]
    is_clear: bool = True


class _Ink(NamedTuple):
    """How strongly each pixel is drawn on, (H, W) from 0 to 1, what was done to see it, and whether it is clear."""

    strength: NDArray[np.float32]
    said: list[str]
    is_clear: bool


_MNIST = Form(side=28, box=20)
FORMS = {
    **dict.fromkeys(("mnist", "mnist5k", "qmnist", "emnist-letters", "emnist-balanced", "emnist-digits"), _MNIST),
    "usps": Form(side=16, box=16, by_mass=False),
    "digits": Form(side=8, box=8, by_mass=False),
}
"""By name of the dataset; others are no written characters, or not known to be."""
_NAME = re.compile(rf"({'|'.join(FORMS)})(?:-\d+x\d+(?:-pad)?)?")


def find_form(dataset: DatasetMetadata) -> Form | None:
    """The form of a dataset's characters, brought to another size or not; None where it holds none."""
    found = _NAME.fullmatch(dataset.name)
    return FORMS[found[1]] if found and dataset.image_shape[0] == 1 else None


def bring_to_form(pixels: Images, form: Form) -> Drawing:
    """A drawing in a form, and what was done to it.

    Args:
        pixels: The picture, (C, H, W) uint8, C is 1 or 3.
        form: That of the dataset.

    Raises:
        DataError: Nothing is drawn on it; the message fits behind the picture's name and a colon.
    """
    grey = pixels[:1] if (pixels == pixels[:1]).all() else None
    if grey is not None and is_in_form(grey[0], form):
        return Drawing(np.ascontiguousarray(grey), [])
    small = _shrink(pixels)
    paper = cut_frame(small, contrast=_LEAST_CONTRAST)
    found = _find_ink(small if paper is None else paper)
    said = found.said if paper is None else ["the frame around it left out", *found.said]
    ink, specks = _drop_specks(found.strength)
    if specks:
        said.append(f"{specks} speck{'s' if specks > 1 else ''} left out")
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = pixels.shape[1:]
    if (height, width) == (form.side, form.side) and _fits(max(cut.shape), form):
        inner = np.rint(cut * 255).astype(np.uint8)
    else:
        inner = _scale(cut, form.box)
        said.append(f"scaled from {width}×{height} pixels into a box of {form.box}×{form.box}")
    placed, moved = _place(inner, form, off_centre=_is_off_centre(ink, form))
    if moved:
        said.append(f"{moved} put in the middle")
    return Drawing(placed[None], said, is_clear=found.is_clear)


def is_in_form(grey: Images, form: Form) -> bool:
    """Whether a picture (H, W) has the form already: its field's size, bright on dark, in its box and in the middle."""
    if (
        grey.shape != (form.side, form.side)
        or np.median(outermost(grey)) > _LEAST_CONTRAST
        or grey.max() < _FULL_CONTRAST
    ):
        return False
    rows, columns = (np.flatnonzero(grey.any(axis=axis)) for axis in (1, 0))
    if not _fits(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1, form):
        return False
    if not form.by_mass:
        return True
    return all(abs(value - _middle(form)) <= 1 for value in _centre_of_mass(grey))


def _fits(longer: int, form: Form) -> bool:
    """Whether a character has the size already, by its longer side."""
    return 0.8 * form.box <= longer <= form.box


def _shrink(pixels: Images) -> Images:
    """A large picture made smaller by whole factors, each pixel the mean of those it stands for."""
    factor = -(-max(pixels.shape[1:]) // _MOST_SIDE)
    if factor == 1:
        return pixels
    planes = [np.asarray(Image.fromarray(plane).reduce(factor)) for plane in pixels]
    return np.stack(planes)


def _find_ink(pixels: Images) -> _Ink:
    """What is drawn on a picture (C, H, W); DataError where nothing is."""
    planes = pixels.astype(np.float32)
    ground = np.array([np.median(outermost(plane)) for plane in planes], dtype=np.float32)[:, None, None]
    away = planes - ground
    ink = np.abs(away).max(axis=0)  # (H, W)
    peak = float(ink.max())
    if peak < _LEAST_CONTRAST:
        seen = (
            f"what is on it differs from its background by {peak:.0f} of 255 levels, and {_LEAST_CONTRAST} can be seen"
        )
        raise DataError(f"nothing is drawn on it: {seen if peak else 'it has one colour everywhere'}")
    found = float(np.percentile(outermost(ink), _EDGE_PERCENTILE)) * _EDGE_FACTOR
    noise = min(found, peak / 2)
    said = []
    is_light = float(away.mean(axis=0)[ink > peak / 2].mean()) < 0
    if len(pixels) > 1 and not (pixels == pixels[:1]).all():
        said.append("colour taken as distance from the background")
    if is_light:
        said.append("dark on light, turned to light on dark")
    if found > noise:
        said.append(UNCLEAR)
    elif noise > 0:
        said.append("unevenness of the background taken off")
    elif peak < _FULL_CONTRAST:
        said.append("faint, stretched in brightness")
    return _Ink(np.clip((ink - noise) / (peak - noise), 0, 1), said, is_clear=found <= noise)


def _drop_specks(ink: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """The same without strokes that are far smaller than the largest, and how many these were."""
    drawn = ink > 0.1
    labels, count = ndimage.label(drawn, structure=_AROUND)
    mass = ndimage.sum_labels(ink, labels, np.arange(1, count + 1))
    small = np.flatnonzero(mass < _SPECK * mass.max()) + 1
    # What is fainter stays where it borders on a stroke: it is its soft edge.
    kept = ndimage.binary_dilation(drawn & ~np.isin(labels, small), structure=_AROUND)
    return np.where(kept, ink, 0).astype(np.float32), len(small)


def _scale(cut: NDArray[np.float32], box: int) -> Images:
    """What is drawn, its longer side that of the box, strokes saturated: (h, w) uint8."""
    height, width = cut.shape
    factor = box / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    scaled = np.asarray(Image.fromarray(cut, mode="F").resize(size, Image.Resampling.BICUBIC))
    strokes = scaled[scaled > 0.3 * scaled.max()]
    full = float(np.percentile(strokes, _FULL_PERCENTILE))
    return np.rint(np.clip(scaled / full, 0, 1) * 255).astype(np.uint8)


def _place(inner: Images, form: Form, *, off_centre: bool) -> tuple[Images, str]:
    """A character in the middle of its field, and what was put there where it was elsewhere."""
    height, width = inner.shape
    centres = _centre_of_mass(inner) if form.by_mass else (height / 2, width / 2)
    top, left = (
        min(max(0, round(_middle(form) - centre)), form.side - size)
        for centre, size in zip(centres, (height, width), strict=True)
    )
    field = np.zeros((form.side, form.side), dtype=np.uint8)
    field[top : top + height, left : left + width] = inner
    what = "centre of mass" if form.by_mass else "box"
    return field, what if off_centre else ""


def _middle(form: Form) -> float:
    """Where the centre stands: MNIST's centres of mass all lie within half a pixel of the middle of pixel 14."""
    return form.side / 2 + 0.5 * form.by_mass


def _is_off_centre(ink: NDArray[np.float32], form: Form) -> bool:
    """Whether the centre of what is drawn is a pixel of the field or more from the middle of the picture."""
    found = zip(_centre_of_mass(ink), ink.shape, strict=True)
    return any(abs(centre / size - 0.5) * form.side >= 1 for centre, size in found)


def _centre_of_mass(plane: NDArray[Any]) -> tuple[float, float]:
    """Of (H, W), from the upper left corner of the field, so that a lone pixel there has (0.5, 0.5)."""
    weights = plane.astype(np.float64)
    rows, columns = np.indices(weights.shape)
    total = weights.sum()
    return float((weights * (rows + 0.5)).sum() / total), float((weights * (columns + 0.5)).sum() / total)
