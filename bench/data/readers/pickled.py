"""Reads the pickled batches of CIFAR, and runs nothing that they name.

A pickle is a program: it can call what it names, fill memory from a few bytes (a memo of four thousand million slots,
arrays of any shape, copies of copies) and overflow the interpreter's stack. So its instructions are counted before any
is carried out, and what numpy would do is done by stand-ins that only hold what they are given until the end.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_BYTES = 64 << 20
"""Of one batch of CIFAR-10; those that were published have 31 MB."""
_MOST_INSTRUCTIONS = 1_000_000
"""Those that were published have about 30,000, of CIFAR-100 about 250,000."""
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
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no batch of CIFAR does")
        return _STAND_INS[module, name]


def read_batch(
    content: bytes, *, labels_key: str = "labels", most_bytes: int = MOST_BYTES
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Images and labels of a batch: `data` and `labels` of a dictionary that Python 2 or 3 pickled.

    Args:
        content: The pickle.
        labels_key: What the labels are called in it.
        most_bytes: The most that such a batch has.

    Raises:
        Exception: It is damaged, or no such dictionary; what was found is in the message.
    """
    _check_instructions(content, most_bytes)
    batch = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    if not isinstance(batch, dict):
        raise pickle.UnpicklingError(f"it holds a {type(batch).__name__}, no dictionary")
    entries = {key.decode("latin1") if isinstance(key, bytes) else _text(key): value for key, value in batch.items()}
    images, labels = entries["data"], entries[labels_key]
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


def _check_instructions(content: bytes, most_bytes: int) -> None:
    """Refuse a pickle that would fill memory or the stack, by its instructions alone."""
    if len(content) > most_bytes:
        raise pickle.UnpicklingError(f"it has more than {most_bytes:,} bytes")
    tuples = 0
    for count, (code, value, _) in enumerate(pickletools.genops(content)):
        tuples += code.name.startswith(("TUPLE", "FROZENSET"))
        far = code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(value or 0) > _MOST_INSTRUCTIONS
        if far or count >= _MOST_INSTRUCTIONS or tuples > _MOST_TUPLES:
            raise pickle.UnpicklingError("it would fill more memory than a batch does")
