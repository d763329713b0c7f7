"""Labels as people keep them: numbers from anywhere, one-hot rows or names become numbers from 0 and class names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError
from bench.data.own.parts import order_classes
from bench.system.text import first_ones, listing, printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy.typing as npt

    from bench.data.arrays import Labels
    from bench.data.own.arrays.images import Named

_MOST = 1 << 53
"""Up to here every whole number is a float64."""


def convert_labels(
    given: Sequence[Named], *, origin: str, classes: Sequence[str] | None = None
) -> tuple[list[Labels], tuple[str, ...], list[str]]:
    """Labels of all parts, each (N,) int64 from 0 on, class names in label order, and what to say of it.

    Args:
        given: What holds the labels of each part: whole numbers (N,) or (N, 1), names, or one-hot rows (N, K).
        origin: Where it was read from, for messages.
        classes: What the labels 0, 1, … are called, or the names that labels may have; None for what is found: names
            in the order of `order_classes`, numbers by their value, each called by itself.

    Raises:
        DataError: A label is none, or of no class, or two classes cannot be told apart in print.
    """
    plain = [_flatten(each, origin) for each in given]
    if len({values.dtype.kind for values in plain}) > 1:
        raise DataError(
            f"'{origin}': of {listing([each.name for each in given])} some hold names and some numbers; give names in "
            "all, or numbers."
        )
    notes: list[str] = []
    if plain[0].dtype.kind == "U":
        found = [name for values in plain for name in np.unique(values).tolist()]
        known = order_classes(found) if classes is None else tuple(classes)
        numbers = [_number_names(values, known, each, origin) for values, each in zip(plain, given, strict=True)]
    elif classes is None:
        numbers, known, notes = _number_values(plain)
    else:
        numbers, known = plain, tuple(classes)
        for values, each in zip(plain, given, strict=True):
            run = f"labels of {len(known)} class names run from 0 to {len(known) - 1}"
            _refuse_any((values < 0) | (values >= len(known)), values, each, origin, run)
    present = np.unique(np.concatenate(numbers))
    if absent := [name for label, name in enumerate(known) if label not in present]:
        notes.append(f"No image is of class {', '.join(map(printable, first_ones(absent)))}: left out.")
        known = tuple(known[label] for label in present)
        numbers = [np.searchsorted(present, values).astype(np.int64) for values in numbers]
    return numbers, _show(known, origin), notes


def _flatten(each: Named, origin: str) -> npt.NDArray[Any]:
    """Labels (N,): int64, or text."""
    name, values = each
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind == "O":
        raise DataError(f"'{origin}': {name} holds Python objects, which are never unpacked; save numbers or text.")
    if values.dtype.kind not in "biufUST":
        raise DataError(f"'{origin}': {name} holds {values.dtype}, no labels; give whole numbers or names.")
    if values.ndim == 2 and values.shape[1] > 1:
        return _read_one_hot(name, values, origin)
    if values.ndim != 1:
        shape = "×".join(map(str, values.shape)) or "()"
        raise DataError(f"'{origin}': {name} has shape {shape}; one label an image, or one-hot rows, are needed.")
    if values.dtype.kind in "UST":
        return _decode(name, values, origin)
    if values.dtype.kind != "b":
        with np.errstate(invalid="ignore"):
            is_whole = (np.abs(values.astype(np.float64)) <= _MOST) & (values == np.floor(values))
        _refuse_any(~is_whole, values, each, origin, "whole numbers or names are needed")
    return values.astype(np.int64)


def _read_one_hot(name: str, rows: npt.NDArray[Any], origin: str) -> npt.NDArray[np.int64]:
    """Where each row (N, K) has its one."""
    is_sound = rows.dtype.kind in "biuf" and ((rows == 0) | (rows == 1)).all(axis=1) & ((rows == 1).sum(axis=1) == 1)
    wrong = np.flatnonzero(~np.broadcast_to(is_sound, len(rows)))
    if len(wrong):
        raise DataError(
            f"'{origin}': {name} has {rows.shape[1]} columns, and row {wrong[0]} of it is no one-hot label (a single 1 "
            "among zeros); give one label an image."
        )
    places: npt.NDArray[np.int64] = rows.argmax(axis=1).astype(np.int64)
    return places


def _decode(name: str, values: npt.NDArray[Any], origin: str) -> npt.NDArray[Any]:
    """Names as text; bytes are UTF-8."""
    try:
        text = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(np.str_)
    except UnicodeDecodeError:
        raise DataError(f"'{origin}': {name} holds names that are no UTF-8; save them as text.") from None
    if len(empty := np.flatnonzero(np.char.str_len(np.char.strip(text)) == 0)):
        raise DataError(f"'{origin}': {name}[{empty[0]}] is empty; each image needs a label.")
    return text


def _number_names(values: npt.NDArray[Any], known: tuple[str, ...], each: Named, origin: str) -> npt.NDArray[np.int64]:
    numbers = {name: label for label, name in enumerate(known)}
    unique, places = np.unique(values, return_inverse=True)
    labels = np.array([numbers.get(name, -1) for name in unique.tolist()], dtype=np.int64)[places]
    _refuse_any(labels < 0, values, each, origin, f"classes are {', '.join(first_ones([*known]))}")
    return labels


def _number_values(plain: Sequence[npt.NDArray[Any]]) -> tuple[list[Labels], tuple[str, ...], list[str]]:
    found = np.unique(np.concatenate(plain))
    notes = []
    if not np.array_equal(found, np.arange(len(found))):
        shown = ", ".join(first_ones([str(number) for number in found.tolist()]))
        notes.append(f"Labels are not 0, 1, … but {shown}: classes are called by these numbers.")
    return [np.searchsorted(found, values).astype(np.int64) for values in plain], tuple(map(str, found.tolist())), notes


def _refuse_any(
    is_wrong: npt.NDArray[np.bool_], values: npt.NDArray[Any], each: Named, origin: str, expected: str
) -> None:
    """Refuse the first label that is wrong, by its place."""
    if len(wrong := np.flatnonzero(is_wrong)):
        value = printable(str(values[wrong[0]]))
        raise DataError(f"'{origin}': {each.name}[{wrong[0]}] is {value}; {expected}.")


def _show(names: tuple[str, ...], origin: str) -> tuple[str, ...]:
    """Class names for print."""
    shown = tuple(map(printable, names))
    if twice := next((name for name in shown if shown.count(name) > 1), None):
        raise DataError(f"'{origin}': two classes are both shown as '{twice}'; give each a name of its own.")
    return shown
