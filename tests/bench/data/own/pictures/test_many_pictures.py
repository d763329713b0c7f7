"""A folder of 20,000 pictures is read within four times what Pillow takes to open each, and found again sooner."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.bench.data.own.pictures.folders import save
from tests.bench.data.own.same_images import load

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_20000_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 256, (20_000, 28, 28), dtype=np.uint8)
    files = [save(tmp_path / "many" / str(k % 10) / f"{k}.png", image) for k, image in enumerate(pixels)]

    began = time.process_time()
    opened = [np.asarray(Image.open(file)) for file in files]
    one_by_one = time.process_time() - began
    np.testing.assert_array_equal(opened, pixels)

    began = time.process_time()
    first = load(tmp_path / "many")
    reading = time.process_time() - began
    began = time.process_time()
    again = load(tmp_path / "many")
    finding = time.process_time() - began
    print(f"opened one by one {one_by_one:.1f} s, read {reading:.1f} s, found again {finding:.1f} s")  # noqa: T201

    assert len(first.pool_labels) + len(first.test_labels) == 20_000
    assert first.metadata.data_hash == again.metadata.data_hash
    # Time of the processor on both sides, which a busy machine hardly changes.
    assert reading < 4 * one_by_one
    assert finding < one_by_one
