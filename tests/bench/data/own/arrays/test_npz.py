"""`.npz` files: what is read of them, in whatever order and type, and what is refused before anything is unpacked."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.own.arrays.npz import read_npz
from tests.bench.data.own.same_images import digits, load, parts, write_npz

if TYPE_CHECKING:
    from pathlib import Path

    from bench.data.own.parts import Parts

pytestmark = pytest.mark.usefixtures("no_network")

IMAGES = np.arange(6 * 4 * 5).reshape(6, 4, 5).astype(np.uint8)
LABELS = np.array([0, 1, 0, 1, 0, 1])


def read(path: Path, **arrays: Any) -> Parts:
    np.savez(path, **arrays)
    return read_npz(path, ReadingOptions(), lambda _done, _of: None)


def test_four_arrays_are_training_and_test(tmp_path: Path) -> None:
    found = read(tmp_path / "a.npz", **parts())
    images, labels = digits()
    assert found.test is not None
    assert np.array_equal(found.pool.images, images[:240, None])
    assert np.array_equal(found.test.images, images[240:, None])
    assert found.pool.labels.tolist() == labels[:240].tolist()
    assert found.test.labels.tolist() == labels[240:].tolist()
    assert (found.classes, found.validation, found.notes) == (tuple("0123456789"), None, ())


def test_medmnists_names_and_its_columns_of_labels(tmp_path: Path) -> None:
    parts_of = {name: IMAGES + offset for offset, name in enumerate(("train_images", "val_images", "test_images"))}
    labels = {name.replace("images", "labels"): LABELS[:, None] for name in parts_of}
    found = read(tmp_path / "bloodmnist.npz", **parts_of, **labels)
    assert found.validation is not None
    assert found.test is not None
    assert [part.images[0, 0, 0, 0] for part in (found.pool, found.validation, found.test)] == [0, 1, 2]
    assert found.validation.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("names", [("X", "y"), ("images", "labels"), ("x", "Y"), ("X_train", "y_train")])
def test_one_pair_has_no_test_set(tmp_path: Path, names: tuple[str, str]) -> None:
    found = read(tmp_path / "a.npz", **{names[0]: IMAGES, names[1]: LABELS, "ids": np.arange(6)})
    assert np.array_equal(found.pool.images[:, 0], IMAGES)
    assert (found.test, found.notes) == (None, ("Not read: ids.",))


def test_axes_are_told_by_shape(tmp_path: Path) -> None:
    colour = np.arange(6 * 4 * 5 * 3).reshape(6, 4, 5, 3).astype(np.uint8)
    expected = np.stack([colour[:, :, :, channel] for channel in range(3)], axis=1)
    for values in (colour, expected, np.asfortranarray(colour)):
        assert np.array_equal(read(tmp_path / "a.npz", X=values, y=LABELS).pool.images, expected)
    for values in (IMAGES, IMAGES[:, None], IMAGES[..., None]):
        assert np.array_equal(read(tmp_path / "a.npz", X=values, y=LABELS).pool.images, IMAGES[:, None])


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        (IMAGES.astype(np.int64), IMAGES, ()),
        (IMAGES.astype(">u2"), IMAGES, ()),
        (IMAGES > 60, np.where(IMAGES > 60, 255, 0), ()),
        (IMAGES / 255, IMAGES, ("Pixels are floats from 0 to 1, times 255.",)),
        ((IMAGES / 255).astype(np.float16), IMAGES, ("Pixels are floats from 0 to 1, times 255.",)),
        (IMAGES.astype(np.float32) + 0.4, IMAGES, ("Pixels are floats, rounded.",)),
    ],
)
def test_pixels_of_every_kind(tmp_path: Path, values: Any, expected: Any, note: tuple[str, ...]) -> None:
    found = read(tmp_path / "a.npz", X=values, y=LABELS)
    assert found.pool.images[:, 0].tolist() == expected.tolist()
    assert found.pool.images.dtype == np.uint8
    assert found.notes == note


def test_the_largest_pixel_of_all_parts_decides_what_floats_mean(tmp_path: Path) -> None:
    dark, bright = np.full((6, 4, 4), 0.9), np.full((6, 4, 4), 200.0)
    found = read(tmp_path / "a.npz", x_train=dark, y_train=LABELS, x_test=bright, y_test=LABELS)
    assert found.test is not None
    assert (found.pool.images.max(), found.test.images.max()) == (1, 200)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (np.array([1, 26, 1, 26, 7, 7]), ("1", "7", "26"), [0, 2, 0, 2, 1, 1]),
        (np.array([-1, 1, -1, 1, 1, 1], dtype=np.int8), ("-1", "1"), [0, 1, 0, 1, 1, 1]),
        (np.array([1.0, 0.0, 2.0, 1.0, 1.0, 1.0]), ("0", "1", "2"), [1, 0, 2, 1, 1, 1]),
        (np.eye(3)[[2, 0, 1, 2, 2, 2]], ("0", "1", "2"), [2, 0, 1, 2, 2, 2]),
        (np.eye(4, dtype=bool)[[3, 0, 1, 3, 3, 3]], ("0", "1", "3"), [2, 0, 1, 2, 2, 2]),
        (np.array(["dog", "cat", "dog", "eel", "cat", "cat"]), ("cat", "dog", "eel"), [1, 0, 1, 2, 0, 0]),
        (np.array([b"b\xc3\xa4r", b"cat"] * 3), ("bär", "cat"), [0, 1, 0, 1, 0, 1]),
        (np.array(["10", "9", "10", "9", "9", "9"]), ("9", "10"), [1, 0, 1, 0, 0, 0]),
        (np.array([True, False] * 3), ("0", "1"), [1, 0, 1, 0, 1, 0]),
    ],
)
def test_labels_of_every_kind(tmp_path: Path, labels: Any, classes: tuple[str, ...], expected: list[int]) -> None:
    found = read(tmp_path / "a.npz", X=IMAGES, y=labels)
    assert (found.classes, found.pool.labels.tolist()) == (classes, expected)
    assert found.pool.labels.dtype == np.int64


def test_labels_that_do_not_run_from_0_are_said(tmp_path: Path) -> None:
    found = read(tmp_path / "a.npz", X=IMAGES, y=LABELS * 3 + 1)
    assert found.notes == ("Labels are not 0, 1, … but 1, 4: classes are called by these numbers.",)


NAN = IMAGES.astype(np.float64)
NAN[4, 2, 3] = np.nan
INFINITE = np.where(np.isnan(NAN), -np.inf, NAN)
NEGATIVE = IMAGES.astype(np.int16)
NEGATIVE[5, 0, 1] = -3
TOO_LARGE = IMAGES.astype(np.int16) + 150
WITH_HOLES = np.array(["a", "", "b", "a", "b", "a"])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"X": NAN, "y": LABELS}, r"X\[4, 2, 3\] is nan; pixels run from 0 to 255"),
        ({"X": INFINITE, "y": LABELS}, r"X\[4, 2, 3\] is -inf"),
        ({"X": NEGATIVE, "y": LABELS}, r"X\[5, 0, 1\] is -3"),
        ({"X": TOO_LARGE, "y": LABELS}, r"X\[5, 1, 1\] is 256"),
        ({"X": IMAGES.astype(complex), "y": LABELS}, "X holds complex128, no pixels"),
        ({"X": IMAGES[:5], "y": LABELS}, r"5 images in X \(5×4×5\) but 6 labels in y \(6\)"),
        ({"X": IMAGES[:0], "y": LABELS[:0]}, "X has shape 0×4×5, no images at all"),
        ({"X": IMAGES.reshape(6, 20), "y": LABELS}, "X has shape 6×20; images are N×H×W, .*: reshape it"),
        (
            {"X": np.zeros((6, 3, 9, 3), np.uint8), "y": LABELS},
            r"3 channels of 9×3 pixels .*, or 3×9 pixels of 3 channels",
        ),
        ({"X": np.zeros((6, 9, 9, 4), np.uint8), "y": LABELS}, "with 4 channels; take the alpha channel"),
        ({"X": np.zeros((6, 9, 9, 2), np.uint8), "y": LABELS}, "neither the second axis nor the last"),
        ({"X": np.uint8(3), "y": LABELS}, "X is a single value"),
        ({"X": IMAGES, "y": LABELS + 0.5}, r"y\[0\] is 0\.5; whole numbers or names are needed"),
        ({"X": IMAGES, "y": np.array([0, 1, np.nan, 1, 0, 0])}, r"y\[2\] is nan"),
        ({"X": IMAGES, "y": np.ones((6, 3))}, "y has 3 columns, and row 0 of it is no one-hot label"),
        ({"X": IMAGES, "y": np.full((6, 2), "a")}, "y has 2 columns, and row 0"),
        ({"X": IMAGES, "y": np.zeros((6, 2, 2))}, "y has shape 6×2×2; one label an image"),
        ({"X": IMAGES, "y": WITH_HOLES}, r"y\[1\] is empty"),
        ({"X": IMAGES, "y": np.array(["a\nb", "a\tb"] * 3)}, "two classes are both shown as 'a\ufffdb'"),
        ({"X": IMAGES, "y": np.array([b"\xff", b"a"] * 3)}, "no UTF-8"),
        ({"X": IMAGES, "y": LABELS.astype("M8[D]")}, "y holds datetime64"),
        ({"X": IMAGES, "x_train": IMAGES, "y": LABELS}, "holds both X and x_train, which are the same thing; keep one"),
        ({"X": IMAGES}, r"has X but no labels to it; name arrays x_train, y_train, x_test and y_test, or X and y"),
        ({"x_test": IMAGES, "y_test": LABELS}, r"has no images to train on \(it holds x_test, y_test\)"),
        (
            {"X": IMAGES, "y": LABELS, "x_test": IMAGES / 255, "y_test": LABELS},
            r"X holds whole numbers \(uint8\) and x_test floats \(float64\)",
        ),
        (
            {"X": IMAGES, "y": LABELS, "x_test": IMAGES[:, 1:], "y_test": LABELS},
            r"images of X are 1×4×5, those of x_test 1×3×5",
        ),
        ({"X": IMAGES, "y": LABELS, "x_test": IMAGES, "y_test": WITH_HOLES}, r"y_test\[1\] is empty"),
        (
            {"X": IMAGES, "y": LABELS, "x_test": IMAGES, "y_test": LABELS.astype(str)},
            "some hold names and some numbers",
        ),
    ],
)
def test_what_is_no_dataset_is_one_line(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read(tmp_path / "bad.npz", **arrays)
    assert str(tmp_path / "bad.npz") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_objects_are_never_unpacked(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return pytest.fail, ("it was unpacked",)

    objects = np.empty(6, dtype=object)
    objects[:] = [Bomb() for _ in range(6)]
    for arrays in ({"X": objects, "y": LABELS}, {"X": IMAGES, "y": objects}):
        with pytest.raises(DataError, match="holds Python objects, which are never unpacked"):
            read(tmp_path / "a.npz", **arrays)


def _npy(shape: str, content: bytes, *, kind: str = "|u1") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def _zip(path: Path, members: dict[str, bytes], *, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _bytes(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


SOUND = {"X.npy": _bytes(IMAGES), "y.npy": _bytes(LABELS)}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"cat.png": b"1", "dog.png": b"2"}, r"is a zip without arrays \(it holds cat.png, dog.png\); unpack it"),
        ({}, r"is a zip without arrays \(it holds nothing\)"),
        (SOUND | {"X.npy": b"PNG"}, "X is no array that numpy saved"),
        (SOUND | {"X.npy": b"\x93NUMPY\x03\x00" + bytes(40)}, "X is no array that numpy saved"),
        (SOUND | {"X.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 70_000}, "X is no array that numpy saved"),
        (SOUND | {"X.npy": _npy("(6, 4, 5)", bytes(119))}, "X should hold 6×4×5 values, 120 bytes, but 119 follow"),
        (SOUND | {"X.npy": _npy("(6, 4, 5)", bytes(121))}, "X should hold 6×4×5 values, 120 bytes, but 121 follow"),
        (SOUND | {"X.npy": _npy("(-6, -4, 5)", bytes(120))}, "X should hold -6×-4×5"),
        (SOUND | {"X.npy": _npy("(60000, 4000, 4000)", bytes(9))}, "but 9 follow"),
        (SOUND | {"X.npy": _npy("__import__('os')", bytes(9))}, "X is no array that numpy saved"),
    ],
)
def test_members_that_are_no_arrays(tmp_path: Path, members: dict[str, bytes], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_npz(_zip(tmp_path / "bad.npz", members), ReadingOptions(), lambda _done, _of: None)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", [0, 40, 300, -1, -30])
def test_a_file_that_was_cut_short(tmp_path: Path, end: int) -> None:
    content = _zip(tmp_path / "whole.npz", SOUND).read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:end])
    with pytest.raises(DataError, match=r"cut.npz' is no .npz, or is damaged"):
        read_npz(tmp_path / "cut.npz", ReadingOptions(), lambda _done, _of: None)


def test_a_flipped_bit_is_found_by_its_checksum(tmp_path: Path) -> None:
    content = bytearray(_zip(tmp_path / "a.npz", SOUND, kind=zipfile.ZIP_STORED).read_bytes())
    content[content.index(IMAGES.tobytes()) + 7] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"damaged .*CRC"):
        read_npz(tmp_path / "a.npz", ReadingOptions(), lambda _done, _of: None)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.data.own.arrays.npz._MOST_BYTES", 1 << 20)
    bomb = _zip(tmp_path / "bomb.npz", SOUND | {"X.npy": _npy("(6, 4000, 4000)", bytes(96_000_000))})
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(DataError, match=r"arrays of 96,000,048 bytes and at most 1,048,576 are read"):
        read_npz(bomb, ReadingOptions(), lambda _done, _of: None)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    for name, said in (("folder.npz", "is a directory"), ("loop.npz", "symbolic links"), ("gone.npz", "No such file")):
        with pytest.raises(DataError, match=said):
            read_npz(tmp_path / name, ReadingOptions(), lambda _done, _of: None)
    with pytest.raises(DataError, match=r"--group-by patient: .* names no groups"):
        read_npz(write_npz(tmp_path / "a.npz"), ReadingOptions(group_by="patient"), lambda _done, _of: None)


def test_a_size_of_which_images_would_fill_a_disk(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((2_000, 1, 1, 1), np.uint8)[..., 0], y=np.arange(2_000) % 2)
    with pytest.raises(DataError, match=r"images of 1×4096×4096 take 33,554,432,000 bytes decoded, more than"):
        read_npz(tmp_path / "a.npz", ReadingOptions(image_size=(4_096, 4_096)), lambda _done, _of: None)


def test_the_whole_way_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_npz(tmp_path / "a.npz")
    first = load(path)
    with monkeypatch.context() as patch:
        patch.setattr("bench.data.own.arrays.npz.make_parts", lambda **_: pytest.fail("it was read again"))
        assert load(path).metadata == first.metadata
    assert (first.metadata.name, first.metadata.image_shape) == ("a", (1, 8, 8))
    images, labels = digits()
    changed = images[:240].copy()
    changed[0, 0, 0] = 7
    assert load(write_npz(path, x_train=changed)).metadata.data_hash != first.metadata.data_hash
    by_label = [sorted(image.tobytes() for image in images[:240][labels[:240] == label]) for label in range(10)]
    found = [sorted(image.tobytes() for image in first.pool_images[first.pool_labels == label]) for label in range(10)]
    assert found == by_label
