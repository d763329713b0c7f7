"""Finds the pictures of a folder: class folders directly below it, or in `train`, `test` and `val` below it.

Links are followed, but never round in a circle: of one real folder, the files below a class folder are found once.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import DataError, reason
from bench.data.own.parts import PART_WORDS, order_classes
from bench.system.files import NOT_REGULAR
from bench.system.text import listing, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUFFIXES = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .bmp .dib .gif .webp .tif .tiff .ppm .pgm .pbm .pnm".split(),
)
"""How the names of pictures end, in small letters."""
FILE, FOLDER = "file", "folder"

_LEFT_BY_SYSTEMS = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


class Entry(NamedTuple):
    """What stands in a folder: a `FILE`, a `FOLDER`, or else why it can be neither."""

    path: Path
    kind: str


class ClassFolder(NamedTuple):
    """The pictures of one class in one part: "train", "val" or "test"."""

    part: str
    name: str
    path: Path

    def walk(self) -> Iterator[Entry]:
        """All that is below, in a fixed order, without folders; one that has the name of a picture cannot be read."""
        done, waiting = _with_parents(self.path), [self.path]
        while waiting:
            folder = waiting.pop()
            if (place := os.path.realpath(folder)) in done:
                continue
            done.add(place)
            try:
                entries = list_folder(folder)
            except OSError as fault:
                entries = [Entry(folder, reason(fault))]
            for entry in entries:
                if entry.kind != FOLDER:
                    yield entry
                elif is_picture(entry.path):
                    yield Entry(entry.path, "it is a folder")
            waiting += [path for path, kind in reversed(entries) if kind == FOLDER and not is_picture(path)]


class Layout(NamedTuple):
    """How a folder is divided.

    Attributes:
        classes: Names in label order.
        folders: Each class folder of each part.
        loose: What lies beside them, in no class.
    """

    classes: tuple[str, ...]
    folders: Sequence[ClassFolder]
    loose: Sequence[Entry]


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.suffix.lower() in SUFFIXES


def list_folder(folder: Path) -> list[Entry]:
    """What stands in a folder, by name, without what is hidden or left there by file managers.

    Raises:
        OSError: It cannot be listed.
    """
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    return [
        Entry(Path(entry.path), _look(entry))
        for entry in entries
        if not entry.name.startswith(".") and entry.name.lower() not in _LEFT_BY_SYSTEMS
    ]


def _look(entry: os.DirEntry[str]) -> str:
    if entry.is_file(follow_symlinks=False):  # which the folder itself says: a hundred thousand need not be asked
        return FILE
    try:
        mode = entry.stat().st_mode
    except OSError as fault:
        return f"its link leads nowhere ({reason(fault)})" if entry.is_symlink() else reason(fault)
    return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else NOT_REGULAR


def holds_class_folders(folder: Path) -> bool:
    """Whether there are folders in a folder."""
    return bool(_folders(_list(folder)))


def find_layout(root: Path) -> Layout:
    """How a folder is divided.

    Raises:
        DataError: It cannot be listed, has no two classes, or classes without images to train on; or nobody can tell
            what its folders are.
    """
    entries = _list(root)
    parts = _find_parts(root, _folders(entries))
    below = {part: _list(path) for part, path in parts.items()} if parts else {"train": entries}
    folders = [ClassFolder(part, _name_class(path), path) for part in below for path in _folders(below[part])]
    loose = [entry for part in below for entry in below[part] if entry.kind != FOLDER]
    loose += [entry for entry in entries if entry.kind != FOLDER] if parts else []
    names = {part: _class_names(part, folders, parts.get(part, root)) for part in below}
    for part, found in names.items():
        if extra := [name for name in found if name not in names["train"]]:
            raise DataError(
                f"Class '{extra[0]}' is in '{_show(parts[part])}' but not in '{_show(parts['train'])}'; add pictures "
                "of it to train on, or take it away."
            )
    classes = order_classes(names["train"])
    if len(classes) < 2:
        raise DataError(_say_one_class(root, folders))
    return Layout(classes, folders, loose)


def _find_parts(root: Path, folders: Sequence[Path]) -> dict[str, Path]:
    """The folders that divide a folder in parts; none where all are class folders, as they are where `train` is one."""
    parts: dict[str, Path] = {}
    for folder in folders:
        if part := PART_WORDS.get(folder.name.lower()):
            if part in parts:
                raise DataError(
                    f"'{_show(root)}' has two folders for one part, '{_show(parts[part].name)}' and "
                    f"'{_show(folder.name)}'; take one away."
                )
            parts[part] = folder
    others = [folder for folder in folders if folder.name.lower() not in PART_WORDS]
    if others and not any(_folders(_list(folder)) for folder in parts.values()):
        return {}
    if others and parts:
        first = next(iter(parts.values())).name
        raise DataError(
            f"'{_show(root)}' has '{_show(others[0].name)}' beside '{_show(first)}', which holds folders too: classes "
            "stand directly in a folder, or in train and test; move or rename one of the two."
        )
    if parts and "train" not in parts:
        raise DataError(
            f"'{_show(root)}' has {listing([_show(folder.name) for folder in parts.values()])} but no train; put the "
            "classes to train on in a folder of that name."
        )
    return {part: parts[part] for part in ("train", "val", "test") if part in parts}


def _class_names(part: str, folders: Sequence[ClassFolder], place: Path) -> list[str]:
    """The classes of a part, each of which is there once."""
    found: dict[str, Path] = {}
    for folder in folders:
        if folder.part != part:
            continue
        if folder.name in found:
            spelt = f"{found[folder.name].name!a} and {folder.path.name!a}"
            raise DataError(f"'{_show(place)}': the class folders {spelt} look alike when printed; rename one.")
        found[folder.name] = folder.path
    if not found:
        raise DataError(f"'{_show(place)}' holds no class folders; put the pictures of each class in one of its own.")
    return list(found)


def _say_one_class(root: Path, folders: Sequence[ClassFolder]) -> str:
    only = folders[0]
    inner = _folders(_list(only.path))
    return f"'{_show(root)}' has one class only, '{only.name}'; a net needs two or more to tell apart" + (
        f". If its classes are in '{_show(only.path)}', name that folder." if inner else "."
    )


def _name_class(folder: Path) -> str:
    """As it is shown, its accents as one character each: file systems differ in that."""
    return unicodedata.normalize("NFC", printable(folder.name))


def _folders(entries: Sequence[Entry]) -> list[Path]:
    return [path for path, kind in entries if kind == FOLDER]


def _list(folder: Path) -> list[Entry]:
    try:
        return list_folder(folder)
    except OSError as fault:
        raise DataError(f"Cannot read the folder '{_show(folder)}': {reason(fault)}. Check its permissions.") from None


def _show(path: Path | str) -> str:
    return printable(str(path))


def _with_parents(folder: Path) -> set[str]:
    """The real paths of all folders that a folder is in, as it was named and as it really lies."""
    named = {os.path.realpath(parent) for parent in folder.parents}
    return named | {str(above) for place in (*named, os.path.realpath(folder)) for above in Path(place).parents}
