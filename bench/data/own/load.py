"""Loads images of one's own by their path: read and decoded once, from then on found by what their files are.

A file that is changed, added or removed makes another set.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
from typing import TYPE_CHECKING

from bench.data.catalogue import AUTO, DATASETS, OWN_SUFFIXES
from bench.data.kept.made import make_once
from bench.data.own.assemble import assemble
from bench.data.own.choose import choose_reader
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.core.reading import ReadingOptions
    from bench.data.arrays import Dataset
    from bench.data.own.parts import Watch

_TAKEN = (AUTO, "all", "")
"""Names that mean no dataset; `all` is what verdicts across datasets are of."""
READING_VERSION = 2
"""Raised by hand when the same files give other images; what was decoded before is then read anew."""


def load_own(path: Path, reading: ReadingOptions, watch: Watch) -> Dataset:
    """Images of one's own, in memory that processes share.

    Args:
        path: A folder or a file.
        reading: How it is read.
        watch: Is told how many pictures are done, and of how many, while they are decoded.

    Raises:
        DataError: It holds no images in classes, or the cache cannot keep them.
    """
    reader = choose_reader(path)

    def read() -> Dataset:
        parts = reader.read(path, reading, watch)
        return assemble(parts, name=reading.rename(name_dataset(path)), origin=str(path), reading=reading)

    files = reader.list_files(path)
    return make_once(_describe(path, files, reading) if files is not None else None, read)


def name_dataset(path: Path) -> str:
    """What images of one's own are called: as their folder or file, with more of the path where that is taken.

    What cannot be shown in a line is spelt out.
    """
    whole = path.resolve()
    suffixes = sorted(OWN_SUFFIXES, key=len, reverse=True)
    suffix = next((suffix for suffix in suffixes if whole.name.lower().endswith(suffix)), "")
    name = whole.name[: len(whole.name) - len(suffix)]
    if name in DATASETS or name in _TAKEN:
        name = whole.name if suffix else f"{whole.parent.name}/{whole.name}"
    return printable(name)


def _describe(path: Path, files: Sequence[Path], reading: ReadingOptions) -> str:
    """A hash of where and what the files are, and of how they are read."""
    import PIL  # noqa: PLC0415 - takes a moment, and is not needed to look at published data

    digest = hashlib.sha256(f"{READING_VERSION} {PIL.__version__} {path.resolve()} {reading}\n".encode())
    for file in files:
        with contextlib.suppress(OSError):  # who reads it will say what it is
            found = file.stat()
            if stat.S_ISREG(found.st_mode):
                digest.update(f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino} ".encode())
        digest.update(str(file).encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()[:32]
