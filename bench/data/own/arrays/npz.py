"""Reads `.npz`: arrays that numpy saved, without running or unpacking anything that is no plain array.

An `.npz` is a zip of `.npy` files. What each holds is read from its header first, so that a small file that would
unpack to terabytes is refused before anything of it is unpacked.
"""

from __future__ import annotations

import contextlib
import io
import lzma
import math
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.core.errors import DataError, reason
from bench.data.own.arrays.divide import GivenPart, make_parts
from bench.data.own.arrays.images import Named
from bench.data.own.parts import PART_WORDS, make_scratch
from bench.system.files import open_regular
from bench.system.text import first_ones, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

    import numpy.typing as npt

    from bench.core.reading import ReadingOptions
    from bench.data.own.parts import Parts, Watch

_MOST_BYTES = 1 << 33
"""Of all arrays that are read."""
_MOST_HEADER_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 20
_PARTS = {"train": "pool", "val": "validation", "test": "test"}
_KINDS = {"images": ("x", "images"), "labels": ("y", "labels")}
_ROLES = {
    name: (_PARTS[part], kind)
    for one, part in PART_WORDS.items()
    for kind, of_kind in _KINDS.items()
    for other in of_kind
    for name in (f"{one}_{other}", f"{other}_{one}")
} | {name: ("pool", kind) for kind, of_kind in _KINDS.items() for name in of_kind}
"""What an array is, by its name in small letters."""
_WAYS = "x_train, y_train, x_test and y_test, or X and y"


class _Member(NamedTuple):
    """An array that is not read yet.

    Attributes:
        name: What it is called.
        info: Its place in the zip.
        start: Where its values begin in the member.
    """

    name: str
    info: zipfile.ZipInfo
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    in_fortran_order: bool

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def list_files(path: Path) -> Sequence[Path]:
    """The file alone."""
    return [path]


def read_npz(path: Path, reading: ReadingOptions, _watch: Watch) -> Parts:
    """The images of an `.npz`, by the names of its arrays.

    `x_train`, `y_train`, `x_test`, `y_test` (`x_val`, `y_val`), MedMNIST's `train_images` and so on, or `X` and `y`.

    Raises:
        DataError: It cannot be read, is none, lacks an array, is larger than any dataset, or what it holds is no
            images and labels.
    """
    origin = printable(str(path))
    if reading.group_by is not None:
        raise DataError(
            f"--group-by {printable(reading.group_by)}: '{origin}' names no groups; a table can, or a folder."
        )
    with _explained(origin), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        infos = _choose(archive, origin)
        members = {role: _read_header(archive, info, origin) for role, info in infos.items()}
        size_bytes = sum(member.size_bytes for member in members.values())
        if size_bytes > _MOST_BYTES:
            raise DataError(
                f"'{origin}' holds arrays of {size_bytes:,} bytes and at most {_MOST_BYTES:,} are read; save pixels as "
                "uint8, smaller images, or fewer."
            )
        given = {
            part: GivenPart(
                images=_read_values(archive, members[part, "images"], origin),
                labels=_read_values(archive, members[part, "labels"], origin),
            )
            for part in _PARTS.values()
            if (part, "images") in members
        }
        unused = [_stem(info) for info in archive.infolist() if info not in infos.values()]
    notes = [f"Not read: {', '.join(map(printable, first_ones(unused)))}."] if unused else []
    return make_parts(
        origin=origin,
        reading=reading,
        pool=given["pool"],
        validation=given.get("validation"),
        test=given.get("test"),
        notes=notes,
    )


def read_arrays(path: Path) -> list[Named]:
    """Arrays of an `.npz` that hold images: those that are called so, else all that have three or four dimensions.

    Where none has, those of two dimensions, each as one image.

    Raises:
        DataError: It cannot be read, is none, is larger than any dataset, or holds no such array.
    """
    origin = printable(str(path))
    with _explained(origin), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        called = [info for info in infos if _ROLES.get(_stem(info).lower(), ("", ""))[1] == "images"]
        members = [_read_header(archive, info, origin) for info in called or infos]
        several = [member for member in members if len(member.shape) in (3, 4)]
        chosen = several or [member for member in members if len(member.shape) == 2]
        if not chosen:
            raise DataError(f"'{origin}' holds no images; save arrays of N×H×W, N×H×W×C or N×C×H×W by numpy.savez.")
        if (size_bytes := sum(member.size_bytes for member in chosen)) > _MOST_BYTES:
            raise DataError(
                f"'{origin}' holds arrays of {size_bytes:,} bytes and at most {_MOST_BYTES:,} are read; save fewer."
            )
        arrays = [_read_values(archive, member, origin) for member in chosen]
    return arrays if several else [Named(array.name, array.values[None]) for array in arrays]


def _choose(archive: zipfile.ZipFile, origin: str) -> Mapping[tuple[str, str], zipfile.ZipInfo]:
    """The members that hold images and labels, by part and kind."""
    found: dict[tuple[str, str], zipfile.ZipInfo] = {}
    names = [_stem(info) for info in archive.infolist()]
    shown = ", ".join(map(printable, first_ones(names))) or "nothing"
    if not any(info.filename.endswith(".npy") for info in archive.infolist()):
        raise DataError(f"'{origin}' is a zip without arrays (it holds {shown}); unpack it and name the folder.")
    for info in archive.infolist():
        role = _ROLES.get(_stem(info).lower()) if info.filename.endswith(".npy") else None
        if role is not None and role in found:
            raise DataError(
                f"'{origin}' holds both {_stem(found[role])} and {_stem(info)}, which are the same thing; keep one."
            )
        if role is not None:
            found[role] = info
    for (part, kind), info in found.items():
        other = "labels" if kind == "images" else "images"
        if (part, other) not in found:
            raise DataError(f"'{origin}' has {_stem(info)} but no {other} to it; name arrays {_WAYS}.")
    if ("pool", "images") not in found:
        raise DataError(f"'{origin}' has no images to train on (it holds {shown}); name arrays {_WAYS}.")
    return found


def _stem(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, origin: str) -> _Member:
    name = printable(_stem(info))
    with archive.open(info) as stream:
        head = stream.read(8)
        width = 2 if head[6:] == b"\x01\x00" else 4
        length = stream.read(width)
        text = stream.read(min(int.from_bytes(length, "little"), _MOST_HEADER_BYTES + 1))
    try:
        shape, in_fortran_order, dtype = _parse_header(head, length, text)
    except Exception as fault:  # noqa: BLE001 - a damaged header can raise anything
        why = printable(str(fault).partition("\n")[0])
        raise DataError(f"'{origin}': {name} is no array that numpy saved ({why}); save it again.") from None
    if dtype.hasobject:
        raise DataError(
            f"'{origin}': {name} holds Python objects, which are never unpacked, as they could run anything; save an "
            "array of numbers, all images of one shape."
        )
    member = _Member(name, info, 8 + width + len(text), shape, dtype, in_fortran_order)
    if info.file_size != member.start + member.size_bytes or min(shape, default=0) < 0:
        spelt = "×".join(map(str, shape))
        raise DataError(
            f"'{origin}': {name} should hold {spelt} values, {member.size_bytes:,} bytes, but "
            f"{info.file_size - member.start:,} follow; save it again."
        )
    return member


def _parse_header(head: bytes, length: bytes, text: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type; ValueError, and whatever numpy raises, where it is no header of a plain array."""
    if head[:6] != b"\x93NUMPY" or head[6:] not in (b"\x01\x00", b"\x02\x00") or len(text) > _MOST_HEADER_BYTES:
        raise ValueError("it does not begin as an array does")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        read = np.lib.format.read_array_header_1_0 if len(length) == 2 else np.lib.format.read_array_header_2_0
        shape, in_fortran_order, dtype = read(io.BytesIO(length + text))
    if dtype.subdtype or not dtype.itemsize:
        raise ValueError(f"its values are {dtype}")
    return tuple(shape), bool(in_fortran_order), dtype


def _read_values(archive: zipfile.ZipFile, member: _Member, origin: str) -> Named:
    """An array, in a file of its own while it is large, so that memory stays free."""
    content = make_scratch((max(1, member.size_bytes),))[: member.size_bytes]
    with archive.open(member.info) as stream:
        stream.read(member.start)
        if _fill(content, stream) != member.size_bytes or stream.read(1):  # which holds all of it against its checksum
            raise DataError(f"'{origin}': {member.name} is cut short; save it again.")
    values = content.view(member.dtype)
    shape = member.shape
    return Named(member.name, values.reshape(shape[::-1]).T if member.in_fortran_order else values.reshape(shape))


def _fill(content: npt.NDArray[np.uint8], stream: IO[bytes]) -> int:
    filled = 0
    while filled < len(content) and (chunk := stream.read(min(_CHUNK_BYTES, len(content) - filled))):
        content[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    return filled


@contextlib.contextmanager
def _explained(origin: str) -> Iterator[None]:
    """Turns what a file cannot give into a DataError of one line."""
    try:
        yield
    except IsADirectoryError:
        raise DataError(f"'{origin}' is a directory where an .npz was expected; name the file.") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as fault:
        why = printable(str(fault)) or "it ends too early"
        raise DataError(f"'{origin}' is no .npz, or is damaged ({why}); save it again by numpy.savez.") from None
    except RuntimeError as fault:  # encrypted, or compressed in a way that Python does not know
        raise DataError(f"'{origin}' cannot be unpacked ({printable(str(fault))}); save it by numpy.savez.") from None
    except OSError as fault:
        raise DataError(f"Cannot read '{origin}': {reason(fault)}. Check the file and its permissions.") from None
