"""SVHN: MATLAB files written by scipy, beside what torchvision makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.io

from bench.core.errors import DataError
from bench.data.datasets import load_dataset
from bench.data.published.download import import_torchvision
from bench.data.readers import svhn

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_network")


def _content(images: int, *, seed: int) -> dict[str, Any]:
    """Labels run from 1 to 10."""
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3, images)).astype(np.uint8)
    return {"X": pixels, "y": (1 + np.arange(images) % 10).astype(np.uint8)[:, None]}


def _write(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(folder / "train_32x32.mat", _content(200, seed=0) | changes, do_compression=True)
    scipy.io.savemat(folder / "test_32x32.mat", _content(20, seed=1))
    return folder


@pytest.mark.parametrize("folder", [".", "SVHN"])
def test_torchvision_reads_the_same_images(tmp_path: Path, folder: str) -> None:
    _write(tmp_path / folder)
    ours = load_dataset("svhn", tmp_path)
    published = import_torchvision("datasets").SVHN
    unchecked = {part: [*facts[:2], None] for part, facts in published.split_list.items()}  # no MD5
    theirs = type("SVHN", (published,), {"split_list": unchecked})
    parts = (("train", ours.pool_images, ours.pool_labels), ("test", ours.test_images, ours.test_labels))
    for split, images, labels in parts:
        other = theirs(tmp_path / folder, split=split)
        assert np.array_equal(images, other.data)
        assert labels.tolist() == other.labels.tolist()
        assert images.flags.writeable
    assert ours.pool_images[7, 2, 3, 4] == _content(200, seed=0)["X"][3, 4, 2, 7]
    assert ours.pool_labels[:11].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"X": np.zeros((32, 32, 200), np.uint8)}, r"holds X 32×32×200 uint8, y 200×1 uint8; SVHN has X of 32×32×3×N"),
        ({"y": np.zeros((199, 1), np.uint8)}, "y 199×1 uint8; SVHN has"),
        ({"X": np.zeros((32, 32, 3, 200))}, "holds X 32×32×3×200 double, y 200×1 uint8; SVHN has"),
        ({"y": np.full((200, 1), 0.5)}, "y 200×1 double; SVHN has"),
        ({"y": np.full((200, 1), 11)}, "training label 11 of image 0 is out of range"),
    ],
)
def test_what_is_no_svhn_is_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        load_dataset("svhn", _write(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_damaged_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = _write(tmp_path) / "train_32x32.mat"
    content = training.read_bytes()
    for damaged in (b"", b"no MATLAB file at all", content[:-1_000], content[:200] + bytes(100) + content[300:]):
        training.write_bytes(damaged)
        with pytest.raises(DataError, match=r"train_32x32\.mat' (is no MATLAB file of SVHN|holds)") as caught:
            svhn.read_svhn(tmp_path)
        assert "\n" not in str(caught.value)
    training.unlink()
    with pytest.raises(DataError, match=r"has no train_32x32\.mat; SVHN needs"):
        svhn.read_svhn(tmp_path)
    training.mkdir()
    with pytest.raises(DataError, match=r"Cannot read .*Is a directory"):
        svhn.read_svhn(tmp_path)
    training.rmdir()
    training.write_bytes(content)
    monkeypatch.setattr(svhn, "_MOST_IMAGES", 199)
    monkeypatch.setattr("scipy.io.loadmat", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DataError, match="holds X 32×32×3×200 uint8"):
        svhn.read_svhn(tmp_path)
    assert svhn.read_svhn(tmp_path / "gone") is None
