"""EMNIST in its own file names, upright and numbered from 0, beside what torchvision makes of the same files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.catalogue import DATASETS
from bench.data.datasets import load_dataset
from bench.data.published.download import import_torchvision
from tests.bench.data.data_files import idx_bytes, write_files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_network")


def _files(split: str) -> dict[str, bytes]:
    """Each class 12 times for training and twice for test, with the labels of the published files."""
    classes, first = len(DATASETS[f"emnist-{split}"].classes), 1 if split == "letters" else 0
    rng, files = np.random.default_rng(0), {}
    for part, each in (("train", 12), ("test", 2)):
        files[f"emnist-{split}-{part}-images-idx3-ubyte"] = idx_bytes(rng.integers(0, 256, (classes * each, 28, 28)))
        files[f"emnist-{split}-{part}-labels-idx1-ubyte"] = idx_bytes(first + np.arange(classes * each) % classes)
    return files


@pytest.mark.parametrize("split", ["letters", "balanced", "digits"])
def test_it_is_torchvisions_turned(tmp_path: Path, split: str) -> None:
    files = _files(split)
    write_files(tmp_path / "EMNIST" / "raw", files)
    ours = load_dataset(f"emnist-{split}", tmp_path)
    parts = ((True, ours.pool_images, ours.pool_labels), (False, ours.test_images, ours.test_labels))
    for train, images, labels in parts:
        theirs = import_torchvision("datasets").EMNIST(tmp_path, split=split, train=train)
        assert np.array_equal(images[:, 0], theirs.data.numpy().transpose(0, 2, 1))
        assert [ours.metadata.classes[label] for label in labels] == [theirs.classes[label] for label in theirs.targets]
        assert images.flags.writeable
    raw = files[f"emnist-{split}-train-images-idx3-ubyte"][16:]
    assert ours.pool_images[3, 0, 5, 9] == raw[3 * 784 + 9 * 28 + 5]
    assert (labels.min(), labels.max()) == (0, len(ours.metadata.classes) - 1)


def test_flat_and_compressed_files_and_what_lacks(tmp_path: Path) -> None:
    files = _files("letters")
    flat = load_dataset("emnist-letters", write_files(tmp_path / "flat", files, compress=True))
    assert len(flat.pool_images) == 26 * 12
    (tmp_path / "flat" / "emnist-letters-test-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="no emnist-letters-test-labels-idx1-ubyte or"):
        load_dataset("emnist-letters", tmp_path / "flat")


def test_letters_that_begin_at_0_are_refused(tmp_path: Path) -> None:
    files = _files("letters") | {"emnist-letters-test-labels-idx1-ubyte": idx_bytes(np.arange(52) % 26)}
    with pytest.raises(DataError, match="test label -1 of image 0 is out of range"):
        load_dataset("emnist-letters", write_files(tmp_path / "data", files))
