"""Datasets that a client sends: found by their content hash, and believed only when it agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data import transfer
from bench.data.datasets import Dataset, find_dataset, load_dataset

NOWHERE = Path("data")


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """One that is at hand, and from then on a cache of its own."""
    found = find_dataset("mnist5k", NOWHERE)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    return found


def test_what_was_sent_is_found_bit_for_bit(dataset: Dataset) -> None:
    data_hash = dataset.metadata.data_hash
    assert transfer.read(data_hash) is None
    assert transfer.keep(transfer.pack(dataset), data_hash) == ""
    loaded = load_dataset("mnist5k", NOWHERE, expected_hash=data_hash, may_download=False)
    assert loaded.metadata.origin == transfer.ORIGIN
    for name in ("pool_images", "pool_labels", "test_images", "test_labels"):
        found, sent = getattr(loaded, name), getattr(dataset, name)
        assert found.dtype == sent.dtype
        assert np.array_equal(found, sent)


@pytest.mark.parametrize("damage", ["torn", "another", "empty"])
def test_what_does_not_agree_with_its_hash_is_not_there(dataset: Dataset, damage: str, tmp_path: Path) -> None:
    data_hash, content = dataset.metadata.data_hash, transfer.pack(dataset)
    if damage == "another":
        dataset.test_labels[0] += 1
    transfer.keep({"torn": content[:-1000], "another": transfer.pack(dataset), "empty": b""}[damage], data_hash)
    assert list((tmp_path / "cache" / "sent").iterdir())
    assert transfer.read(data_hash) is None


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "file"))
    assert "file/sent cannot be written" in transfer.keep(b"", "0123")


def test_nothing_is_downloaded_where_that_is_not_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("BENCH_DATA_MIRROR", "http://127.0.0.1:1/")
    (tmp_path / "here").mkdir()
    with pytest.raises(DataError, match="No kmnist in"):
        load_dataset("kmnist", tmp_path / "here", expected_hash="0123", may_download=False)
