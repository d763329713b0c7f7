"""Where data lies: the directory that is only read, and the cache that everything else goes to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from bench.core.errors import DataError, reason
from bench.system.text import listing

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_DATA_DIRECTORY = Path("data")
"""Read when neither --data-dir nor $BENCH_DATA_DIR says otherwise; the only one that may be missing."""


def own_data_directory() -> Path:
    """Where this process's surroundings say that datasets lie: `$BENCH_DATA_DIR`, else `data`."""
    return Path(os.environ.get("BENCH_DATA_DIR") or DEFAULT_DATA_DIRECTORY)


def check_data_directory(directory: Path) -> None:
    """Refuse by a DataError a data directory that cannot be listed; only the default one may be missing."""
    if directory != DEFAULT_DATA_DIRECTORY or directory.exists():
        list_directory(directory)


def list_directory(directory: Path, *, missing_ok: bool = False) -> frozenset[str]:
    """Names of everything in a directory; none, with `missing_ok`, where it does not exist or is no directory.

    Raises:
        DataError: It does not exist, is no directory or cannot be read.
    """
    try:
        return frozenset(os.listdir(directory))  # noqa: PTH208 - names are wanted, not paths
    except (FileNotFoundError, NotADirectoryError) as error:
        if missing_ok:
            return frozenset()
        fault = "does not exist" if isinstance(error, FileNotFoundError) else "is a file"
        raise DataError(
            f"The data directory '{directory}' {fault}; name an existing directory by --data-dir or BENCH_DATA_DIR."
        ) from None
    except OSError as error:
        raise DataError(f"Cannot read the directory '{directory}': {reason(error)}. Check its permissions.") from None


def find_published(folders: Sequence[Path], files: Sequence[str], *, name: str) -> Path | None:
    """The first folder that holds all files of a publication; None when none of them is anywhere.

    Raises:
        DataError: A folder holds some of them, or cannot be read.
    """
    for folder in folders:
        names = list_directory(folder, missing_ok=True)
        absent = [file for file in files if file not in names]
        if not absent:
            return folder
        if len(absent) < len(files):
            raise DataError(f"'{folder}' has no {absent[0]}; {name} needs {listing([*files])}.")
    return None


def cache_directory() -> Path:
    """Where downloads and unpacked data go: `$BENCH_CACHE_DIR`, else the user's cache folder. It may not exist yet."""
    if given := os.environ.get("BENCH_CACHE_DIR"):
        return Path(given).expanduser()
    return Path(platformdirs.user_cache_dir("architecture-bench", appauthor=False))
