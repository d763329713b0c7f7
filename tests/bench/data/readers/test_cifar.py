"""CIFAR-10's pickled batches: as Python 2 wrote them, as today's Python writes them, archived, damaged, hostile."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import tarfile
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.datasets import load_dataset
from bench.data.published.download import import_torchvision
from bench.data.readers import cifar
from bench.data.readers.cifar import read_cifar10
from tests.bench.data.data_files import DEAD_MIRROR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_DATA_MIRROR", DEAD_MIRROR)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


def _python2_text(content: bytes) -> bytes:
    return b"T" + struct.pack("<i", len(content)) + content  # opcode BINSTRING


def _python2(batch: dict[str, Any]) -> bytes:
    """A batch in the opcodes that Python 2 wrote: text and bytes are one, numpy's module has its old name."""
    pixels = batch["data"]
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01" + struct.pack("<cicic", b"J", pixels.shape[0], b"J", pixels.shape[1], b"\x86")
        + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89" + _python2_text(pixels.tobytes()) + b"tb"
    )  # fmt: skip
    labels = b"](" + b"".join(bytes([ord("K"), label]) for label in batch["labels"]) + b"e"
    return b"\x80\x02}(" + _python2_text(b"data") + array + _python2_text(b"labels") + labels + b"u."


def _python3(batch: dict[str, Any]) -> bytes:
    return pickle.dumps(batch)


def _python3_bytes_keys(batch: dict[str, Any]) -> bytes:
    return pickle.dumps({key.encode(): value for key, value in batch.items()}, protocol=5)


def _batches(images: int = 20) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, images, 3 * 32 * 32)).astype(np.uint8)
    labels = [rng.permutation(images) % 10 for _ in NAMES]
    return {
        name: {"data": pixels[i], "labels": labels[i].tolist(), "batch_label": name} for i, name in enumerate(NAMES)
    }


def _write(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("write", [_python2, _python3, _python3_bytes_keys])
@pytest.mark.parametrize("layout", ["folder", "flat", "archive"])
def test_planes_and_labels_come_back_from_every_layout(
    tmp_path: Path, write: Callable[[dict[str, Any]], bytes], layout: str
) -> None:
    batches = _batches()
    contents = {name: write(batch) for name, batch in batches.items()}
    directory = tmp_path / "data"
    if layout == "flat":
        _write(directory, contents)
    else:
        _write(directory / "cifar-10-batches-py", contents)
    if layout == "archive":
        with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
            tar.add(directory / "cifar-10-batches-py", "cifar-10-batches-py")
        directory = tmp_path
    dataset = load_dataset("cifar10", directory)
    expected = np.concatenate([batches[name]["data"] for name in NAMES])
    assert dataset.pool_images.shape == (100, 3, 32, 32)
    assert np.array_equal(dataset.pool_images.reshape(100, -1), expected[:100])
    assert np.array_equal(dataset.test_images.reshape(20, -1), expected[100:])
    assert dataset.pool_labels.tolist() == [label for name in NAMES[:5] for label in batches[name]["labels"]]
    assert dataset.test_labels.tolist() == batches["test_batch"]["labels"]
    assert all(array.flags.writeable for array in (dataset.pool_images, dataset.test_images))
    assert dataset.metadata.image_shape == (3, 32, 32)
    assert len(dataset.metadata.mean) == 3
    assert dataset.metadata.classes[3] == "cat"
    assert dataset.metadata.validation_images == 10
    assert "not the published images of cifar10" in dataset.metadata.note


def test_torchvision_reads_the_same_images(tmp_path: Path) -> None:
    contents = {name: _python2(batch) for name, batch in _batches().items()}
    contents["batches.meta"] = pickle.dumps({"label_names": ["airplane"]})
    _write(tmp_path / "cifar-10-batches-py", contents)
    published = import_torchvision("datasets").CIFAR10
    changes = {
        "train_list": [(name, None) for name in NAMES[:5]],  # no MD5: these are not the published files
        "test_list": [(NAMES[5], None)],
        "meta": published.meta | {"md5": None},
    }
    theirs = type("CIFAR10", (published,), changes)
    ours = load_dataset("cifar10", tmp_path)
    assert np.array_equal(theirs(tmp_path, train=True).data, ours.pool_images.transpose(0, 2, 3, 1))
    assert theirs(tmp_path, train=False).targets == ours.test_labels.tolist()


class _Hostile:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    contents = {name: _python3(batch) for name, batch in _batches().items()}
    contents["data_batch_3"] = pickle.dumps({"data": _Hostile(tmp_path / "ran"), "labels": []})
    _write(tmp_path / "cifar-10-batches-py", contents)
    with pytest.raises(DataError, match=r"'data_batch_3' in .* is no CIFAR-10 batch \(it refers to posix.mkdir"):
        read_cifar10(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "has no 'data_batch_2'; CIFAR-10 needs data_batch_1"),
        (b"", "is no CIFAR-10 batch"),
        (_python3({"labels": [1]}), r"is no CIFAR-10 batch \('data'\)"),
        (_python3({"data": np.zeros((2, 3071), dtype=np.uint8), "labels": [1, 2]}), "is no CIFAR-10 batch"),
        (_python3({"data": np.zeros((2, 3072)), "labels": [1, 2]}), "float64 images"),
        (
            _python3({"data": np.zeros((2, 3072), dtype=np.uint8), "labels": [1, 2, 3]}),
            "82 training images but 83 labels",
        ),
        (_python3({"data": np.zeros((2, 3072), dtype=np.uint8), "labels": [1, 10]}), "label 10 of image 21"),
        (_python3(_batches()["data_batch_2"])[:-100], "is no CIFAR-10 batch"),
    ],
)
def test_a_damaged_batch_is_one_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    contents = {name: _python3(batch) for name, batch in _batches().items()}
    if content is None:
        del contents["data_batch_2"]
    else:
        contents["data_batch_2"] = content
    _write(tmp_path / "cifar-10-batches-py", contents)
    with pytest.raises(DataError, match=said) as caught:
        load_dataset("cifar10", tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "cifar-10-batches-py") in str(caught.value)


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-python.tar.gz"
    folder = _write(tmp_path / "b", {name: _python3(batch) for name, batch in _batches().items()})
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, "cifar-10-batches-py")
    whole = archive.read_bytes()
    wrong_checksum = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]  # as any changed byte before it would have
    for content in (whole[: len(whole) // 2], whole[:-1], wrong_checksum, b"no archive"):
        archive.write_bytes(content)
        with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz'") as caught:
            read_cifar10(tmp_path)
        assert "\n" not in str(caught.value)


def _doubled(levels: int) -> list[Any]:
    """A list of two lists that are one, and so on: 2 to the power of the levels, in a few bytes each."""
    items: list[Any] = [1]
    for _ in range(levels):
        items = [items, items]
    return items


_ONE = np.zeros((1, 3072), dtype=np.uint8)
_NESTED_KEY = b"\x80\x02}()" + b"\x85" * 3_000_000 + b"K\x01u."
_FAR_MEMO = b"\x80\x02}r\xf0\xff\xff\xff."
_ENCODED = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86Ra"
_COPIES = b"\x80\x02]q\x00X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x010" + _ENCODED * 9_999 + b"."
_HEX = b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R."
_HUGE_SHAPE = (
    b"\x80\x02}(X\x04\x00\x00\x00datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    b"\x8a\x05\x00\x00\x00\x00\x10\x85X\x01\x00\x00\x00b\x87RX\x06\x00\x00\x00labels]u."
)
BOMBS = {
    "a list of lists without end": (_python3({"data": _ONE, "labels": _doubled(60)}), "a label is a list"),
    "data of lists without end": (_python3({"data": _doubled(60), "labels": [1]}), "its data is a list"),
    "a key of tuples without end": (_NESTED_KEY, "would fill more memory than a batch"),
    "a memo of four thousand million": (_FAR_MEMO, "would fill more memory than a batch"),
    "ten thousand copies of a megabyte": (_COPIES, "it holds a list, no dictionary"),
    "an array of sixty gigabytes": (_HUGE_SHAPE, "not enough values to unpack"),
    "more than any batch": (bytes((64 << 20) + 1), "67,108,865 bytes are too many, 67,108,864 the most"),
    "an encoding that grows": (_HEX, "encodes as 'hex'"),
    "an array of objects": (_python3({"data": np.array([None]), "labels": [1]}), "holds arrays of 'O8'"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_does_not_go_off(tmp_path: Path, bomb: str) -> None:
    content, said = BOMBS[bomb]
    contents = {name: _python3(batch) for name, batch in _batches().items()} | {"data_batch_2": content}
    _write(tmp_path / "cifar-10-batches-py", contents)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"'data_batch_2' in .*" + said) as caught:
        read_cifar10(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 40 * (1 << 20), "the largest of the files has 3 MB"
    tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_an_archive_that_unpacks_without_end_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "_MOST_UNPACKED_BYTES", 1 << 20)
    entry = tarfile.TarInfo("cifar-10-batches-py/readme.html")
    entry.size = 64 << 20
    with gzip.open(tmp_path / "cifar-10-python.tar.gz", "wb") as stream:
        stream.write(entry.tobuf() + bytes(entry.size + 10_240))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"tar\.gz': it unpacks to more than 1,048,576 bytes"):
        read_cifar10(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("fault", ["directory", "pipe", "device"])
def test_a_batch_that_is_no_file(tmp_path: Path, fault: str) -> None:
    contents = {name: _python3(batch) for name, batch in _batches().items()}
    batch = _write(tmp_path / "cifar-10-batches-py", contents) / "test_batch"
    batch.unlink()
    if fault == "directory":
        batch.mkdir()
    elif fault == "pipe":
        os.mkfifo(batch)
    else:
        batch.symlink_to("/dev/zero")
    said = "Is a directory" if fault == "directory" else "it is not a regular file"
    with pytest.raises(DataError, match=f"Cannot read 'test_batch' in .*: {said}"):
        read_cifar10(tmp_path)


def test_a_channel_of_one_value_is_named(tmp_path: Path) -> None:
    batches = _batches()
    for batch in batches.values():
        batch["data"].reshape(-1, 3, 1024)[:, 1] = 77
    _write(tmp_path / "cifar-10-batches-py", {name: _python3(batch) for name, batch in batches.items()})
    with pytest.raises(DataError, match=r"All pixels of channel 1 of the training images in .* are the same") as caught:
        load_dataset("cifar10", tmp_path)
    assert "\n" not in str(caught.value)
