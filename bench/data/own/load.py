"""Loads images of one's own by their path: read and decoded once, from then on found by what their files are.

Beside the decoded images (`bench.data.decoded`) the cache keeps, for each set of files and way to read them, which
images they hold. A file that is changed, added or removed makes another set.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

from bench.core.errors import DataError, reason
from bench.data.catalogue import AUTO, DATASETS, OWN_SUFFIXES
from bench.data.decoded import decode_alone, read_decoded, read_metadata, write_decoded
from bench.data.directories import cache_directory
from bench.data.own.assemble import assemble
from bench.data.own.choose import choose_reader
from bench.system.files import write_atomically
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.core.metadata import DatasetMetadata
    from bench.core.options import ReadingOptions
    from bench.data.arrays import Dataset
    from bench.data.own.parts import Watch

READING_VERSION = 1
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
    files = reader.list_files(path)
    key = _describe(path, files, reading) if files is not None else None
    if key is not None and (found := _find(key)) is not None:
        return found
    origin, name = str(path), name_dataset(path)
    dataset = assemble(reader.read(path, reading, watch), name=name, origin=origin, reading=reading)
    metadata = dataset.metadata
    try:
        with decode_alone(name, metadata.data_hash):
            if read_decoded(name, metadata.data_hash) is None:
                write_decoded(dataset)
        if key is not None:
            write_atomically(_index(key), json.dumps(dataclasses.asdict(metadata)).encode())
    except OSError as fault:
        raise DataError(
            f"The images of '{origin}' cannot be kept in '{cache_directory()}', where workers look for them "
            f"({reason(fault)}); free it, or name another folder by BENCH_CACHE_DIR."
        ) from None
    return _with_metadata(read_decoded(name, metadata.data_hash) or dataset, metadata)


def name_dataset(path: Path) -> str:
    """What images of one's own are called: as their folder or file, with more of the path where a dataset is called so.

    What cannot be shown in a line is spelt out.
    """
    whole = path.resolve()
    suffix = next((suffix for suffix in sorted(OWN_SUFFIXES, key=len, reverse=True) if whole.name.endswith(suffix)), "")
    name = whole.name.removesuffix(suffix)
    if name in DATASETS or name in {AUTO, ""}:
        name = whole.name if suffix else f"{whole.parent.name}/{whole.name}"
    return printable(name)


def _describe(path: Path, files: Sequence[Path], reading: ReadingOptions) -> str:
    """A hash of where and what the files are, and of how they are read."""
    import PIL  # noqa: PLC0415 - takes a moment, and is not needed to look at published data

    digest = hashlib.sha256(f"{READING_VERSION} {PIL.__version__} {path.resolve()} {reading}\n".encode())
    for file in files:
        try:
            found = file.stat()
        except OSError as fault:
            raise DataError(f"Cannot read '{printable(str(file))}': {reason(fault)}. Check the file.") from None
        digest.update(f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino} ".encode())
        digest.update(str(file).encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()[:32]


def _find(key: str) -> Dataset | None:
    """What was read of these files before; None where it was not, or where it is damaged."""
    try:
        metadata = read_metadata(json.loads(_index(key).read_bytes()))
        dataset = read_decoded(metadata.name, metadata.data_hash)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return None if dataset is None else _with_metadata(dataset, metadata)


def _with_metadata(dataset: Dataset, metadata: DatasetMetadata) -> Dataset:
    """The same images, whatever files another reading took them from."""
    return dataclasses.replace(dataset, metadata=metadata)


def _index(key: str) -> Path:
    return cache_directory() / "own" / f"{key}.json"
