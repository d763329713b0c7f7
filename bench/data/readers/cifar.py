"""Reads CIFAR-10 as its authors publish it, and runs nothing that its pickled batches name.

A pickle is a program: it can call what it names, fill memory from a few bytes (a memo of four thousand million slots,
arrays of any shape, copies of copies) and overflow the interpreter's stack. So its instructions are counted before any
is carried out, and what numpy would do is done by stand-ins that only hold what they are given until the end.
"""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import DataError, reason
from bench.data.arrays import ImageArrays
from bench.data.directories import list_directory
from bench.system.files import open_regular, read_regular
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt
    from _typeshed import WriteableBuffer

    from bench.data.arrays import Images, Labels

MOST_BYTES = 64 << 20
"""Of one batch; those that were published have 31 MB."""
_MOST_INSTRUCTIONS = 1_000_000
"""Those that were published have about 30,000."""
_MOST_TUPLES = 20_000
"""Tuples in tuples are hashed by recursion; an array of labels that was pickled one by one has 10,000."""
_DTYPES = frozenset(f"{kind}{size}" for kind in "uif" for size in (1, 2, 4, 8)) | {"b1"}


class _NdArray:
    """Stands in for `numpy.ndarray`, which a pickle only names."""


class _DType:
    """Stands in for `numpy.dtype`."""

    def __init__(self, code: object, *_: object) -> None:
        name = _text(code)
        if name not in _DTYPES:
            raise pickle.UnpicklingError(f"it holds arrays of {str(name)[:40]!r}")
        self._name, self._order = name, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = order if (order := _text(state[1])) in ("<", ">") else "="

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(f"{self._order}{self._name}")


class _Encoded:
    """Stands in for what `_codecs.encode` makes of text: bytes as Python 3 writes them for Python 2."""

    def __init__(self, text: str, encoding: str) -> None:
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError(f"it encodes as {str(encoding)[:40]!r}")
        self.text = text


class _Array:
    """Stands in for an array that `_reconstruct` makes and the next instruction fills."""

    def __init__(self, *_: object) -> None:
        self._state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._state = state

    def numpy(self) -> npt.NDArray[Any]:
        """The array, a copy; ValueError where its bytes are not those of its shape."""
        _version, shape, kind, in_fortran_order, raw = self._state
        flat: npt.NDArray[Any] = np.frombuffer(_bytes(raw), dtype=kind.numpy())
        return flat.reshape(shape, order="F" if in_fortran_order else "C").copy()


class _Buffer(_Array):
    """Stands in for an array that `_frombuffer` makes."""

    def __init__(self, raw: object, kind: _DType, shape: tuple[int, ...], order: str) -> None:
        super().__init__()
        self._state = (1, shape, kind, order == "F", raw)


class _Scalar:
    """Stands in for one number of numpy's."""

    def __init__(self, kind: _DType, raw: object) -> None:
        self._kind, self._raw = kind, raw

    def number(self) -> int:
        """The number; ValueError where it is none."""
        (value,) = np.frombuffer(_bytes(self._raw), dtype=self._kind.numpy()).tolist()
        return int(value)


def _text(value: object) -> object:
    return value.text if isinstance(value, _Encoded) else value


def _bytes(raw: object) -> bytes:
    if isinstance(raw, bytes | bytearray):
        return bytes(raw)
    text = _text(raw)
    if not isinstance(text, str):
        raise pickle.UnpicklingError(f"an array's content is {type(raw).__name__}")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _NdArray,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Encoded,
} | {
    (f"numpy.{core}.{module}", name): stand_in
    for core in ("core", "_core")
    for module, name, stand_in in (
        ("multiarray", "_reconstruct", _Array),
        ("multiarray", "scalar", _Scalar),
        ("numeric", "_frombuffer", _Buffer),
    )
}
"""All that a pickled array needs. Anything else in a batch is refused: a pickle can run any code that it names."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no CIFAR-10 batch does")
        return _STAND_INS[module, name]


def read_batch(content: bytes) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Images and labels of a batch: `data` and `labels` of a dictionary that Python 2 or 3 pickled.

    Raises:
        Exception: It is damaged, or no such dictionary; what was found is in the message.
    """
    _check_instructions(content)
    batch = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    if not isinstance(batch, dict):
        raise pickle.UnpicklingError(f"it holds a {type(batch).__name__}, no dictionary")
    entries = {key.decode("latin1") if isinstance(key, bytes) else _text(key): value for key, value in batch.items()}
    images, labels = entries["data"], entries["labels"]
    if not isinstance(images, _Array):
        raise pickle.UnpicklingError(f"its data is a {type(images).__name__}, no array")
    if isinstance(labels, _Array):
        return images.numpy(), labels.numpy()
    if not isinstance(labels, list | tuple):
        raise pickle.UnpicklingError(f"its labels are a {type(labels).__name__}, no list")
    return images.numpy(), np.array([_label(label) for label in labels], dtype=np.int64)


def _label(label: object) -> int:
    if isinstance(label, _Scalar):
        return label.number()
    if type(label) is not int:
        raise pickle.UnpicklingError(f"a label is a {type(label).__name__}, no number")
    return label


def _check_instructions(content: bytes) -> None:
    """Refuse a pickle that would fill memory or the stack, by its instructions alone."""
    if len(content) > MOST_BYTES:
        raise pickle.UnpicklingError(f"it has more than {MOST_BYTES:,} bytes")
    tuples = 0
    for count, (code, value, _) in enumerate(pickletools.genops(content)):
        tuples += code.name.startswith(("TUPLE", "FROZENSET"))
        far = code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(value or 0) > _MOST_INSTRUCTIONS
        if far or count >= _MOST_INSTRUCTIONS or tuples > _MOST_TUPLES:
            raise pickle.UnpicklingError("it would fill more memory than a batch does")


FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
_TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = "test_batch"
_PIXELS = 3 * 32 * 32
_MOST_UNPACKED_BYTES = 1 << 29
"""Of the archive; the published one holds 186 MB."""


def read_cifar10(directory: Path) -> tuple[ImageArrays, str] | None:
    """Read CIFAR-10 from a directory that holds the folder of batches, the archive, or the batches themselves.

    Returns:
        Arrays with images (N, 3, 32, 32), and where they were read from; None when nothing of CIFAR-10 is there.

    Raises:
        DataError: A batch is missing, cannot be read or is no batch.
    """
    names = list_directory(directory, missing_ok=True)
    if FOLDER in names or _TEST in names:
        folder = directory / FOLDER if FOLDER in names else directory
        return _read_all(lambda name: read_regular(folder / name, most_bytes=MOST_BYTES), str(folder)), str(folder)
    if ARCHIVE not in names:
        return None
    archive = directory / ARCHIVE
    contents = _unpack(archive)
    return _read_all(contents.__getitem__, str(archive)), str(archive)


def _unpack(archive: Path) -> dict[str, bytes]:
    contents = {}
    try:
        with open_regular(archive) as file:
            stream = _Bounded(gzip.GzipFile(fileobj=file))
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    name = member.name.rpartition("/")[2]
                    wanted = name in (*_TRAINING, _TEST) and member.isfile()
                    if wanted and (content := tar.extractfile(member)) is not None:
                        contents[name] = content.read(MOST_BYTES + 1)
            while stream.read(1 << 20):  # to the end, where gzip holds all of it against its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, MemoryError, RecursionError) as error:
        why = reason(error) if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"Cannot read the archive '{archive}': {why}. Fetch it again.") from None
    return contents


class _Bounded(io.RawIOBase):
    """What is read of a compressed stream, up to a limit: a small file can hold terabytes."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream, self._left = stream, _MOST_UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {_MOST_UNPACKED_BYTES:,} bytes")
        return count


def _read_all(read: Callable[[str], bytes], origin: str) -> ImageArrays:
    training = [_read_batch(read, name, origin) for name in _TRAINING]
    test_images, test_labels = _read_batch(read, _TEST, origin)
    return ImageArrays(
        pool_images=np.concatenate([images for images, _ in training]),
        pool_labels=np.concatenate([labels for _, labels in training]),
        test_images=test_images,
        test_labels=test_labels,
    )


def _read_batch(read: Callable[[str], bytes], name: str, origin: str) -> tuple[Images, Labels]:
    """Images (N, 3, 32, 32) and labels (N,) of one batch."""
    try:
        content = read(name)
    except (KeyError, FileNotFoundError):
        raise DataError(f"'{origin}' has no '{name}'; CIFAR-10 needs {', '.join(_TRAINING)} and {_TEST}.") from None
    except OSError as error:
        raise DataError(f"Cannot read '{name}' in '{origin}': {reason(error)}. Check it and its permissions.") from None
    try:
        images, labels = read_batch(content)
        images = images.reshape(-1, _PIXELS)  # red, green, blue planes of 32×32 in a row
    except Exception as error:  # noqa: BLE001 - a damaged pickle can raise anything
        why = printable(str(error) or type(error).__name__)
        raise DataError(f"'{name}' in '{origin}' is no CIFAR-10 batch ({why}); fetch it again.") from None
    if images.dtype != np.uint8 or labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"'{name}' in '{origin}' holds {images.dtype} images and {labels.dtype} labels, not uint8 and integers; "
            "fetch it again."
        )
    return images.reshape(-1, 3, 32, 32), labels.astype(np.int64)
