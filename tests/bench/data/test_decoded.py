"""A dataset in one file that processes share: the same data, believed only when it agrees, missed by nobody."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from bench.core.errors import DataError
from bench.data import datasets
from bench.data.catalogue import DATASETS
from bench.data.datasets import Dataset, load_dataset, load_decoded
from bench.data.kept import decoded
from tests.bench.data.data_files import small_files, write_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small dataset in the layout of MNIST."""
    return write_files(tmp_path / "data", small_files())


@pytest.fixture
def wanted(source: Path) -> Dataset:
    """The same, as it is loaded without the file."""
    return load_dataset("mnist", source)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by a name whenever a dataset is read from its source."""
    names = []

    def read(name: str, *arguments: Any, **named: Any) -> Dataset:
        names.append(name)
        return load_dataset(name, *arguments, **named)

    monkeypatch.setattr(datasets, "load_dataset", read)
    return names


def check(found: Dataset, wanted: Dataset) -> None:
    assert found.metadata == wanted.metadata
    for name, array in wanted.by_name().items():
        assert found.by_name()[name].dtype == array.dtype
        assert np.array_equal(found.by_name()[name], array)


def load(wanted: Dataset, source: Path) -> Dataset:
    return load_decoded("mnist", source, expected_hash=wanted.metadata.data_hash)


def test_it_is_read_once_and_the_same_ever_after(wanted: Dataset, source: Path, reads: list[str], cache: Path) -> None:
    for _ in range(3):
        check(load(wanted, source), wanted)
    assert reads == ["mnist"]
    assert len([path for path in cache.iterdir() if path.suffix != ".lock"]) == 1


def test_it_is_mapped_and_nobody_else_sees_what_is_changed(wanted: Dataset, source: Path) -> None:
    found = load(wanted, source)
    mapped = [place.path for place in psutil.Process().memory_maps(grouped=False)]
    assert any("/decoded/mnist-" in path for path in mapped)
    found.pool_images[:] = 7
    check(load(wanted, source), wanted)


def test_without_its_source_it_is_what_the_study_began_with(
    wanted: Dataset, source: Path, tmp_path: Path, reads: list[str]
) -> None:
    load(wanted, source)
    write_files(source, small_files(seed=9))
    check(load(wanted, source), wanted)
    check(load(wanted, tmp_path / "gone"), wanted)
    assert reads == ["mnist"]


def test_data_that_is_not_what_the_study_began_with_is_refused_and_not_kept(source: Path, cache: Path) -> None:
    with pytest.raises(DataError, match="changed while the study ran"):
        load_decoded("mnist", source, expected_hash="0123")
    assert {path.suffix for path in cache.iterdir()} <= {".lock"}


def _damage(content: bytes, how: str) -> bytes:
    middle = len(content) // 2
    return {
        "truncated": content[:-1],
        "torn": content[:middle],
        "empty": b"",
        "noise": bytes(range(256)) * 100,
        "a bit of a pixel": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "a bit of the header": content[:90] + bytes([content[90] ^ 1]) + content[91:],
        "no end of a line": b"{" * len(content),
    }[how]


@pytest.mark.parametrize(
    "how",
    ["truncated", "torn", "empty", "noise", "a bit of a pixel", "a bit of the header", "no end of a line", "a folder"],
)
def test_what_is_damaged_is_written_anew(
    how: str, wanted: Dataset, source: Path, cache: Path, reads: list[str]
) -> None:
    load(wanted, source)
    (path,) = (path for path in cache.iterdir() if path.suffix != ".lock")
    good = path.read_bytes()
    if how == "a folder":  # cannot be replaced: the data is had without
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(_damage(good, how))
    check(load(wanted, source), wanted)
    assert reads == ["mnist"] * 2
    assert how == "a folder" or path.read_bytes() == good


def test_another_catalogue_is_another_file(
    wanted: Dataset, source: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    load(wanted, source)
    entry = dataclasses.replace(DATASETS["mnist"], validation_images=20_000)  # a third: 20 of the 60 images
    for module in ("catalogue", "datasets", "kept.decoded"):
        monkeypatch.setattr(f"bench.data.{module}.DATASETS", MappingProxyType({"mnist": entry}))
    assert wanted.metadata.validation_images == 10
    for _ in range(2):
        assert load(wanted, source).metadata.validation_images == 20
    assert reads == ["mnist"] * 2


def test_many_that_start_at_once_read_it_once(wanted: Dataset, source: Path, reads: list[str]) -> None:
    together = threading.Barrier(8)

    def start(_: int) -> Dataset:
        together.wait()
        return load(wanted, source)

    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(start, range(8)):
            check(found, wanted)
    assert reads == ["mnist"]


def _hold(data_hash: str, held: Any, done: Any) -> None:
    with decoded.decode_alone("mnist", data_hash) as is_alone:
        assert is_alone
        held.set()
        done.wait(30)
        os._exit(9)  # as a process that is killed


def test_one_that_is_slow_is_not_waited_for_and_one_that_dies_lets_go(
    wanted: Dataset, source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    monkeypatch.setattr(decoded, "_PATIENCE_SECONDS", 0.1)
    processes = multiprocessing.get_context("spawn")
    held, done = processes.Event(), processes.Event()
    path = cache / f"mnist-{wanted.metadata.data_hash[:32]}"
    other = processes.Process(target=_hold, args=(wanted.metadata.data_hash, held, done))
    other.start()
    assert held.wait(60)
    check(load(wanted, source), wanted)
    assert not path.exists()
    for torn, age in ((f".{path.name}.torn", 4_000), (f".{path.name}.written", 0)):
        (cache / torn).write_bytes(b"half of it")
        os.utime(cache / torn, (time.time() - age,) * 2)
    done.set()
    other.join(30)
    check(load(wanted, source), wanted)
    assert path.is_file()
    assert not (cache / f".{path.name}.torn").exists()
    assert (cache / f".{path.name}.written").exists(), "another process may be at it"
    check(load(wanted, source), wanted)
    assert reads == ["mnist"] * 2


def test_a_full_disk_and_a_cache_that_cannot_be_written_cost_memory_only(
    wanted: Dataset, source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("bench.system.files.os.fsync", full)
        check(load(wanted, source), wanted)
    assert {path.suffix for path in cache.iterdir()} == {".lock"}
    cache.parent.rename(cache.parent.with_name("elsewhere"))
    cache.parent.touch()
    check(load(wanted, source), wanted)


def test_what_was_sent_is_found_bit_for_bit(wanted: Dataset, tmp_path: Path) -> None:
    data_hash = wanted.metadata.data_hash
    assert decoded.read_decoded("mnist", data_hash) is None
    assert decoded.keep(decoded.pack(wanted), "mnist", data_hash) == ""
    (tmp_path / "nothing").mkdir()
    check(load_dataset("mnist", tmp_path / "nothing", expected_hash=data_hash, may_download=False), wanted)


@pytest.mark.parametrize("damage", ["torn", "another", "empty"])
def test_what_was_sent_and_does_not_agree_with_its_hash_is_not_there(wanted: Dataset, damage: str) -> None:
    data_hash, content = wanted.metadata.data_hash, decoded.pack(wanted)
    wanted.test_labels[0] = 9 - wanted.test_labels[0]
    sent = {"torn": content[:-1000], "another": decoded.pack(wanted), "empty": b""}[damage]
    assert decoded.keep(sent, "mnist", data_hash) == ""
    assert decoded.read_decoded("mnist", data_hash) is None


def test_a_cache_that_cannot_take_what_is_sent_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "file"))
    assert "file/decoded cannot be written" in decoded.keep(b"", "mnist", "0123")


def test_nothing_is_downloaded_where_that_is_not_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DATA_MIRROR", "http://127.0.0.1:1/")
    with pytest.raises(DataError, match="No kmnist in"):
        load_dataset("kmnist", tmp_path, expected_hash="0123", may_download=False)


def test_images_that_are_in_no_catalogue_are_found_by_their_hash_or_said_to_be_gone(
    wanted: Dataset, tmp_path: Path
) -> None:
    data_hash = wanted.metadata.data_hash
    own = Dataset(metadata=dataclasses.replace(wanted.metadata, name="größe\n<b>"), **wanted.by_name())
    with pytest.raises(DataError, match=r"are gone from .*; run the command that trains on them again"):
        load_decoded("größe\n<b>", tmp_path, expected_hash=data_hash)
    decoded.write_decoded(own)
    check(load_decoded("größe\n<b>", tmp_path, expected_hash=data_hash), own)
