"""Folders of pictures, made for tests and read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.own.folder import read_folder

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from bench.data.own.parts import Part, Parts

DIGITS = (load_digits().images * 255 / 16).round().astype(np.uint8)  # (1797, 8, 8)
LABELS: npt.NDArray[np.int64] = load_digits().target


def save(path: Path, pixels: npt.NDArray[Any] | int = 0, *, size: tuple[int, int] = (8, 8)) -> Path:
    """A picture of these pixels, or a grey one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.full(size, pixels, dtype=np.uint8) if isinstance(pixels, int) else pixels
    Image.fromarray(array).save(path)
    return path


def save_digits(root: Path, start: int, stop: int) -> None:
    for number in range(start, stop):
        save(root / str(LABELS[number]) / f"{number}.png", DIGITS[number])


def read(root: Path, **how: Any) -> Parts:
    return read_folder(root, ReadingOptions(**how), lambda _done, _total: None)


def refusal(root: Path, **how: Any) -> str:
    with pytest.raises(DataError) as refused:
        read(root, **how)
    message = str(refused.value)
    assert message.isprintable()
    return message.replace(str(root), "ROOT")


def values(part: Part | None) -> list[tuple[int, int]]:
    """Class and first pixel of each picture."""
    assert part is not None
    return sorted(zip(part.labels.tolist(), part.images[:, 0, 0, 0].tolist(), strict=True))


def two_classes(root: Path) -> None:
    for place, name in enumerate(("cat", "dog")):
        for number in range(3):
            save(root / name / f"{number}.png", 100 * place + number)


TWO = [(0, 0), (0, 1), (0, 2), (1, 100), (1, 101), (1, 102)]
