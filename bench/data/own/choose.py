"""Which reader takes a path: told by what is there, never guessed from what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import DataError
from bench.data.catalogue import OWN_SUFFIXES
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


def choose_reader(path: Path) -> Reader:
    """The reader of a path; DataError where none takes it."""
    for suffix, reader in READERS.items():
        if path.name.endswith(suffix) and path.is_file():
            return reader
    raise DataError(
        f"'{printable(str(path))}' is no folder of class folders and no file that ends in "
        f"{listing([*OWN_SUFFIXES])}; name one of these."
    )
