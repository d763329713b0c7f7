"""Reads USPS as LIBSVM publishes it: lines `label 1:value … 256:value`, compressed by bzip2.

Values run from −1 to 1 and become bytes as in torchvision, by float32 arithmetic and cutting the fraction off. Label 1
is the digit 0, and so on.
"""

from __future__ import annotations

import bz2
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError, reason
from bench.data.arrays import ImageArrays
from bench.data.directories import find_published
from bench.system.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.arrays import Images, Labels

FOLDER = "USPS"
"""Where a download lies; torchvision keeps the files in the data directory itself."""
TRAINING, TEST = "usps.bz2", "usps.t.bz2"
_PIXELS = 256
_PLACES = [b"%d" % place for place in range(1, _PIXELS + 1)]
_MOST_LINE_BYTES = 1 << 14
"""Those that were published have less than 4,000."""
_MOST_IMAGES = 100_000


def read_usps(directory: Path) -> tuple[ImageArrays, str] | None:
    """Read USPS from a directory that holds its two files, or a folder `USPS` of them.

    Returns:
        Arrays with images (N, 1, 16, 16), and where they were read from; None when nothing of USPS is there.

    Raises:
        DataError: A file is missing, cannot be read or is damaged.
    """
    folder = find_published((directory, directory / FOLDER), (TRAINING, TEST), name="USPS")
    if folder is None:
        return None
    return ImageArrays.of_parts(_read_file(folder / TRAINING), _read_file(folder / TEST)), str(folder)


def _read_file(path: Path) -> tuple[Images, Labels]:
    """Images (N, 1, 16, 16) and labels (N,)."""
    labels: list[int] = []
    rows: list[list[float]] = []
    try:
        with open_regular(path) as file, bz2.BZ2File(file) as stream:
            while line := stream.readline(_MOST_LINE_BYTES):
                number = len(rows) + 1
                if number > _MOST_IMAGES:
                    raise DataError(f"'{path}' has more than {_MOST_IMAGES:,} lines; fetch it again.")
                label, values = _read_line(line, f"'{path}', line {number}")
                labels.append(label)
                rows.append(values)
    except (EOFError, ValueError) as fault:
        raise DataError(f"'{path}' is damaged ({fault}); fetch it again.") from None
    except OSError as fault:
        why = reason(fault) if fault.strerror else fault
        raise DataError(f"Cannot read '{path}': {why}. Check it, or fetch it again.") from None
    images = np.array(rows, dtype=np.float32).reshape(-1, 1, 16, 16)
    return ((images + 1) / 2 * 255).astype(np.uint8), np.array(labels, dtype=np.int64) - 1


def _read_line(line: bytes, where: str) -> tuple[int, list[float]]:
    """The label and 256 values from −1 to 1."""
    label, *cells = line.split() or [b""]
    places, _, texts = zip(*(cell.partition(b":") for cell in cells), strict=True) if cells else ((), (), ())
    try:
        values = [float(text) for text in texts]
        if [*places] == _PLACES and all(-1 <= value <= 1 for value in values):
            return int(label), values
    except ValueError:
        pass
    raise DataError(f"{where} is no image: a label and 1:value to 256:value from -1 to 1 are needed; fetch it again.")
