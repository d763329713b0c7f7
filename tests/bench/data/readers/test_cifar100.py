"""CIFAR-100: its one batch a part and its fine labels, beside what torchvision makes of them."""

from __future__ import annotations

import pickle
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.catalogue import DATASETS
from bench.data.datasets import load_dataset
from bench.data.published.download import import_torchvision
from bench.data.readers.cifar import read_cifar100

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_network")


def _batch(images: int, *, seed: int) -> dict[str, Any]:
    pixels = np.random.default_rng(seed).integers(0, 256, (images, 3_072)).astype(np.uint8)
    fine = [place * 7 % 100 for place in range(images)]
    names = [f"picture_{place}.png" for place in range(images)]
    return {"filenames": names, "fine_labels": fine, "coarse_labels": [label // 5 for label in fine], "data": pixels}


def _write(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    contents = {"train": _batch(1_000, seed=0), "test": _batch(200, seed=1)} | changes
    for name, content in (contents | {"meta": {"fine_label_names": DATASETS["cifar100"].classes}}).items():
        (folder / name).write_bytes(pickle.dumps(content))
    return folder


@pytest.mark.parametrize("layout", ["folder", "flat", "archive"])
def test_torchvision_reads_the_same_images(tmp_path: Path, layout: str) -> None:
    folder = _write(tmp_path / "data" / "cifar-100-python")
    directory = folder if layout == "flat" else folder.parent
    if layout == "archive":
        directory = tmp_path
        with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as tar:
            tar.add(folder, "cifar-100-python")
    ours = load_dataset("cifar100", directory)
    published = import_torchvision("datasets").CIFAR100
    changes = {"train_list": [("train", None)], "test_list": [("test", None)], "meta": published.meta | {"md5": None}}
    theirs = type("CIFAR100", (published,), changes)
    parts = ((True, ours.pool_images, ours.pool_labels), (False, ours.test_images, ours.test_labels))
    for train, images, labels in parts:
        other = theirs(folder.parent, train=train)
        assert np.array_equal(images.transpose(0, 2, 3, 1), other.data)
        assert labels.tolist() == other.targets
    assert ours.metadata.classes == tuple(other.classes)


def test_what_is_no_batch_is_named(tmp_path: Path) -> None:
    ten = {"data": np.zeros((2, 3_072), np.uint8), "labels": [1, 2]}
    with pytest.raises(DataError, match=r"'test' in '.*a/cifar-100-python' is no CIFAR-100 batch \('fine_labels'\)"):
        read_cifar100(_write(tmp_path / "a" / "cifar-100-python", test=ten).parent)
    (tmp_path / "a" / "cifar-100-python" / "test").unlink()
    with pytest.raises(DataError, match="has no 'test'; CIFAR-100 needs train and test"):
        read_cifar100(tmp_path / "a")


def test_folders_called_train_and_test_are_something_else(tmp_path: Path) -> None:
    for name in ("train", "test", "meta"):
        (tmp_path / name).mkdir()
    assert read_cifar100(tmp_path) is None
