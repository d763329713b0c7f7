"""Which reader takes a path: told by what is there, never guessed from what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import DataError
from bench.data.catalogue import OWN_SUFFIXES
from bench.data.own.class_folders import holds_class_folders
from bench.system.text import listing, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.core.options import ReadingOptions
    from bench.data.own.parts import Parts, Watch


class Reader(NamedTuple):
    """One format.

    Attributes:
        list_files: All files that the images follow from, in a fixed order; None where nobody can tell.
        read: The images.
    """

    list_files: Callable[[Path], Sequence[Path] | None]
    read: Callable[[Path, ReadingOptions, Watch], Parts]


READERS: dict[str, Reader] = {}
"""By how a file's name ends."""
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")


def choose_reader(path: Path) -> Reader:
    """The reader of a path; DataError where none takes it."""
    for suffix, reader in READERS.items():
        if path.name.endswith(suffix) and path.is_file():
            return reader
    if path.is_dir():
        if holds_class_folders(path):
            from bench.data.own import folder  # noqa: PLC0415 - Pillow takes a moment to import

            return Reader(folder.list_files, folder.read_folder)
    elif path.name.lower().endswith(_ARCHIVES):
        raise DataError(f"'{printable(str(path))}' is an archive; unpack it, and name the folder that comes of it.")
    raise DataError(
        f"'{printable(str(path))}' is no folder of class folders and no file that ends in "
        f"{listing([*OWN_SUFFIXES])}; name one of these."
    )
