"""What a user names to be predicted: pictures' files, folders of them, globs, standard input, IDX files, `.npz`."""

from __future__ import annotations

import dataclasses
import glob
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError
from bench.data.own.arrays.images import Named, convert_images
from bench.data.own.arrays.npz import read_arrays
from bench.data.readers.idx import UNSIGNED_BYTE, find_idx, read_idx
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from bench.data.arrays import Images
    from bench.data.given.prepare import Prepared, Preparer

STANDARD_INPUT = "-"
_MOST_INPUT_BYTES = 64 << 20


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class GivenImage:
    """One image that was given.

    Attributes:
        name: As people find it again: its path, and for one of many its place, `digits.npz[3]`.
        prepared: As nets take it; None where it cannot be read.
        fault: Why not, one line that names it; empty where it can.
    """

    name: str
    prepared: Prepared | None = None
    fault: str = ""


def read_given(words: Sequence[str], preparer: Preparer, *, stdin: BinaryIO | None = None) -> Iterator[GivenImage]:
    """Every image that words name, in order; one that cannot be read is given with its fault, and the others go on."""
    for word in words:
        if word == STANDARD_INPUT:
            yield _read_input(preparer, stdin or sys.stdin.buffer)
            continue
        paths = _find_paths(word)
        if not paths:
            yield GivenImage(name=printable(word), fault=f"'{printable(word)}': {_say_what_lacks(word)}.")
        for path in paths:
            yield from _read_path(path, preparer)


def _find_paths(word: str) -> list[Path]:
    """Files that a word names: itself, those of a folder and below, those that a glob matches."""
    path = Path(word)
    try:
        if path.is_dir():
            return _files_below(path)
        if path.exists() or not glob.has_magic(word):
            return [path]
        matches = sorted(map(Path, glob.glob(word, recursive=True)))  # noqa: PTH207 - a glob may begin at the root
        return [file for each in matches for file in (_files_below(each) if each.is_dir() else [each])]
    except (OSError, ValueError):  # a name that no file can have
        return [path]


def _files_below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _say_what_lacks(word: str) -> str:
    return "the folder holds no files; name pictures" if Path(word).is_dir() else "nothing matches; name a picture"


def _read_input(preparer: Preparer, stdin: BinaryIO) -> GivenImage:
    name = "standard input"
    content = stdin.read(_MOST_INPUT_BYTES + 1)
    if len(content) > _MOST_INPUT_BYTES:
        return GivenImage(name=name, fault=f"{name}: more than {_MOST_INPUT_BYTES >> 20} MiB; give one picture.")
    try:
        return GivenImage(name=STANDARD_INPUT, prepared=preparer.prepare_picture(content))
    except DataError as fault:
        return GivenImage(name=name, fault=f"{name}: {fault}.")


def _read_path(path: Path, preparer: Preparer) -> Iterator[GivenImage]:
    """The image of a picture's file, or all of an IDX file or an `.npz`."""
    name = printable(str(path))
    try:
        arrays = _read_arrays(path)
    except DataError as fault:
        yield GivenImage(name=name, fault=str(fault))
        return
    if arrays is None:
        try:
            yield GivenImage(name=name, prepared=preparer.prepare_picture(path))
        except DataError as fault:
            hint = "; numpy.savez makes a .npz of an array, which can be read" if path.suffix == ".npy" else ""
            yield GivenImage(name=name, fault=f"'{name}': {str(fault).rstrip('.')}{hint}.")
        return
    for array, images in arrays:
        where = f"{name}:{array}" if len(arrays) > 1 else name
        for number, pixels in enumerate(images):
            one = f"{where}[{number}]"
            try:
                yield GivenImage(name=one, prepared=preparer.prepare_array(np.asarray(pixels)))
            except DataError as fault:
                yield GivenImage(name=one, fault=f"'{one}': {fault}.")


def _read_arrays(path: Path) -> list[tuple[str, Images]] | None:
    """Name and images (N, C, H, W) of each array of a file that holds such; None for another, which may be a picture.

    Raises:
        DataError: It is an IDX file or an `.npz`, and holds no images or is damaged.
    """
    if not path.is_file():
        return None
    name = printable(str(path))
    if path.suffix == ".npz":
        return [(array.name, convert_images([array], origin=name)[0][0]) for array in read_arrays(path)]
    found = find_idx(path)
    if found is None:
        return None
    code, shape = found
    if code != UNSIGNED_BYTE or len(shape) < 3:
        raise DataError(
            f"'{printable(str(path))}' holds {'×'.join(map(str, shape))} values and no images; leave it out."
        )
    array = Named("images", read_idx(path, code=code, dimensions=len(shape)))
    images = convert_images([array], origin=name)[0][0]
    return [(array.name, images.swapaxes(2, 3) if _is_transposed(path) else images)]


def _is_transposed(path: Path) -> bool:
    """Whether a file is one of EMNIST's own, which hold images transposed, by the name that it was published under."""
    return path.name.startswith("emnist-")
