"""STL-10: bytes column after column, beside what torchvision makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.datasets import load_dataset
from bench.data.published.download import import_torchvision
from bench.data.readers.stl10 import read_stl10

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_network")


def _write(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, images in (("train", 60), ("test", 20)):
        (folder / f"{part}_X.bin").write_bytes(rng.bytes(images * 27_648))
        (folder / f"{part}_y.bin").write_bytes(bytes(1 + place % 10 for place in range(images)))
    return folder


def test_torchvision_reads_the_same_images(tmp_path: Path) -> None:
    _write(tmp_path / "stl10_binary")
    (tmp_path / "stl10_binary" / "unlabeled_X.bin").touch()
    ours = load_dataset("stl10", tmp_path)
    published = import_torchvision("datasets").STL10
    changes = {name: [(file, None) for file, _ in getattr(published, name)] for name in ("train_list", "test_list")}
    theirs = type("STL10", (published,), changes)
    parts = (("train", ours.pool_images, ours.pool_labels), ("test", ours.test_images, ours.test_labels))
    for split, images, labels in parts:
        other = theirs(tmp_path, split=split)
        assert np.array_equal(images, other.data)
        assert labels.tolist() == other.labels.tolist()
        assert images.flags.writeable
    raw = (tmp_path / "stl10_binary" / "train_X.bin").read_bytes()
    assert ours.pool_images[2, 1, 5, 9] == raw[2 * 27_648 + 1 * 9_216 + 9 * 96 + 5]
    assert ours.metadata.image_shape == (3, 96, 96)


def test_files_that_are_missing_or_cut(tmp_path: Path) -> None:
    assert read_stl10(tmp_path) is None
    (tmp_path / "stl10_binary.tar.gz").touch()
    with pytest.raises(DataError, match=r"holds stl10_binary\.tar\.gz, which is not unpacked; run tar xf on it"):
        read_stl10(tmp_path)
    found = read_stl10(_write(tmp_path / "flat"))
    assert found is not None
    assert found[1] == str(tmp_path / "flat")
    (tmp_path / "flat" / "test_X.bin").write_bytes(bytes(20 * 27_648 - 1))
    said = r"test_X\.bin' has 552,959 bytes, not the 552,960 of the 20 images that test_y\.bin has labels of"
    with pytest.raises(DataError, match=said):
        read_stl10(tmp_path / "flat")
    (tmp_path / "flat" / "test_X.bin").unlink()
    with pytest.raises(DataError, match=r"flat' has no test_X\.bin; STL-10 needs train_X\.bin"):
        read_stl10(tmp_path / "flat")
    (tmp_path / "flat" / "test_X.bin").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"Cannot read .*not a regular file"):
        read_stl10(tmp_path / "flat")
