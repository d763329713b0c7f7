"""Reads the dataset that a Python file declares: `DATASET = ImageData(images=…, labels=…)`, of `bench.spec`.

The file runs in a process of its own, as a net's file does, and its images come here piece by piece: whatever it does
to its process, and how that ends, becomes one line that names it. What it prints goes to the standard error output.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import BenchError, DataError, DiedError, first_line, reason
from bench.core.pictures import ImageData
from bench.data.own.arrays.divide import GivenPart, make_parts
from bench.data.own.arrays.images import Named
from bench.data.own.parts import make_scratch
from bench.data.published.download import import_with_torchvision
from bench.system.files import open_regular
from bench.system.process import call_apart, read_frames
from bench.system.python_file import line_in
from bench.system.text import first_ones, listing, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.core.reading import ReadingOptions
    from bench.data.arrays import Images
    from bench.data.own.parts import Part, Parts, Watch
    from bench.system.child import Line

_WAY = "add DATASET = ImageData(images=…, labels=…) at module level (from bench.spec import ImageData)"
_PIECE_BYTES = 1 << 22


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
    arrived = _Arrived()
    try:
        answer = call_apart(send_parts, path, origin, reading, hear=arrived.hear)
    except DiedError as death:
        line = next((f", line {frame.line}" for frame in read_frames(death.trace) if frame.file == path), "")
        raise DataError(f"'{origin}'{line}: running it {death}; fix it and run again.") from death
    if answer.printed:
        sys.stderr.write(f"{answer.printed}\n")
    if answer.fault is not None:
        raise DataError(str(answer.fault)) from answer.fault.__cause__
    return arrived.fill(answer.value)


def send_parts(line: Line, path: Path, origin: str, reading: ReadingOptions) -> Parts:
    """Run the file here, tell its images piece by piece, and give all else of what it declares."""
    sys.argv = [str(path)]
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
    parts = make_parts(
        origin=origin,
        reading=reading,
        pool=given[""],
        validation=given.get("validation_"),
        test=given.get("test_"),
        classes=classes,
    )
    return _map_parts(parts, lambda part: _send_images(line, part))


def _send_images(line: Line, part: Part) -> Part:
    """Tell the shape of a part's images and then their bytes; the part without them."""
    line.tell(part.images.shape)
    pixels = part.images.reshape(-1)
    for start in range(0, pixels.size, _PIECE_BYTES):
        line.tell(pixels[start : start + _PIECE_BYTES].tobytes())
    return dataclasses.replace(part, images=part.images[:0])


class _Arrived:
    """Images of the parts in the order in which they were sent."""

    def __init__(self) -> None:
        self._images: list[Images] = []
        self._filled = 0

    def hear(self, message: tuple[int, ...] | bytes) -> None:
        """Take in a shape, or the next bytes of the images of the last one."""
        if isinstance(message, tuple):
            self._images.append(make_scratch(message))
            self._filled = 0
            return
        end = self._filled + len(message)
        self._images[-1].reshape(-1)[self._filled : end] = np.frombuffer(message, np.uint8)
        self._filled = end

    def fill(self, parts: Parts) -> Parts:
        """The parts with their images."""
        images = iter(self._images)
        return _map_parts(parts, lambda part: dataclasses.replace(part, images=next(images)))


def _map_parts(parts: Parts, change: Callable[[Part], Part]) -> Parts:
    """Every part that there is changed, in a fixed order."""
    return dataclasses.replace(
        parts,
        pool=change(parts.pool),
        validation=None if parts.validation is None else change(parts.validation),
        test=None if parts.test is None else change(parts.test),
    )


def _load(path: Path, origin: str) -> ImageData:
    """What the file declares, its function called."""
    module = import_with_torchvision(path, prefix="dataset")
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
        yield
    except SyntaxError as fault:
        where = printable(f"'{fault.filename or path}', line {fault.lineno}")
        raise DataError(f"{where}: syntax error, {fault.msg}; fix it and run again.") from fault
    except BenchError as fault:
        line = line_in(path, fault)
        raise DataError(f"'{origin}'{line}: {fault}" if line else str(fault)) from fault
    except BaseException as fault:
        what = printable(first_line(fault))
        raise DataError(f"'{origin}'{line_in(path, fault)} raised {what}; fix it and run again.") from fault
