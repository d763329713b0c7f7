"""Where a dataset is looked for, what is taken, and what is said when it is not there or not whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import DataError, UnknownNameError
from bench.data.datasets import find_dataset, load_dataset
from tests.bench.data.data_files import NAMES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, small_files, write_files

pytestmark = pytest.mark.usefixtures("no_network")


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
    metadata = find_dataset("auto", Path("data")).metadata
    assert metadata.name == "mnist5k"
    assert "stand in for MNIST, which is not in 'data' and could not be downloaded" in metadata.note


def test_auto_takes_mnist_from_disk(tmp_path: Path) -> None:
    assert find_dataset("auto", write_files(tmp_path / "data", small_files())).metadata.name == "mnist"


def test_the_cache_is_searched_after_the_data_directory(tmp_path: Path) -> None:
    cached = write_files(tmp_path / "cache" / "datasets" / "MNIST" / "raw", small_files(seed=1))
    (tmp_path / "data").mkdir()
    assert load_dataset("mnist", tmp_path / "data").metadata.origin == str(cached)
    write_files(tmp_path / "data", small_files(seed=2))
    assert load_dataset("mnist", tmp_path / "data").metadata.origin == str(tmp_path / "data")


def test_a_damaged_cache_says_what_to_delete(tmp_path: Path) -> None:
    cached = write_files(tmp_path / "cache" / "datasets" / "MNIST" / "raw", small_files())
    (cached / TRAIN_LABELS).unlink()
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match=r"The cache is damaged: delete '.*datasets'"):
        load_dataset("mnist", tmp_path / "data")


def test_data_that_changed_under_a_study_is_refused(tmp_path: Path) -> None:
    directory = write_files(tmp_path / "data", small_files(seed=1))
    began = load_dataset("mnist", directory).metadata.data_hash
    assert load_dataset("mnist", directory, expected_hash=began).metadata.data_hash == began
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
