"""Images as people keep them, whichever way their axes lie and whatever their pixels run to, as (N, C, H, W) uint8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.core.errors import DataError
from bench.data.own.parts import make_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from bench.data.arrays import Images

_CHANNELS = (1, 3)
_CHUNK_VALUES = 1 << 22
_KINDS = {"b": "booleans", "i": "whole numbers", "u": "whole numbers", "f": "floats"}
"""By numpy's letter."""


class Named(NamedTuple):
    """An array and what its owner calls it (`x_train`)."""

    name: str
    values: npt.NDArray[Any]


def convert_images(given: Sequence[Named], *, origin: str) -> tuple[list[Images], list[str]]:
    """Images of all parts, each (N, C, H, W) uint8 without a copy where they are uint8, and what to say of it.

    Axes are told by shape: N×H×W, N×H×W×C or N×C×H×W, C being 1 or 3. Booleans become 0 and 255, whole numbers stay,
    floats of which none in any part is above 1 are scaled by 255, others rounded.

    Args:
        given: What holds the images of each part.
        origin: Where it was read from, for messages.

    Raises:
        DataError: A shape can be read in two ways or in none, parts differ in shape or kind, or a pixel is negative,
            above 255 or no number.
    """
    kind = _find_kind(given, origin)
    views = [_put_channels_first(each, origin) for each in given]
    for each, view in zip(given, views, strict=True):
        if view.shape[1:] != views[0].shape[1:]:
            raise DataError(
                f"'{origin}': images of {given[0].name} are {_spell(views[0].shape[1:])}, those of {each.name} "
                f"{_spell(view.shape[1:])} (C×H×W); bring all to one shape."
            )
    if all(each.values.dtype == np.uint8 for each in given):
        return views, []
    most = max(_find_largest(each, origin) for each in given)
    factor = 255 if kind == "booleans" or (kind == "floats" and most <= 1) else 1
    notes = []
    if kind == "floats":
        notes.append("Pixels are floats from 0 to 1, times 255." if factor > 1 else "Pixels are floats, rounded.")
    return [_put_channels_first(_scale(each, factor), origin) for each in given], notes


def _find_kind(given: Sequence[Named], origin: str) -> str:
    """What all pixels are, in a word of `_KINDS`."""
    for each in given:
        if each.values.dtype.kind == "O":
            raise DataError(
                f"'{origin}': {each.name} holds Python objects, which are never unpacked; save an array of numbers, "
                "all images of one shape."
            )
        if each.values.dtype.kind not in _KINDS:
            raise DataError(
                f"'{origin}': {each.name} holds {each.values.dtype}, no pixels; give uint8, or floats from 0 to 1."
            )
        if each.values.size == 0:
            raise DataError(f"'{origin}': {each.name} has shape {_spell(each.values.shape)}, no images at all.")
    kinds = [_KINDS[each.values.dtype.kind] for each in given]
    for each, kind in zip(given, kinds, strict=True):
        if kind != kinds[0]:
            raise DataError(
                f"'{origin}': {given[0].name} holds {kinds[0]} ({given[0].values.dtype}) and {each.name} {kind} "
                f"({each.values.dtype}), so that their pixels may not mean the same; give all as uint8."
            )
    return kinds[0]


def _put_channels_first(each: Named, origin: str) -> npt.NDArray[Any]:
    """The same values, seen as (N, C, H, W)."""
    shape, values = each.values.shape, each.values
    said = f"'{origin}': {each.name} has shape {_spell(shape)}"
    if values.ndim == 3:
        return values[:, None]  # (N, 1, H, W)
    if values.ndim != 4:
        raise DataError(f"{said}; images are N×H×W, N×H×W×C or N×C×H×W: reshape it, as to N×28×28.")
    first, last = shape[1] in _CHANNELS, shape[3] in _CHANNELS
    if first and last:
        raise DataError(
            f"{said}: {shape[1]} channels of {shape[2]}×{shape[3]} pixels (N×C×H×W), or {shape[1]}×{shape[2]} pixels "
            f"of {shape[3]} channels (N×H×W×C)? Leave the axis of one channel out, or give more than 3 pixels a side."
        )
    if first:
        return values
    if last:
        return np.moveaxis(values, 3, 1)  # (N, H, W, C) → (N, C, H, W)
    if 4 in (shape[1], shape[3]):
        raise DataError(
            f"{said}, with 4 channels; take the alpha channel (or the black of CMYK) out, for 1 or 3 of them."
        )
    raise DataError(f"{said}: neither the second axis nor the last is one of 1 or 3 channels.")


def _chunks(values: npt.NDArray[Any]) -> Iterator[slice]:
    """So many images at a time that memory stays free."""
    step = max(1, _CHUNK_VALUES // max(1, values[0].size))
    for start in range(0, len(values), step):
        yield slice(start, start + step)


def _find_largest(each: Named, origin: str) -> float:
    """The largest pixel; DataError, with its place, where one is no pixel."""
    most = 0.0
    for rows in _chunks(each.values):
        chunk = each.values[rows]
        is_pixel = (chunk >= 0) & (chunk <= 255)  # false for NaN
        if not is_pixel.all():
            place = np.argwhere(~is_pixel)[0]
            value, where = chunk[tuple(place)], [rows.start + place[0], *place[1:]]
            raise DataError(
                f"'{origin}': {each.name}[{', '.join(map(str, where))}] is {value}; pixels run from 0 to 255, or as "
                "floats from 0 to 1, and are standardised later: scale or mend them in the file."
            )
        most = max(most, float(chunk.max()))
    return most


def _scale(each: Named, factor: int) -> Named:
    """Pixels times a factor, rounded to uint8, in the axes they have."""
    found = make_scratch(each.values.shape)
    for rows in _chunks(each.values):
        chunk = each.values[rows]
        found[rows] = (
            np.rint(chunk * np.float64(factor)) if chunk.dtype.kind == "f" else chunk.astype(np.uint8) * factor
        )
    return Named(each.name, found)


def _spell(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "()"
