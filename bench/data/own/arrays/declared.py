"""Reads the dataset that a Python file declares: `DATASET = ImageData(images=…, labels=…)`, of `bench.spec`.

The file is run as a net's file is; whatever it raises becomes one line that names it, and what it changes of the
process is put back. What it prints goes to the standard error output.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import BenchError, DataError, first_line, reason
from bench.core.metadata import ImageData
from bench.data.download import import_with_torchvision
from bench.data.own.arrays.divide import GivenPart, make_parts
from bench.data.own.arrays.images import Named
from bench.system.files import open_regular
from bench.system.python_file import is_own_fault, kept_process, line_in
from bench.system.text import first_ones, listing, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.core.options import ReadingOptions
    from bench.data.own.parts import Parts, Watch

_WAY = "add DATASET = ImageData(images=…, labels=…) at module level (from bench.spec import ImageData)"


def list_files(_path: Path) -> None:
    """Nobody can tell: the file may read whatever it likes."""
    return


def read_declared(path: Path, reading: ReadingOptions, _watch: Watch) -> Parts:
    """The images that a Python file declares.

    Args:
        path: The file.
        reading: How it is read; groups are the file's own to tell.

    Raises:
        DataError: The file cannot be read or run, declares no dataset, or what it declares is no images and labels.
    """
    path = path.resolve()
    origin = printable(str(path))
    if reading.group_by is not None:
        raise DataError(
            f"--group-by {printable(reading.group_by)}: '{origin}' tells its groups itself, by ImageData(groups=…)."
        )
    try:
        open_regular(path).close()
    except OSError as fault:
        raise DataError(f"Cannot read '{origin}': {reason(fault)}. Name a Python file.") from None
    with _explained(path, origin):
        data = _load(path, origin)
        given = {
            part: GivenPart(
                images=_as_array(data, f"{part}images", origin),
                labels=_as_array(data, f"{part}labels", origin),
                groups=None if part or data.groups is None else [str(group) for group in data.groups],
            )
            for part in ("", "validation_", "test_")
            if getattr(data, f"{part}images") is not None
        }
        classes = None if data.classes is None else tuple(map(str, data.classes))
    return make_parts(
        origin=origin,
        reading=reading,
        pool=given[""],
        validation=given.get("validation_"),
        test=given.get("test_"),
        classes=classes,
    )


def _load(path: Path, origin: str) -> ImageData:
    """What the file declares, its function called."""
    module = import_with_torchvision(path, prefix="dataset")
    sys.modules.pop(module.__name__, None)  # so that its arrays do not stay, and a change is seen
    found = vars(module).get("DATASET")
    if found is None:
        others = [name for name, value in vars(module).items() if isinstance(value, ImageData)]
        hint = f"call {listing(first_ones(others))} so, or " if others else ""
        raise DataError(f"'{origin}' declares no DATASET; {hint}{_WAY}.")
    if not isinstance(found, ImageData):
        raise DataError(f"'{origin}': DATASET is {_kind(found)}, no ImageData; {_WAY}.")
    if found.load is None:
        return found
    loaded = found.load()
    if not isinstance(loaded, ImageData) or loaded.load is not None:
        what = "another function to load by" if isinstance(loaded, ImageData) else _kind(loaded)
        raise DataError(f"'{origin}': the load of DATASET returns {what}; return ImageData(images=…, labels=…).")
    return loaded


def _as_array(data: ImageData, name: str, origin: str) -> Named:
    """A field as an array: of numpy, of torch, or lists."""
    try:
        values: np.ndarray[Any, np.dtype[Any]] = np.asarray(getattr(data, name))
    except (ValueError, TypeError, RuntimeError) as fault:
        why = printable(first_line(fault))
        raise DataError(f"'{origin}': {name} of DATASET is no array ({why}); give one of numpy.") from None
    if values.dtype.kind == "O" and all(type(value) is str for value in values.flat):
        values = values.astype(np.str_)
    return Named(f"{name} of DATASET", values)


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"


@contextlib.contextmanager
def _explained(path: Path, origin: str) -> Iterator[None]:
    """Runs what a file wrote: whatever it raises, even SystemExit, becomes a DataError with its line."""
    try:
        with kept_process(path), contextlib.redirect_stdout(sys.stderr):
            yield
    except SyntaxError as fault:
        where = printable(f"'{fault.filename or path}', line {fault.lineno}")
        raise DataError(f"{where}: syntax error, {fault.msg}; fix it and run again.") from fault
    except BenchError as fault:
        line = line_in(path, fault)
        raise DataError(f"'{origin}'{line}: {fault}" if line else str(fault)) from fault
    except BaseException as fault:
        if not is_own_fault(path, fault):
            raise
        what = printable(first_line(fault))
        raise DataError(f"'{origin}'{line_in(path, fault)} raised {what}; fix it and run again.") from fault
