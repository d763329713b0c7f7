"""The real download path against a server on this machine: sound, truncated, corrupted, absent, silent, dripping."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import http.server
import io
import socket
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.io

from bench.core.errors import DownloadError
from bench.data.catalogue import DATASETS
from bench.data.datasets import find_dataset, load_dataset
from bench.data.published import download as downloading
from bench.data.published.download import download, fetch, import_torchvision
from bench.data.published.layouts import read_dataset
from tests.bench.data.data_files import (
    NAMES,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    idx_bytes,
    real_mnist,
    small_files,
    write_files,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MNIST = DATASETS["mnist"]


class _Server(http.server.ThreadingHTTPServer):
    """Serves a directory, with one fault in one file."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, directory: Path, fault: str, faulty: str) -> None:
        self.directory = directory
        self.fault = fault
        self.faulty = faulty
        self.closing = threading.Event()
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed break the connection; that is the point."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.server.directory / self.path.lstrip("/")
        fault = self.server.fault if path.name == self.server.faulty else ""
        self.server.asked.append(path.name)
        if fault == "absent" or not path.is_file():
            self.send_error(404)
        elif fault == "silent":
            self.server.closing.wait(60)
        else:
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self._send(content, fault)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Tests are quiet."""

    def _send(self, content: bytes, fault: str) -> None:
        middle = len(content) // 2
        if fault == "truncated":
            content = content[:middle]
        elif fault == "corrupted":
            content = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        elif fault == "dripping":
            while not self.server.closing.wait(0.2):
                self.wfile.write(b"\x1f")
        self.wfile.write(content)


@contextmanager
def _serve(directory: Path, fault: str = "", *, faulty: str = "") -> Iterator[tuple[str, _Server]]:
    with _Server(directory, fault, faulty) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A mirror, and the file in which a fault is planted.

    With the published MNIST it is the second, so that the first has landed when the fault shows; with other files,
    which no MD5 accepts, it is the first.
    """
    if (directory := real_mnist()) is not None:
        return directory, f"{TRAIN_LABELS}.gz"
    directory = tmp_path_factory.mktemp("mirror")
    write_files(directory / "MNIST" / "raw", small_files(), compress=True)
    return directory, f"{TRAIN_IMAGES}.gz"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("absent", "HTTP Error 404"),
        ("truncated", "File not found or corrupted"),
        ("corrupted", "File not found or corrupted"),
        ("silent", "the server was silent for 1.5 s"),
    ],
)
def test_a_failed_download_ends_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[Path, str], fault: str, said: str
) -> None:
    directory, faulty = mirror
    with _serve(directory, fault, faulty=faulty) as (address, server):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address + "/")
        with pytest.raises(DownloadError, match=said) as caught:
            download(MNIST, tmp_path / "cache", stall_seconds=1.5)
    assert server.asked[-1] == faulty
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_server_that_drips_ends_at_the_overall_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: tuple[Path, str]
) -> None:
    directory, faulty = mirror
    with _serve(directory, "dripping", faulty=faulty) as (address, server):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        for limit in (8, 40):  # a busy machine may need more than 8 s before it asks at all
            with pytest.raises(DownloadError, match=f"it was not finished after {limit} s"):
                download(MNIST, tmp_path / "cache", stall_seconds=5, limit_seconds=limit)
            if faulty in server.asked:
                break
    assert server.asked[-1] == faulty
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_has_another_md5_is_never_taken_for_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path / "mirror" / "MNIST" / "raw", small_files(), compress=True)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    with _serve(tmp_path / "mirror") as (address, _):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        with pytest.raises(DownloadError, match=r"No mnist in .*train-images-idx3-ubyte.gz.*corrupted"):
            load_dataset("mnist", tmp_path / "data")
    assert list((tmp_path / "cache" / "datasets").iterdir()) == []


def test_a_sound_download_lands_in_the_cache_and_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = real_mnist()
    if directory is None:
        pytest.skip("needs the published MNIST in $BENCH_DATA_DIR: torchvision accepts no other files")
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    told: list[str] = []
    with _serve(directory) as (address, server):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        first = find_dataset("auto", tmp_path / "data", announce=told.append).metadata
        asked = len(server.asked)
        second = find_dataset("auto", tmp_path / "data", announce=told.append).metadata
        assert len(server.asked) == asked
    assert len(told) == 1
    assert first == second
    assert (first.name, first.data_hash, first.note) == ("mnist", MNIST.published_hash, "")
    assert first.origin == str(tmp_path / "cache" / "datasets" / "MNIST" / "raw")
    assert list((tmp_path / "data").iterdir()) == []
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir()] == ["MNIST"]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"cache '.*file/datasets' cannot be written"):
        download(MNIST, tmp_path / "file" / "datasets")


def test_a_folder_that_another_process_landed_first_is_kept(tmp_path: Path) -> None:
    write_files(tmp_path / "cache" / "MNIST", {"first": b"1"})
    write_files(tmp_path / "half" / "MNIST", {"second": b"2"})
    downloading._land(tmp_path / "half", tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache" / "MNIST").iterdir()] == ["first"]


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "kmnist", "qmnist"])
def test_every_idx_dataset_is_fetched_from_its_own_folder_of_the_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    entry = DATASETS[name]
    published = getattr(import_torchvision("datasets"), entry.torchvision_class)
    if name == "qmnist":  # its labels have eight int32 columns
        row = b"".join(number.to_bytes(4, "big") for number in range(8))
        labels = bytes([0, 0, 12, 2, 0, 0, 0, 20, 0, 0, 0, 8]) + row * 20
        images = small_files(train=20)[NAMES[0]]
        files = dict(zip(entry.files, (images, labels, images, labels), strict=True))
    else:
        files = small_files()
    raw = write_files(tmp_path / "mirror" / entry.torchvision_class / "raw", files, compress=True)
    checks = [(f"{file}.gz", _md5((raw / f"{file}.gz").read_bytes())) for file in entry.files]
    parts = {"train": [("x/" + file, md5) for file, md5 in checks[:2]], "test": checks[2:]}
    monkeypatch.setattr(published, "resources", parts if name == "qmnist" else checks)
    (tmp_path / "half").mkdir()
    with _serve(tmp_path / "mirror") as (address, _):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        fetch(name, tmp_path / "half")
    fetched = tmp_path / "half" / entry.torchvision_class / "raw"
    assert {path.name: path.read_bytes() for path in fetched.glob("*[!z]")} == files
    assert gzip.decompress((fetched / f"{entry.files[3]}.gz").read_bytes()) == files[entry.files[3]]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cifar10", "cifar-10-python.tar.gz"),
        ("cifar100", "cifar-100-python.tar.gz"),
        ("emnist-digits", "gzip.zip"),
        ("stl10", "stl10_binary.tar.gz"),
        ("svhn", "train_32x32.mat"),
        ("usps", "usps.bz2"),
    ],
)
def test_archives_are_looked_for_beside_the_other_folders_of_the_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    (tmp_path / "mirror").mkdir()
    with _serve(tmp_path / "mirror") as (address, server):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        with pytest.raises(OSError, match="404"):
            fetch(name, tmp_path)
    assert set(server.asked) == {file}


@pytest.mark.parametrize("name", ["usps", "svhn"])
def test_files_without_a_folder_come_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    values = " ".join(f"{place}:0.5" for place in range(1, 257))
    matrix: Any = io.BytesIO()
    scipy.io.savemat(matrix, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)})
    content = {"usps": bz2.compress(f"1 {values}\n".encode()), "svhn": matrix.getvalue()}[name]
    published = getattr(import_torchvision("datasets"), DATASETS[name].torchvision_class)
    files = {part: published.split_list[part][1] for part in ("train", "test")}
    write_files(tmp_path / "mirror", dict.fromkeys(files.values(), content))
    listed = {part: ["http://nowhere/", file, _md5(content)] for part, file in files.items()}
    monkeypatch.setattr(published, "split_list", listed)
    (tmp_path / "half").mkdir()
    with _serve(tmp_path / "mirror") as (address, _):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        fetch(name, tmp_path / "half")
    downloading._land(tmp_path / "half", tmp_path)
    found = read_dataset(DATASETS[name], tmp_path)
    assert found is not None
    assert (len(found[0].test_images), found[1]) == ({"usps": 1, "svhn": 2}[name], str(tmp_path / name.upper()))


def test_of_emnist_only_what_is_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped = tmp_path / "mirror" / "EMNIST" / "raw" / "gzip.zip"
    zipped.parent.mkdir(parents=True)
    with zipfile.ZipFile(zipped, "w") as archive:
        for split in ("letters", "balanced", "digits", "byclass", "bymerge", "mnist"):
            for part in ("train", "test"):
                start = f"gzip/emnist-{split}-{part}"
                archive.writestr(f"{start}-images-idx3-ubyte.gz", gzip.compress(idx_bytes(np.zeros((3, 28, 28)))))
                archive.writestr(f"{start}-labels-idx1-ubyte.gz", gzip.compress(idx_bytes([1, 2, 3])))
    monkeypatch.setattr(import_torchvision("datasets").EMNIST, "md5", _md5(zipped.read_bytes()))
    (tmp_path / "half").mkdir()
    with _serve(tmp_path / "mirror") as (address, server):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        fetch("emnist-letters", tmp_path / "half")
    assert set(server.asked) == {"gzip.zip"}
    kept = {path.name.split("-")[1] for path in (tmp_path / "half" / "EMNIST" / "raw").iterdir()}
    assert kept == {"letters", "balanced", "digits"}
    for name in ("emnist-letters", "emnist-balanced", "emnist-digits"):
        assert read_dataset(DATASETS[name], tmp_path / "half") is not None


def test_of_stl10_only_what_is_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror").mkdir()
    with tarfile.open(tmp_path / "mirror" / "stl10_binary.tar.gz", "w:gz") as tar:
        for name, content in {
            "train_X.bin": bytes(27_648),
            "test_X.bin": bytes(27_648),
            "unlabeled_X.bin": b"",
        }.items():
            _add(tar, f"stl10_binary/{name}", content)
        for name in ("train_y.bin", "test_y.bin"):
            _add(tar, f"stl10_binary/{name}", b"\x01")
    published = import_torchvision("datasets").STL10
    for name in ("train_list", "test_list"):
        monkeypatch.setattr(published, name, [(file, None) for file, _ in getattr(published, name)])
    monkeypatch.setattr(published, "tgz_md5", _md5((tmp_path / "mirror" / "stl10_binary.tar.gz").read_bytes()))
    (tmp_path / "half").mkdir()
    with _serve(tmp_path / "mirror") as (address, _):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        fetch("stl10", tmp_path / "half")
    kept = sorted(path.name for path in (tmp_path / "half" / "stl10_binary").iterdir())
    assert kept == ["test_X.bin", "test_y.bin", "train_X.bin", "train_y.bin"]


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def test_the_process_of_the_download_says_what_went_wrong_in_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = socket.getdefaulttimeout()
    monkeypatch.setenv("BENCH_DATA_MIRROR", "not an address")
    try:
        assert downloading.main(["mnist", str(tmp_path), "2.5"]) == 1
        assert socket.getdefaulttimeout() == 2.5
    finally:
        socket.setdefaulttimeout(before)
    assert "unknown url type" in capsys.readouterr().err.splitlines()[-1]
