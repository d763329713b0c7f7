"""Which reader takes a path: told by what is there, never guessed from what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import DataError
from bench.data.catalogue import OWN_SUFFIXES
from bench.data.own import idx_files
from bench.data.own.arrays import declared, npz
from bench.data.own.class_folders import holds_class_folders
from bench.data.own.table import read as table
from bench.system.text import listing, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bench.core.reading import ReadingOptions
    from bench.data.own.parts import Parts, Watch


class Reader(NamedTuple):
    """One format.

    Attributes:
        list_files: All files that the images follow from, and folders that count by their names, in a fixed order;
            None where nobody can tell.
        read: The images.
    """

    list_files: Callable[[Path], Sequence[Path] | None]
    read: Callable[[Path, ReadingOptions, Watch], Parts]


READERS: Mapping[str, Reader] = {
    ".npz": Reader(npz.list_files, npz.read_npz),
    ".csv": Reader(table.list_files, table.read_table),
    ".csv.gz": Reader(table.list_files, table.read_table),
    ".parquet": Reader(table.list_files, table.read_table),
    ".py": Reader(declared.list_files, declared.read_declared),
}
"""By how a file's name ends."""
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")
_IDX = Reader(idx_files.find_files, idx_files.read_idx_files)


def choose_reader(path: Path) -> Reader:
    """The reader of a path; DataError where none takes it."""
    for suffix, reader in READERS.items():
        if path.name.lower().endswith(suffix) and path.is_file():
            return reader
    if path.is_dir() and holds_class_folders(path):
        from bench.data.own import folder  # noqa: PLC0415 - Pillow takes a moment to import

        return Reader(folder.list_files, folder.read_folder)
    if idx_files.find_files(path):
        return _IDX
    if path.is_file() and path.name.lower().endswith(_ARCHIVES):
        raise DataError(f"'{printable(str(path))}' is an archive; unpack it, and name the folder that comes of it.")
    raise DataError(
        f"'{printable(str(path))}' is no folder of class folders or of IDX files, and no file that ends in "
        f"{listing([*OWN_SUFFIXES])}; name one of these."
    )
