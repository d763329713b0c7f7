"""What a reader makes of images of one's own, before anything is put in order."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import tempfile
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError
from bench.data.directories import cache_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from bench.data.arrays import Images, Labels

    Watch = Callable[[int, int], None]
    """Is told how many pictures are done, and of how many."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Images that belong together: those to train on, to validate on, or to test with.

    Attributes:
        images: (N, C, H, W) uint8.
        labels: Their classes (N,) int64, from 0 on.
        groups: What each shares with others, N names; None where nothing is asked for.
    """

    images: Images
    labels: Labels
    groups: Sequence[str] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """All images, as their files divide them.

    Attributes:
        pool: What is trained on; validated on too, where there is no `validation`.
        validation: What every seed validates on; None for a split of each seed's own.
        test: What is looked at once; None where a part of the pool is to be set aside.
        classes: Class names in label order.
        notes: What a reader of the results must know of the reading, in sentences.
    """

    pool: Part
    classes: tuple[str, ...]
    validation: Part | None = None
    test: Part | None = None
    notes: tuple[str, ...] = ()


def order_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Class names, each once, in label order: whole numbers by their value, else by their letters."""
    unique = sorted(set(names))
    if all(name.isascii() and name.isdigit() for name in unique):
        unique.sort(key=int)
    return tuple(unique)


PART_WORDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("train", "training"), "train"),
        **dict.fromkeys(("val", "valid", "validation"), "val"),
        **dict.fromkeys(("test", "testing"), "test"),
    }
)
"""What folders, files, arrays and cells call a part, in small letters."""

MOST_BYTES = 1 << 34
"""Of all images of a dataset, one byte a value."""


def check_bytes(images: int, shape: tuple[int, ...], *, of: str) -> None:
    """Refuse by DataError more images, of that shape each, than are kept; `of` says in words what they are."""
    if (total := images * math.prod(shape)) > MOST_BYTES:
        raise DataError(
            f"{of} of {'×'.join(map(str, shape))} take {total:,} bytes decoded, more than {MOST_BYTES:,}; make them "
            "smaller by --image-size, or take fewer."
        )


def make_scratch(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Room for images, as a file of the cache that nobody else sees and that goes with this process.

    Where the cache cannot be written it is memory.

    Raises:
        DataError: The disk is full: what does not fit there shall not fill the memory instead.
    """
    folder = cache_directory()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file.fileno(), max(1, math.prod(shape)))
            return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
    except OSError as fault:
        if fault.errno in {errno.ENOSPC, errno.EDQUOT}:
            size = math.prod(shape) / 2**30
            raise DataError(
                f"{size:,.1f} GiB of images do not fit on the disk of '{folder}'; free it, name another folder by "
                "BENCH_CACHE_DIR, or a smaller --image-size."
            ) from None
        return np.empty(shape, dtype=np.uint8)


def _reserve(descriptor: int, size: int) -> None:
    """Give a file its size, and the disk's room for it at once where that can be had: a full disk is told now."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)
