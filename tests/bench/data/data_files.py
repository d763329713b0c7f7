"""Small datasets in the formats that the suite reads, written byte by byte, and the way to the real MNIST."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

DEAD_MIRROR = "http://127.0.0.1:9"
"""Nobody listens there: a connection is refused at once."""


def idx_bytes(values: npt.ArrayLike, *, code: int = 8) -> bytes:
    """An IDX file: magic number, big-endian dimensions, big-endian values."""
    array = np.asarray(values, dtype=np.int64)
    kind = {8: "B", 12: "i"}[code]
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + struct.pack(f">{array.size}{kind}", *array.ravel().tolist())


def small_files(*, seed: int = 0, train: int = 60, test: int = 20, side: int = 28) -> dict[str, bytes]:
    """The four files of a ten-class dataset of noise, every class equally often."""
    rng = np.random.default_rng(seed)
    return {
        TRAIN_IMAGES: idx_bytes(rng.integers(0, 256, (train, side, side))),
        TRAIN_LABELS: idx_bytes(np.arange(train) % 10),
        TEST_IMAGES: idx_bytes(rng.integers(0, 256, (test, side, side))),
        TEST_LABELS: idx_bytes(np.arange(test) % 10),
    }


def write_files(folder: Path, files: dict[str, bytes], *, compress: bool = False) -> Path:
    """Write files into a folder, made when missing; compressed ones with `.gz` at the end of their name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (f"{name}.gz" if compress else name)).write_bytes(gzip.compress(content) if compress else content)
    return folder


def real_mnist() -> Path | None:
    """The data directory that holds MNIST's four published `.gz` files, if there is one."""
    directory = Path(os.environ.get("BENCH_DATA_DIR") or "data")
    raw = directory / "MNIST" / "raw"
    return directory if all((raw / f"{name}.gz").is_file() for name in NAMES) else None
