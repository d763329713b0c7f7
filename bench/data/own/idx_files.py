"""Reads a folder of IDX files under any names: images and labels pair up by what is in them and how they are called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import DataError
from bench.data.directories import list_directory
from bench.data.own.arrays.divide import GivenPart, make_parts
from bench.data.own.arrays.images import Named
from bench.data.own.parts import PART_WORDS
from bench.data.readers.idx import INT32, UNSIGNED_BYTE, find_idx, read_idx
from bench.system.text import first_ones, listing, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.core.reading import ReadingOptions
    from bench.data.own.parts import Parts, Watch

_PARTS = {**PART_WORDS, "t10k": "test"}
_KINDS = re.compile(r"images?|labels?|(?<![a-z0-9])(idx\d?|ubyte|bytes?|int\d*|x|y)(?![a-z0-9])")
"""What tells in a name only what kind of file it is."""


class _File(NamedTuple):
    """An IDX file.

    Attributes:
        code: Type of its values.
        words: Of its name, without those that tell its kind.
    """

    path: Path
    code: int
    shape: tuple[int, ...]
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return printable(self.path.name)

    @property
    def parts(self) -> set[str]:
        """What its name says that it is part of."""
        return {_PARTS[word] for word in self.words if word in _PARTS}


def find_files(path: Path) -> Sequence[Path]:
    """The IDX files of a folder, or of the folder of a file that is one, sorted; none where there are none.

    Of a file that is there raw and compressed, the raw one.
    """
    folder = path if path.is_dir() else path.parent
    if folder != path and not (path.is_file() and find_idx(path)):
        return []
    names = sorted(name for name in list_directory(folder) if not name.startswith("."))
    whole = [folder / name for name in names if name.removesuffix(".gz") == name or name[:-3] not in names]
    return [file for file in whole if file.is_file() and find_idx(file) is not None]


def read_idx_files(path: Path, reading: ReadingOptions, _watch: Watch) -> Parts:
    """The images of a folder's IDX files: images (N, H, W), or of four dimensions, and labels (N,).

    What differs in the names beside `images`, `labels`, `idx3` and the like must agree in a pair; `train`, `test` or
    `t10k`, and `val` in the names tell the parts.

    Args:
        path: The folder, or one of the files.
        reading: How they are read; there are no groups.

    Raises:
        DataError: Files do not pair up in one way only, or one of them cannot be read.
    """
    origin = printable(str(path))
    if reading.group_by is not None:
        raise DataError(
            f"--group-by {printable(reading.group_by)}: IDX files ('{origin}') name no groups; a table can."
        )
    files = [_look_into(file) for file in find_files(path)]
    images = [file for file in files if len(file.shape) >= 3]
    labels = [file for file in files if len(file.shape) == 1]
    pairs = _pair(images, labels, origin)
    given = {part: _read_pair(*pair) for part, pair in _name_parts(pairs, origin).items()}
    return make_parts(
        origin=origin, reading=reading, pool=given["train"], validation=given.get("val"), test=given.get("test")
    )


def _look_into(path: Path) -> _File:
    """What a file declares; DataError where it is neither images nor labels."""
    found = find_idx(path)
    if found is None:
        raise DataError(f"'{printable(str(path))}' is no IDX file any more; run the command again.")
    code, shape = found
    if len(shape) == 2 or code not in ((UNSIGNED_BYTE,) if len(shape) > 1 else (UNSIGNED_BYTE, INT32)):
        raise DataError(
            f"'{printable(str(path))}' is an IDX file of {len(shape)} dimensions and type 0x{code:02x}; images are "
            "bytes (0x08) of 3 or 4 dimensions, labels bytes or int32 (0x0c) of one: take it out of the folder."
        )
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", path.name.removesuffix(".gz")).lower()
    words = re.split(r"[^a-z0-9]+", _KINDS.sub("-", stem))
    return _File(path, code, shape, tuple(word for word in words if word))


def _pair(images: Sequence[_File], labels: Sequence[_File], origin: str) -> list[tuple[_File, _File]]:
    """Images with their labels."""
    if len(images) != len(labels) or not images:
        raise DataError(
            f"'{origin}' has {_names(images)} of images and {_names(labels)} of labels; each file of images needs one "
            "of labels, and no others may lie there."
        )
    if len(images) == 1:
        return [_check_pair(images[0], labels[0])]
    pairs = []
    for image in images:
        partners = [label for label in labels if label.words == image.words]
        if len(partners) != 1 or [other.words for other in images].count(image.words) > 1:
            raise DataError(
                f"'{origin}': which labels belong to {image.name} cannot be told from {_names(labels)}; call both "
                "alike, but for images and labels (train-images, train-labels)."
            )
        pairs.append(_check_pair(image, partners[0]))
    return pairs


def _check_pair(images: _File, labels: _File) -> tuple[_File, _File]:
    if images.shape[0] != labels.shape[0]:
        raise DataError(
            f"'{printable(str(images.path))}' has {images.shape[0]:,} images but {labels.name} {labels.shape[0]:,} "
            "labels; take both from the same source."
        )
    return images, labels


def _name_parts(pairs: Sequence[tuple[_File, _File]], origin: str) -> dict[str, tuple[_File, _File]]:
    """The pairs by their part; the only one is what is trained on."""
    if len(pairs) == 1:
        if alone := (pairs[0][0].parts | pairs[0][1].parts) - {"train"}:
            raise DataError(f"'{origin}' has files of {listing(sorted(alone))} only; add those of training.")
        return {"train": pairs[0]}
    found: dict[str, tuple[_File, _File]] = {}
    for pair in pairs:
        parts = pair[0].parts
        if len(parts) != 1 or parts & found.keys():
            twin = next((f" as {found[part][0].name}" for part in parts if part in found), "")
            said = f"says {listing(sorted(parts))}{twin}" if parts else "does not say of what part it is"
            raise DataError(
                f"'{origin}': the name {pair[0].name} {said}; one pair each of train, test and val is read, told by "
                "their names."
            )
        found[parts.pop()] = pair
    if "train" not in found:
        raise DataError(f"'{origin}' has files of {listing(sorted(found))} only; add those of training.")
    return found


def _read_pair(images: _File, labels: _File) -> GivenPart:
    return GivenPart(
        images=Named(images.name, read_idx(images.path, code=images.code, dimensions=len(images.shape))),
        labels=Named(labels.name, read_idx(labels.path, code=labels.code, dimensions=1)),
    )


def _names(files: Sequence[_File]) -> str:
    return listing(first_ones([file.name for file in files])) or "no file"
