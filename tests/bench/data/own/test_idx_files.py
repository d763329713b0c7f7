"""Folders of IDX files: which files pair up, and what is said when they do not in one way only."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.own.choose import choose_reader
from bench.data.own.idx_files import find_files, read_idx_files
from tests.bench.data.data_files import NAMES, idx_bytes, write_files
from tests.bench.data.own.same_images import PLAIN, TRAINING, digits, write_idx

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.own.parts import Parts

pytestmark = pytest.mark.usefixtures("no_network")


def read(path: Path, reading: ReadingOptions = PLAIN) -> Parts:
    return read_idx_files(path, reading, lambda _done, _of: None)


@pytest.mark.parametrize(
    "names",
    [
        NAMES,
        ("train-images.idx3-ubyte.gz", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
        ("trainImages", "trainLabels.gz", "testImages.gz", "testLabels"),
        ("x_train.idx", "y_train.idx", "x_test.idx", "y_test.idx"),
        ("my-images-training", "my-labels-training", "my-images-testing", "my-labels-testing"),
        ("e-train-images-idx3-ubyte", "e-train-labels-idx1-ubyte", "e-test-images-idx3.gz", "e-test-labels-idx1.gz"),
    ],
)
def test_four_files_pair_up_under_any_names(tmp_path: Path, names: tuple[str, str, str, str]) -> None:
    folder = write_idx(tmp_path / "mine", names)
    (folder / "README").write_text("read me")
    (folder / ".hidden").write_bytes(idx_bytes([1]))
    images, labels = digits()
    for path in (folder, folder / names[0], folder / names[3]):
        assert choose_reader(path).read is read_idx_files
        found = read(path)
        assert found.test is not None
        assert np.array_equal(found.pool.images, images[:TRAINING, None])
        assert np.array_equal(found.test.images, images[TRAINING:, None])
        assert found.pool.labels.tolist() == labels[:TRAINING].tolist()
        assert found.test.labels.tolist() == labels[TRAINING:].tolist()
    assert [file.name for file in find_files(folder)] == sorted(names)


def test_two_files_have_no_test_set_and_colours_may_come_last(tmp_path: Path) -> None:
    colour = np.arange(4 * 5 * 6 * 3).reshape(4, 5, 6, 3) % 256
    folder = write_files(
        tmp_path, {"pictures": idx_bytes(colour), "answers.gz": gzip.compress(idx_bytes([1, 2, 1, 2]))}
    )
    found = read(folder)
    assert found.test is None
    assert found.pool.images[:, 1].tolist() == colour[..., 1].tolist()
    assert (found.classes, found.pool.labels.tolist()) == (("1", "2"), [0, 1, 0, 1])


def test_a_validation_pair_and_int32_labels(tmp_path: Path) -> None:
    files = {}
    for value, part in enumerate(("train", "val", "test")):
        files[f"{part}-images"] = idx_bytes(np.full((2, 3, 3), value))
        files[f"{part}-labels"] = idx_bytes([0, 1], code=12)
    found = read(write_files(tmp_path, files))
    assert found.validation is not None
    assert found.test is not None
    assert [part.images.max() for part in (found.pool, found.validation, found.test)] == [0, 1, 2]


def test_a_raw_file_goes_before_its_compressed_twin(tmp_path: Path) -> None:
    write_files(tmp_path, {"images": idx_bytes(np.full((2, 3, 3), 7)), "labels": idx_bytes([0, 1])})
    write_files(tmp_path, {"images": idx_bytes(np.full((2, 3, 3), 9))}, compress=True)
    assert read(tmp_path).pool.images.max() == 7
    assert read(tmp_path / "images.gz").pool.images.max() == 7


THREE, ONE = idx_bytes(np.zeros((2, 3, 3))), idx_bytes([0, 1])


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"images": THREE}, "has images of images and no file of labels"),
        ({"a": ONE, "b": ONE, "c": THREE}, "has c of images and a and b of labels"),
        ({"images": THREE, "labels": idx_bytes([0, 1, 0])}, "images' has 2 images but labels 3 labels"),
        (
            {"train-images": THREE, "test-images": THREE, "train-labels": ONE, "other-labels": ONE},
            "which labels belong to test-images cannot be told from other-labels and train-labels; call both alike",
        ),
        (
            {"a-images": THREE, "b-images": THREE, "a-labels": ONE, "b-labels": ONE},
            "the name a-images does not say of what part it is",
        ),
        (
            {"a-train-images": THREE, "b-train-images": THREE, "a-train-labels": ONE, "b-train-labels": ONE},
            "the name b-train-images says train as a-train-images",
        ),
        (
            {"train-images": THREE, "train-images.idx": THREE, "train-labels": ONE, "test-labels": ONE},
            "which labels belong to train-images cannot be told",
        ),
        ({"t10k-images": THREE, "t10k-labels": ONE}, "has files of test only; add those of training"),
        (
            {"train-test-images": THREE, "train-test-labels": ONE, "a-images": THREE, "a-labels": ONE},
            "a-images does not",
        ),
        (
            {"images": THREE, "labels": idx_bytes([[0, 1], [1, 0]])},
            "labels' is an IDX file of 2 dimensions and type 0x08",
        ),
        ({"images": idx_bytes(np.zeros((2, 3, 3)), code=12), "labels": ONE}, "of 3 dimensions and type 0x0c"),
        ({"images": THREE[:9], "labels": ONE}, "images' is truncated: it ends within its IDX header"),
        ({"images": THREE[:-1], "labels": ONE}, "images' is truncated: its header declares 2×3×3 values"),
    ],
)
def test_files_that_do_not_pair_up_are_named(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(write_files(tmp_path / "mine", files))
    assert "\n" not in str(caught.value)


def test_what_holds_no_idx_files_is_not_taken(tmp_path: Path) -> None:
    write_files(
        tmp_path / "mine", {"a.txt": b"words", "empty": b"", "b.gz": b"no gzip", "c.gz": gzip.compress(b"words")}
    )
    (tmp_path / "mine" / "gone").symlink_to("nowhere")
    for path in (tmp_path / "mine", tmp_path / "mine" / "a.txt"):
        assert find_files(path) == []
        with pytest.raises(DataError, match="is no folder of class folders or of IDX files, and no file that ends in"):
            choose_reader(path)


def test_groups_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--group-by patient: IDX files .* name no groups"):
        read(write_idx(tmp_path, NAMES), ReadingOptions(group_by="patient"))
