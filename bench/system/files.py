"""Files that are there whole or not at all, and folders that can take them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from bench.core.errors import StoreError, reason

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

NOT_REGULAR = "it is not a regular file"
"""What a pipe or a device is refused by."""


@contextlib.contextmanager
def hold_lock(path: Path, *, patience_seconds: float) -> Iterator[bool]:
    """Hold the lock of something that one process should make; False where it cannot be had, or not that soon.

    The file of the lock and its folder are made where they are missing.
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=patience_seconds)
    except (OSError, Timeout, NotImplementedError):  # the last: a file system without locks
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def make_writable_folder(folder: Path) -> Path:
    """A folder for results, made when missing and known to be writable; else a StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (FileExistsError, NotADirectoryError):
        why = "there is a file of that name"
    except OSError as error:
        why = reason(error)
    raise StoreError(f"Results directory '{folder}' cannot be written ({why}); choose another with --results.")


def make_results_folder(folder: Path) -> Path:
    """A folder for results as `make_writable_folder` makes it; what is new there is none of Git's business."""
    is_new = not os.path.lexists(folder)
    make_writable_folder(folder)
    if is_new:
        with contextlib.suppress(OSError):  # a full disk is told of by what must be written
            (folder / ".gitignore").write_text("# Made by the suite: results are not committed.\n*\n", encoding="utf-8")
    return folder


def check_could_be_made(folder: Path) -> Path:
    """A folder for results that is there or could be made, else a StoreError; nothing is left behind."""
    nearest = next((place for place in (folder, *folder.parents) if os.path.lexists(place)), folder)
    if nearest == folder and folder.is_dir():
        return folder
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return folder
    except OSError as error:
        why = "it is a file" if isinstance(error, NotADirectoryError) else reason(error)
    raise StoreError(f"'{folder}' cannot be made in '{nearest}' ({why}); choose another with --results.")


def read_regular(path: Path, *, most_bytes: int | None = None) -> bytes:
    """All of a regular file of at most so many bytes; a device or a pipe, which may never end, is not read.

    Raises:
        OSError: It cannot be read, is no regular file or is too long; `strerror` says which.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if most_bytes is not None and size > most_bytes:
            raise OSError(errno.EFBIG, f"{size:,} bytes are too many, {most_bytes:,} the most", str(path))
        return stream.read(size)


def open_regular(path: Path) -> io.BufferedReader:
    """A regular file opened for reading, or an OSError whose `strerror` says what it is; a pipe could wait for ever."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, NOT_REGULAR, str(path))


def write_atomically(path: Path, *parts: ReadableBuffer) -> None:
    """Write parts, one after the other, to a neighbour, flush it and rename it into place: no reader sees half a file.

    The folder is made when missing.

    Raises:
        OSError: The disk is full, the folder cannot be written, or a device or a pipe stands at `path`; what stood
            there is untouched.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, NOT_REGULAR, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines(parts)
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


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Where a run cannot leave its files, raise a StoreError: the same command goes on once the disk is repaired."""
    try:
        yield
    except OSError as fault:
        raise StoreError(
            f"Results directory '{folder}' cannot be written ({reason(fault)}); nothing stored is lost: "
            "free some space or fix its permissions, then run the same command again."
        ) from fault
