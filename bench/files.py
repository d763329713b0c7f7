"""Files that are there whole or not at all, and folders that can take them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench.errors import StoreError


def make_writable_folder(folder: Path) -> Path:
    """A folder for results, made when missing and known to be writable.

    Raises:
        StoreError: It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (FileExistsError, NotADirectoryError):
        reason = "there is a file of that name"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise StoreError(f"Results directory '{folder}' cannot be written ({reason}); choose another with --results.")


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary neighbour, flush it to disk, then rename it into place: a reader never sees half a file.

    Args:
        path: Where the file shall stand; its folder is made when missing.
        content: All of it.

    Raises:
        OSError: The disk is full or the folder cannot be written; what stood at `path` is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
        _flush_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _flush_folder(folder: Path) -> None:
    """Let the new name survive a power cut too, where folders can be flushed."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def cannot_write(folder: Path, fault: OSError) -> StoreError:
    """What to say when a run cannot leave its files: the same command goes on once the disk is mended."""
    reason = fault.strerror or type(fault).__name__
    return StoreError(
        f"Results directory '{folder}' cannot be written ({reason}); nothing stored is lost: "
        "free some space or mend its permissions, then run the same command again."
    )
