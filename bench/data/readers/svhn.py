"""Reads SVHN's cropped digits as their authors publish them: two MATLAB files of images (32, 32, 3, N) and labels.

Label 10 is the digit 0, as in torchvision. The extra images are not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import DataError, reason
from bench.data.arrays import ImageArrays
from bench.data.directories import find_published
from bench.system.files import open_regular
from bench.system.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.arrays import Images, Labels

FOLDER = "SVHN"
"""Where a download lies; torchvision keeps the files in the data directory itself."""
TRAINING, TEST = "train_32x32.mat", "test_32x32.mat"
_MOST_IMAGES = 200_000
"""600 MB; the training set has 73,257. The extra set, which nobody reads here, has 531,131."""


def read_svhn(directory: Path) -> tuple[ImageArrays, str] | None:
    """Read SVHN from a directory that holds its two files, or a folder `SVHN` of them.

    Returns:
        Arrays with images (N, 3, 32, 32), and where they were read from; None when nothing of SVHN is there.

    Raises:
        DataError: A file is missing, cannot be read or is damaged.
    """
    folder = find_published((directory, directory / FOLDER), (TRAINING, TEST), name="SVHN")
    if folder is None:
        return None
    return ImageArrays.of_parts(_read_file(folder / TRAINING), _read_file(folder / TEST)), str(folder)


def _read_file(path: Path) -> tuple[Images, Labels]:
    """Images (N, 3, 32, 32) and labels (N,)."""
    import scipy.io  # noqa: PLC0415 - takes a moment, and only this format needs it

    try:
        with open_regular(path) as opened:
            file: Any = opened  # scipy takes open files, its stubs only paths
            count = _count_images({name: (shape, kind) for name, shape, kind in scipy.io.whosmat(file)}, path)
            file.seek(0)
            found: dict[str, Any] = scipy.io.loadmat(file, variable_names=("X", "y"))
    except DataError:
        raise
    except OSError as fault:
        why = reason(fault) if fault.strerror else printable(str(fault))
        raise DataError(f"Cannot read '{path}': {why}. Check it, or fetch it again.") from None
    except Exception as fault:  # noqa: BLE001 - a damaged file can raise anything
        why = printable(str(fault) or type(fault).__name__)
        raise DataError(f"'{path}' is no MATLAB file of SVHN, or is damaged ({why}); fetch it again.") from None
    images, labels = np.asarray(found["X"]), np.asarray(found["y"])
    if images.dtype != np.uint8 or labels.dtype.kind not in "iu" or images.shape != (32, 32, 3, count):
        raise DataError(f"'{path}' holds {images.dtype} images and {labels.dtype} labels, not bytes; fetch it again.")
    numbers = labels.reshape(-1).astype(np.int64)
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), np.where(numbers == 10, 0, numbers)


def _count_images(arrays: dict[str, tuple[tuple[int, ...], str]], path: Path) -> int:
    """How many there are, by the shapes and types that the file tells before anything of their size is read."""
    (images, pixel), (labels, label) = (arrays.get(name, ((), "")) for name in "Xy")
    count = images[-1] if images else 0
    fits = images[:3] == (32, 32, 3) and labels in ((count, 1), (1, count)) and 0 < count <= _MOST_IMAGES
    if not fits or pixel != "uint8" or label.lstrip("u")[:3] != "int":
        found = ", ".join(
            f"{printable(name)} {'×'.join(map(str, shape))} {kind}" for name, (shape, kind) in arrays.items()
        )
        raise DataError(
            f"'{path}' holds {found or 'nothing'}; SVHN has X of 32×32×3×N uint8 and y of N×1 (the cropped digits, not "
            "the full numbers): fetch it again."
        )
    return count
