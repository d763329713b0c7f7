"""Published datasets of another size, against pixels worked out by hand and against Pillow."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import DataError
from bench.core.reading import ReadingOptions
from bench.data.datasets import call_dataset, find_dataset, load_decoded
from bench.data.kept.decoded import read_decoded
from bench.data.published import resized

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


def test_twice_the_size_is_what_pillow_makes_of_each_image(tmp_path: Path) -> None:
    plain = find_dataset("digits", tmp_path)
    found = find_dataset("digits", tmp_path, reading=ReadingOptions(image_size=(16, 16)))
    assert found.pool_images.shape == (1_442, 1, 16, 16)
    for part in ("pool", "test"):
        images, labels = getattr(found, f"{part}_images"), getattr(found, f"{part}_labels")
        assert np.array_equal(labels, getattr(plain, f"{part}_labels"))
        for place in (0, 100, len(images) - 1):
            small = Image.fromarray(getattr(plain, f"{part}_images")[place, 0])
            assert np.array_equal(images[place, 0], np.asarray(small.resize((16, 16), Image.Resampling.BICUBIC)))


def test_what_is_padded_keeps_its_pixels(tmp_path: Path) -> None:
    plain = find_dataset("digits", tmp_path)
    found = find_dataset("digits", tmp_path, reading=ReadingOptions(image_size=(8, 14), fit="pad"))
    assert np.array_equal(found.pool_images[..., 3:11], plain.pool_images)
    assert not found.pool_images[..., :3].any()
    assert not found.pool_images[..., 11:].any()
    assert found.metadata.name == call_dataset("digits", ReadingOptions(image_size=(8, 14), fit="pad"))
    assert found.metadata.image_shape == (1, 8, 14)
    # The same ink on 14/8 of the pixels: the mean is 8/14 of what it was.
    assert found.metadata.mean[0] == pytest.approx(plain.metadata.mean[0] * 8 / 14)
    assert found.metadata.validation_images == plain.metadata.validation_images


def test_the_size_that_it_has_changes_nothing(tmp_path: Path) -> None:
    plain = find_dataset("digits", tmp_path).metadata
    assert find_dataset("digits", tmp_path, reading=ReadingOptions(image_size=(8, 8), fit="pad")).metadata == plain


def test_it_is_made_once_and_workers_find_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = ReadingOptions(image_size=(9, 9))
    first = find_dataset("digits", tmp_path, reading=reading)
    monkeypatch.setattr(resized, "_resized", None)  # whoever makes it again fails
    again = find_dataset("digits", tmp_path, reading=reading)
    assert again.metadata == first.metadata
    sent = load_decoded("digits-9x9", tmp_path, expected_hash=first.metadata.data_hash)
    assert np.array_equal(sent.test_images, first.test_images)
    assert read_decoded("digits-9x9", first.metadata.data_hash) is not None


def test_ways_to_come_to_a_size_are_told_apart(tmp_path: Path) -> None:
    crop = ReadingOptions(image_size=(8, 16))
    names = [call_dataset("digits", reading) for reading in (crop, dataclasses.replace(crop, fit="pad"))]
    assert names == ["digits-8x16", "digits-8x16-pad"]
    assert call_dataset("auto", ReadingOptions()) == "auto"
    assert call_dataset(str(tmp_path / "pets"), ReadingOptions()) == "pets"
    (tmp_path / "pets").mkdir()
    assert call_dataset(str(tmp_path / "pets"), crop) == "pets-8x16"


def test_more_bytes_than_are_kept_are_refused_before_any_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Images of digits of 1×4096×4096 take 30,148,657,152 bytes decoded"):
        find_dataset("digits", tmp_path, reading=ReadingOptions(image_size=(4096, 4096)))
