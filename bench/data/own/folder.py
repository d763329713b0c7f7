"""Reads a folder of pictures.

All headers are read before the first picture is decoded, so that sizes, channels and memory are known.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.core.errors import DataError
from bench.data.own.class_folders import FILE, ClassFolder, find_layout, is_picture
from bench.data.own.fitting import describe_fit
from bench.data.own.parts import Part, Parts, check_bytes, make_scratch
from bench.data.own.pictures import Header, decode_picture, read_header, work_on_pictures
from bench.system.text import first_ones, listing, plural, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.core.reading import ReadingOptions
    from bench.data.arrays import Images
    from bench.data.own.class_folders import Layout
    from bench.data.own.parts import Watch

_MOST_NAMED = 3


class _Picture(NamedTuple):
    """One picture, and the folder below that of its class that it is in; empty where it is in none."""

    path: Path
    folder: ClassFolder
    subfolder: str


class _Broken:
    """What cannot be read: the first is refused, or all are left out, counted and named."""

    def __init__(self, root: Path, *, are_skipped: bool) -> None:
        self._root, self._are_skipped = root, are_skipped
        self._found: list[str] = []

    def add(self, path: Path, why: str) -> None:
        """Take notice of a file; DataError where it is not to be left out."""
        if not self._are_skipped:
            raise DataError(
                f"Cannot read '{printable(str(path))}': {why}. Fix it or take it away, or say --skip-broken to leave "
                "out what cannot be read."
            )
        self._found.append(f"'{printable(str(path.relative_to(self._root)))}' ({why})")

    def describe(self) -> list[str]:
        """A sentence, where there are any."""
        if not self._found:
            return []
        named, more = self._found[:_MOST_NAMED], len(self._found) - _MOST_NAMED
        which = listing([*named, f"{more:,} more"] if more > 0 else named)
        return [f"{_left_out(len(self._found), 'broken file')}: {which}."]


def list_files(root: Path) -> list[Path]:
    """Every file of a folder that is not hidden, whatever else stands there, and its class folders, sorted.

    Raises:
        DataError: It is no folder of class folders.
    """
    layout = find_layout(root)
    entries = [*layout.loose, *(entry for folder in layout.folders for entry in folder.walk())]
    return sorted([*(entry.path for entry in entries), *(folder.path for folder in layout.folders)], key=str)


def read_folder(root: Path, reading: ReadingOptions, watch: Watch) -> Parts:
    """The pictures of a folder, and what they are sorted by.

    Args:
        root: It holds class folders, or `train`, `test` and `val` with class folders.
        reading: How they are read. Grouped by "folder", pictures in folders of one name below those of their classes
            belong together, whatever their class and part; each that is in none is a group of its own.
        watch: Is told how many pictures are decoded, and of how many.

    Raises:
        DataError: A picture cannot be read, sizes differ, a class has no pictures, or they need too much memory.
    """
    if reading.group_by not in {None, "folder"}:
        raise DataError(f"--group-by {printable(str(reading.group_by))}: pictures can be grouped by folder only.")
    layout = find_layout(root)
    broken = _Broken(root, are_skipped=reading.skip_broken)
    pictures, notes = _find_pictures(layout, broken)
    watch(0, len(pictures))
    headers = _read_headers(pictures, broken)
    pictures = [picture for picture, header in zip(pictures, headers, strict=True) if header is not None]
    readable = [header for header in headers if header is not None]
    _check_left(layout, pictures)
    shape = _find_shape(pictures, readable, reading)
    images = make_scratch((len(pictures), *shape))
    kept = _decode(pictures, readable, images, reading.fit, broken, watch)
    for place, source in enumerate(kept):
        if place != source:
            images[place] = images[source]
    pictures, readable = [pictures[place] for place in kept], [readable[place] for place in kept]
    _check_left(layout, pictures)
    return _divide(
        layout,
        pictures,
        images[: len(kept)],
        is_grouped=reading.group_by is not None,
        notes=[*broken.describe(), *notes, *_describe(readable, shape, reading.fit)],
    )


def _find_pictures(layout: Layout, broken: _Broken) -> tuple[list[_Picture], list[str]]:
    """All that are pictures by their names, those of a part together, and what is said of other files.

    Raises:
        DataError: A class folder has none, or what has the name of a picture cannot be one.
    """
    pictures: list[_Picture] = []
    others: Counter[str] = Counter(_suffix(path) for path, kind in layout.loose if kind == FILE)
    for path, kind in layout.loose:
        if kind != FILE:
            broken.add(path, kind)
    for folder in layout.folders:
        depth = len(folder.path.parts)
        found, faults, no_pictures = [], 0, Counter[str]()
        for path, kind in folder.walk():
            if kind != FILE:
                broken.add(path, kind)
                faults += 1
            elif is_picture(path):
                found.append(_Picture(path, folder, path.parts[depth] if len(path.parts) > depth + 1 else ""))
            else:
                no_pictures[_suffix(path)] += 1
        if not found and not faults:
            kinds = f", but {_count(no_pictures)}" if no_pictures else ""
            where = printable(str(folder.path))
            raise DataError(f"The class folder '{where}' holds no pictures{kinds}; add some, or take it away.")
        pictures += found
        others += no_pictures
    if not others:
        return pictures, []
    return pictures, [f"{_left_out(others.total(), 'other file')}, no pictures or in no class: {_count(others)}."]


def _read_headers(pictures: Sequence[_Picture], broken: _Broken) -> list[Header | None]:
    """What each file says of itself; None for what cannot be read."""
    headers: list[Header | None] = []

    def take(found: list[Header | str]) -> None:
        for header in found:
            if isinstance(header, str):
                broken.add(pictures[len(headers)].path, header)
            headers.append(None if isinstance(header, str) else header)

    work_on_pictures(lambda place: read_header(pictures[place].path), len(pictures), take)
    return headers


def _check_left(layout: Layout, pictures: Sequence[_Picture]) -> None:
    """Refuse classes of which no picture can be read."""
    left = {picture.folder for picture in pictures}
    for folder in layout.folders:
        if folder not in left:
            where = printable(str(folder.path))
            raise DataError(f"No picture of the class folder '{where}' can be read; fix them, or take it away.")


def _find_shape(
    pictures: Sequence[_Picture], headers: Sequence[Header], reading: ReadingOptions
) -> tuple[int, int, int]:
    """Channels, height and width of all.

    Raises:
        DataError: Sizes differ, and nothing is said of how to make them one; or all take too much memory.
    """
    size = reading.image_size or headers[0].size
    for picture, header in zip(pictures, headers, strict=True):
        if reading.image_size is None and header.size != size:
            first, other = (printable(str(found.path)) for found in (pictures[0], picture))
            raise DataError(
                f"Pictures differ in size: '{first}' is {_by(size)}, '{other}' {_by(header.size)} (height × width). "
                "Bring all to one by --image-size 32, or --image-size 28x40."
            )
    shape = (1 if all(header.is_grey for header in headers) else 3, *size)
    check_bytes(len(pictures), shape, of=f"{plural(len(pictures), 'picture')}")
    return shape


def _decode(
    pictures: Sequence[_Picture], headers: Sequence[Header], images: Images, fit: str, broken: _Broken, watch: Watch
) -> list[int]:
    """Fill images (N, C, H, W); the places of those that could be decoded."""
    kept: list[int] = []
    done = 0

    def take(faults: list[str]) -> None:
        nonlocal done
        for place, why in enumerate(faults, done):
            if why:
                broken.add(pictures[place].path, why)
            else:
                kept.append(place)
        done += len(faults)
        watch(done, len(pictures))

    work_on_pictures(
        lambda place: decode_picture(pictures[place].path, headers[place], images[place], fit),
        len(pictures),
        take,
        pixels=sum(math.prod(header.size) for header in headers) / max(1, len(headers)),
    )
    return kept


def _describe(headers: Sequence[Header], shape: tuple[int, int, int], fit: str) -> list[str]:
    """What was made of pictures that are not like the others."""
    notes = []
    grey = sum(header.is_grey for header in headers)
    if shape[0] == 3 and grey:
        notes.append(f"{plural(grey, 'picture')} of {len(headers):,} {'is' if grey == 1 else 'are'} grey.")
    if any(header.size != shape[1:] for header in headers):
        notes.append(describe_fit(shape[1:], fit))
    return notes


def _divide(
    layout: Layout, pictures: Sequence[_Picture], images: Images, *, is_grouped: bool, notes: list[str]
) -> Parts:
    """Pictures, each with its image (N, C, H, W), by parts."""
    numbers = {name: label for label, name in enumerate(layout.classes)}
    labels = np.array([numbers[picture.folder.name] for picture in pictures], dtype=np.int64)
    groups = [picture.subfolder or f"/{place}" for place, picture in enumerate(pictures)]  # no folder has a slash
    sizes = Counter(picture.folder.part for picture in pictures)
    parts: dict[str, Part] = {}
    start = 0
    for part in ("train", "val", "test"):
        if part in sizes:
            of_part = slice(start, start + sizes[part])
            parts[part] = Part(
                images=images[of_part], labels=labels[of_part], groups=groups[of_part] if is_grouped else None
            )
            start += sizes[part]
    return Parts(
        pool=parts["train"],
        validation=parts.get("val"),
        test=parts.get("test"),
        classes=layout.classes,
        notes=tuple(notes),
    )


def _left_out(count: int, noun: str) -> str:
    return f"{plural(count, noun)} {'was' if count == 1 else 'were'} left out"


def _suffix(path: Path) -> str:
    return printable(path.suffix.lower()) or "without a suffix"


def _count(kinds: Counter[str]) -> str:
    """Files by how their names end: 3 .txt and 1 .csv."""
    named = [f"{count:,} {kind}" for kind, count in kinds.most_common()]
    return listing(first_ones(named))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
