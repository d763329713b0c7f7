"""The real download path against a server on this machine: sound, truncated, corrupted, absent, silent, dripping."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bench.core.errors import DownloadError
from bench.data import download as downloading
from bench.data.catalogue import DATASETS
from bench.data.datasets import find_dataset, load_dataset
from bench.data.download import download, fetch, import_torchvision
from tests.bench.data.data_files import NAMES, TRAIN_IMAGES, TRAIN_LABELS, real_mnist, small_files, write_files

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


def test_cifar10_is_looked_for_beside_the_other_folders_of_the_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mirror").mkdir()
    with _serve(tmp_path / "mirror") as (address, server):
        monkeypatch.setenv("BENCH_DATA_MIRROR", address)
        with pytest.raises(OSError, match="404"):
            fetch("cifar10", tmp_path)
    assert set(server.asked) == {"cifar-10-python.tar.gz"}


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
