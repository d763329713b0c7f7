"""Which column of a table is the label, which are pixels, and what shape these make."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import DataError
from bench.system.text import first_ones, listing, plural, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.reading import ReadingOptions

LABELS = ("label", "class", "target", "y")
"""What the column of classes may be called."""
_PARTS = ("split", "set")


class Columns(NamedTuple):
    """What the columns of a table are, by their places.

    Attributes:
        label: Of the class.
        pixels: Those of the pixels, row after row of an image, in order.
        group: Of what images share; None where nothing is asked for.
        part: Of the words train, val and test; None without.
        shape: Height, width and channels of an image.
        notes: What a reader of the results must know of it.
    """

    label: int
    pixels: tuple[int, ...]
    group: int | None
    part: int | None
    shape: tuple[int, int, int]
    notes: tuple[str, ...]

    @property
    def texts(self) -> tuple[int, ...]:
        """Those that are read as text."""
        return tuple(place for place in (self.label, self.group, self.part) if place is not None)


def choose_columns(names: Sequence[str] | None, width: int, reading: ReadingOptions, origin: str) -> Columns:
    """Say what the columns of a table are.

    A column `label` (`class`, `target`, `y`) is the label, `split` (`set`) tells the part, the one that `--group-by`
    names the group. Of the others those are pixels whose names end in a digit, where most do, or else all: a number of
    the picture that stands among them is none. Without names the first column is the label.

    Args:
        names: Names of the columns; None where there is no header.
        width: How many there are.
        reading: How images are read: its `image_size` tells the shape where pixels make no grey square.
        origin: The table, for messages.

    Raises:
        DataError: There is no label, or there are two, no column has the name of the group, or the pixels make no
            image.
    """
    if names is None:
        if reading.group_by is not None:
            raise DataError(f"--group-by {printable(reading.group_by)}: '{origin}' has no header that names columns.")
        pixels = tuple(range(1, width))
        note = "Without a header, the first column is taken for the label."
        return _with_shape(pixels, None, reading, origin, Columns(0, pixels, None, None, (0, 0, 0), (note,)))
    label = _find(names, LABELS, origin)
    if label is None:
        shown = ", ".join(printable(name) for name in first_ones([*names]))
        raise DataError(
            f"'{origin}' has no column 'label' (or class, target, y) in line 1 ({shown}); name the column of classes "
            "so, or leave the header out and put it first."
        )
    part, group = _find(names, _PARTS, origin), _find_group(names, reading.group_by, origin)
    if group is not None and group in (label, part):
        raise DataError(
            f"--group-by {reading.group_by}: that column of '{origin}' is the label or the part; name another."
        )
    pixels = tuple(place for place in range(width) if place not in (label, part, group))
    return _with_shape(pixels, names, reading, origin, Columns(label, pixels, group, part, (0, 0, 0), ()))


def _find(names: Sequence[str], wanted: Sequence[str], origin: str) -> int | None:
    """The column that has one of some names."""
    found = [place for place, name in enumerate(names) if name.strip().lower() in wanted]
    if len(found) > 1:
        shown = listing([repr(printable(names[place])) for place in found])
        raise DataError(
            f"'{origin}' has the columns {shown}, each of which could be the {wanted[0]}; rename the others."
        )
    return found[0] if found else None


def _find_group(names: Sequence[str], wanted: str | None, origin: str) -> int | None:
    if wanted is None:
        return None
    found = [place for place, name in enumerate(names) if name.strip() == wanted.strip()]
    if len(found) != 1:
        others = [printable(name) for name in names if not re.search(r"\d$", name)]
        fault = "has no such column" if not found else "has two columns of that name"
        raise DataError(f"--group-by {printable(wanted)}: '{origin}' {fault}; it has {listing(first_ones(others))}.")
    return found[0]


def _with_shape(
    pixels: tuple[int, ...], names: Sequence[str] | None, reading: ReadingOptions, origin: str, columns: Columns
) -> Columns:
    """The columns with the shape that their pixels make."""
    notes = columns.notes
    numbered = [place for place in pixels if names is not None and re.search(r"\d\s*$", names[place])]
    if names is not None and len(pixels) / 2 < len(numbered) < len(pixels):
        left_out = [printable(names[place]) or "''" for place in pixels if place not in {*numbered}]
        notes = (*notes, f"Columns that are no pixels were left out: {', '.join(first_ones(left_out))}.")
        pixels = tuple(numbered)
    shape = _find_shape(len(pixels), reading.image_size)
    if shape is None:
        raise _no_image(len(pixels), reading, origin)
    if shape[2] == 3:
        notes = (*notes, "Columns were taken for red, green and blue of one pixel after the other.")
    return columns._replace(pixels=pixels, shape=shape, notes=notes)


def _find_shape(count: int, size: tuple[int, int] | None) -> tuple[int, int, int] | None:
    """Height, width and channels of so many pixels: as told, else a grey square; in colour where a size is told."""
    if size is not None and count in (size[0] * size[1], 3 * size[0] * size[1]):
        return *size, count // (size[0] * size[1])
    for channels in (1, 3) if size is not None else (1,):
        side = math.isqrt(count // channels)
        if side and channels * side * side == count:
            return side, side, channels
    return None


def _no_image(count: int, reading: ReadingOptions, origin: str) -> DataError:
    said = f"'{origin}' has {plural(count, 'column')} beside the label, which are no square of pixels"
    side = math.isqrt(count // 3)
    if reading.image_size is not None:
        size = "x".join(map(str, reading.image_size))
        return DataError(f"{said}, nor 1 or 3 times the pixels of --image-size {size}; check the columns.")
    if side and 3 * side * side == count:
        return DataError(
            f"{said}; if they are red, green and blue of one pixel after the other, say --image-size {side}. If all of "
            f"red comes first, save them as an .npz with images of N×3×{side}×{side}."
        )
    return DataError(f"{said}; say height and width as --image-size 28x40, or take out columns that are no pixels.")
