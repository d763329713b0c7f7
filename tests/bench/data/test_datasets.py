"""Loading and verifying datasets: small files written here in every layout, and what is wrong with damaged ones."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.arrays import channel_statistics
from bench.data.catalogue import DATASETS
from bench.data.datasets import find_dataset, load_dataset
from bench.data.published.layouts import what_is_looked_for
from tests import ROOT
from tests.bench.data.data_files import (
    NAMES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    idx_bytes,
    small_files,
    write_files,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_network")


def _write_layout(directory: Path, layout: str, files: dict[str, bytes]) -> Path:
    compress = layout.endswith(".gz")
    match layout.removesuffix(".gz"):
        case "torchvision":
            write_files(directory / "MNIST" / "raw", files, compress=compress)
        case "flat":
            write_files(directory, files, compress=compress)
        case "dotted":
            write_files(directory, {name.replace("-idx", ".idx"): text for name, text in files.items()})
        case "train and test":
            for name, content in files.items():
                part = "train" if name.startswith("train") else "test"
                write_files(directory / part, {name: content}, compress=compress)
    return directory


def test_an_entry_names_what_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the lack of a download makes a dataset the embedded one nor that of files makes it CIFAR-10."""
    own = dataclasses.replace(DATASETS["mnist"], name="own", torchvision_class="", published_hash=None)
    monkeypatch.setattr("bench.data.datasets.DATASETS", {"own": own})
    assert len(load_dataset("own", write_files(tmp_path / "data", small_files())).pool_images) == 60
    assert what_is_looked_for(dataclasses.replace(DATASETS["cifar10"], files=tuple(NAMES))).startswith("cifar-10-")
    with pytest.raises(ValueError, match="'idy' is none of idx, emnist, cifar10, "):
        dataclasses.replace(own, source="idy")


LAYOUTS = ("torchvision", "torchvision.gz", "flat", "flat.gz", "dotted", "train and test", "train and test.gz")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_data_and_is_left_alone(tmp_path: Path, layout: str) -> None:
    files = small_files()
    directory = _write_layout(tmp_path / "data", layout, files)
    before = {path: path.stat().st_mtime_ns for path in directory.rglob("*")}
    dataset = load_dataset("mnist", directory)
    assert {path: path.stat().st_mtime_ns for path in directory.rglob("*")} == before
    assert dataset.pool_images.shape == (60, 1, 28, 28)
    assert dataset.pool_images.tobytes() == files[TRAIN_IMAGES][16:]
    assert dataset.pool_labels.tolist() == list(files[TRAIN_LABELS][8:])
    assert dataset.test_images.tobytes() == files[TEST_IMAGES][16:]
    assert dataset.test_labels.tolist() == list(files[TEST_LABELS][8:])
    assert dataset.metadata.data_hash == _hash_by_hand(files)
    assert all(array.flags.writeable for array in (dataset.pool_images, dataset.test_images, dataset.pool_labels))


NOISE = np.random.default_rng(0).integers(0, 256, (60, 28, 28))


def _hash_by_hand(files: dict[str, bytes]) -> str:
    labels = {name: b"".join(bytes([label]) + bytes(7) for label in files[name][8:]) for name in NAMES[1::2]}
    content = (
        b"pool_images |u1 (60, 1, 28, 28)\n" + files[TRAIN_IMAGES][16:]
        + b"pool_labels <i8 (60,)\n" + labels[TRAIN_LABELS]
        + b"test_images |u1 (20, 1, 28, 28)\n" + files[TEST_IMAGES][16:]
        + b"test_labels <i8 (20,)\n" + labels[TEST_LABELS]
    )  # fmt: skip
    return hashlib.sha256(content).hexdigest()


def test_one_changed_byte_anywhere_changes_the_hash(tmp_path: Path) -> None:
    hashes = set()
    for name in (None, *NAMES):
        files = small_files()
        if name:
            files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
        hashes.add(load_dataset("mnist", write_files(tmp_path / str(name), files)).metadata.data_hash)
    assert len(hashes) == 5


def test_raw_files_go_before_compressed_ones(tmp_path: Path) -> None:
    write_files(tmp_path / "data", small_files(seed=1), compress=True)
    write_files(tmp_path / "data", small_files(seed=2))
    assert load_dataset("mnist", tmp_path / "data").pool_images.tobytes() == small_files(seed=2)[TRAIN_IMAGES][16:]


def test_facts_of_files_that_are_not_the_published_ones(tmp_path: Path) -> None:
    metadata = load_dataset("mnist", write_files(tmp_path / "data", small_files())).metadata
    assert (metadata.pool_images, metadata.test_images, metadata.validation_images) == (60, 20, 10)
    assert metadata.image_shape == (1, 28, 28)
    assert metadata.classes == tuple("0123456789")
    assert metadata.origin == str(tmp_path / "data")
    assert "not the published images of mnist (60 for training and 20 for test" in metadata.note


def test_a_class_that_a_part_lacks_is_mentioned(tmp_path: Path) -> None:
    labels = {
        TRAIN_LABELS: idx_bytes([0, 1, 2, 4, 5, 6, 7, 8] * 7 + [0] * 4),
        TEST_LABELS: idx_bytes([*range(8)] * 2 + [9] * 4),
    }
    note = load_dataset("mnist", write_files(tmp_path / "data", small_files() | labels)).metadata.note
    assert note.endswith("published ones. No training image is of class 3 and 9. No test image is of class 8.")


def test_mean_and_deviation_are_numpys_for_each_channel() -> None:
    images = np.random.default_rng(0).integers(0, [[[[90]], [[170]], [[256]]]], (2_501, 3, 5, 4)).astype(np.uint8)
    mean, deviation = channel_statistics(images)
    assert mean == pytest.approx((images / 255).mean(axis=(0, 2, 3)), rel=1e-12)
    assert deviation == pytest.approx((images / 255).std(axis=(0, 2, 3)), rel=1e-12)


def test_qmnist_takes_the_first_of_eight_label_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = rng.integers(10, 1_000, (60, 8))
    columns[:, 0] = np.arange(60) % 10
    files = {
        "qmnist-train-images-idx3-ubyte": idx_bytes(rng.integers(0, 256, (60, 28, 28))),
        "qmnist-train-labels-idx2-int": idx_bytes(columns, code=12),
        "qmnist-test-images-idx3-ubyte": idx_bytes(rng.integers(0, 256, (60, 28, 28))),
        "qmnist-test-labels-idx2-int": idx_bytes(columns[::-1], code=12),
    }
    write_files(tmp_path / "QMNIST" / "raw", files, compress=True)
    dataset = load_dataset("qmnist", tmp_path)
    assert dataset.pool_labels.tolist() == [*range(10)] * 6
    assert dataset.test_labels.tolist() == [*range(9, -1, -1)] * 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({TRAIN_LABELS: idx_bytes(np.arange(59) % 10)}, "60 training images but 59 labels"),
        ({TEST_LABELS: idx_bytes(np.arange(21) % 10)}, "20 test images but 21 labels"),
        ({TRAIN_LABELS: idx_bytes([*range(10)] * 5 + [3, 10] * 5)}, "training label 10 of image 51 is out of range"),
        ({TEST_IMAGES: idx_bytes(np.zeros((20, 28, 27)))}, r"\(1, 28, 28\), test images \(1, 28, 27\)"),
        ({TRAIN_IMAGES: idx_bytes(np.zeros((0, 28, 28))), TRAIN_LABELS: idx_bytes([])}, "none at all"),
        ({TRAIN_IMAGES: idx_bytes(np.full((60, 28, 28), 7))}, "the same"),
        ({TRAIN_LABELS: idx_bytes([7] + [0, 1, 2, 3, 4, 5, 6, 8, 9] * 6 + [0] * 5)}, "Class '7' has 1 image of 60"),
        ({TRAIN_IMAGES: idx_bytes(NOISE[:40]), TRAIN_LABELS: idx_bytes(np.arange(40) % 10)}, "cannot be split 33 to 7"),
        ({TRAIN_IMAGES: small_files()[TRAIN_IMAGES][:-5]}, "train-images-idx3-ubyte' is truncated"),
    ],
)
@pytest.mark.parametrize("name", ["mnist", "auto"])
def test_damaged_data_is_one_line_even_under_auto(
    tmp_path: Path, name: str, change: dict[str, bytes], said: str
) -> None:
    directory = write_files(tmp_path / "data", small_files() | change)
    with pytest.raises(DataError, match=said) as caught:
        find_dataset(name, directory)
    assert str(directory) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_and_loading_need_no_torch(tmp_path: Path) -> None:
    write_files(tmp_path / "data", small_files())
    script = (
        "import sys, pathlib, bench.data.catalogue; assert 'numpy' not in sys.modules; import bench.data.datasets;"
        f"bench.data.datasets.load_dataset('mnist', pathlib.Path({str(tmp_path / 'data')!r}));"
        "print(sorted({'torch', 'torchvision', 'sklearn', 'mlxtend', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_catalogue_holds_the_sizes_that_were_published() -> None:
    sizes = {name: (e.pool_images, e.test_images, e.validation_images, e.image_shape) for name, e in DATASETS.items()}
    grey, colour = (1, 28, 28), (3, 32, 32)
    assert sizes == {
        "mnist": (60_000, 10_000, 10_000, grey),
        "mnist5k": (4_000, 1_000, 800, grey),
        "fashion_mnist": (60_000, 10_000, 10_000, grey),
        "kmnist": (60_000, 10_000, 10_000, grey),
        "qmnist": (60_000, 60_000, 10_000, grey),
        "cifar10": (50_000, 10_000, 5_000, colour),
        "cifar100": (50_000, 10_000, 5_000, colour),
        "emnist-letters": (124_800, 20_800, 20_800, grey),
        "emnist-balanced": (112_800, 18_800, 18_800, grey),
        "emnist-digits": (240_000, 40_000, 40_000, grey),
        "digits": (1_442, 355, 288, (1, 8, 8)),
        "usps": (7_291, 2_007, 1_458, (1, 16, 16)),
        "svhn": (73_257, 26_032, 7_326, colour),
        "stl10": (5_000, 8_000, 1_000, (3, 96, 96)),
    }
    several = {"cifar100": 100, "emnist-letters": 26, "emnist-balanced": 47}
    counts = {name: len(set(entry.classes)) for name, entry in DATASETS.items()}
    assert counts == dict.fromkeys(DATASETS, 10) | several
