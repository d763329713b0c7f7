"""Three hundred real digits of 8×8, to be written in every format that is read."""

from __future__ import annotations

import csv
import functools
import gzip
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.core.reading import ReadingOptions
from bench.data.own.load import load_own
from tests.bench.data.data_files import idx_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from bench.data.arrays import Dataset

PLAIN = ReadingOptions()
TRAINING = 240
"""The first so many are for training, the others for test."""


class Digits(NamedTuple):
    """Images (300, 8, 8) uint8 and labels (300,) int64."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


@functools.cache
def digits() -> Digits:
    """Of scikit-learn; its 0 to 16 become 0 to 240."""
    from sklearn.datasets import load_digits

    images, labels = load_digits().images[:300], load_digits().target[:300]
    return Digits((images * 15).astype(np.uint8), labels.astype(np.int64))


def parts(**changes: Any) -> dict[str, npt.NDArray[Any]]:
    """As four arrays by their usual names."""
    images, labels = digits()
    arrays: dict[str, npt.NDArray[Any]] = {
        "x_train": images[:TRAINING],
        "y_train": labels[:TRAINING],
        "x_test": images[TRAINING:],
        "y_test": labels[TRAINING:],
    }
    return arrays | changes


def write_npz(path: Path, **changes: Any) -> Path:
    """As an `.npz` of four arrays, with changes."""
    arrays: dict[str, Any] = parts(**changes)
    np.savez(path, **arrays)
    return path


def csv_text(*, header: bool = True, split: bool = True) -> str:
    """As a table: label, 64 pixels, and the part."""
    images, labels = digits()
    stream = io.StringIO()
    writer = csv.writer(stream)
    if header:
        writer.writerow(["label", *(f"pixel{place}" for place in range(64)), *(["split"] if split else [])])
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        part = [("train" if place < TRAINING else "test")] if split else []
        writer.writerow([label, *image.ravel(), *part])
    return stream.getvalue()


def write_idx(folder: Path, names: tuple[str, str, str, str]) -> Path:
    """As four IDX files, compressed where the name says so."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(names, parts().values(), strict=True):
        content = idx_bytes(array)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


def load(path: Path, reading: ReadingOptions = PLAIN) -> Dataset:
    """As a command loads it."""
    return load_own(path, reading, lambda _done, _of: None)
