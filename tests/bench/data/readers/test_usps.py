"""USPS: lines of LIBSVM written here, beside what torchvision makes of the same files."""

from __future__ import annotations

import bz2
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.datasets import load_dataset
from bench.data.published.download import import_torchvision
from bench.data.readers.usps import read_usps

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_network")


def _line(label: int, values: list[float]) -> str:
    return f"{label} " + " ".join(f"{place}:{value:g}" for place, value in enumerate(values, start=1)) + " \n"


def _text(images: int, *, seed: int) -> str:
    values = np.random.default_rng(seed).integers(-1000, 1001, (images, 256)) / 1000
    values[0, :3] = (-1, 1, 0)
    return "".join(_line(1 + place % 10, row.tolist()) for place, row in enumerate(values))


def _write(folder: Path, **changes: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "usps.bz2").write_bytes(changes.get("train", bz2.compress(_text(60, seed=0).encode())))
    (folder / "usps.t.bz2").write_bytes(changes.get("test", bz2.compress(_text(20, seed=1).encode())))
    return folder


def test_torchvision_reads_the_same_images(tmp_path: Path) -> None:
    ours = load_dataset("usps", _write(tmp_path))
    for train, images, labels in (
        (True, ours.pool_images, ours.pool_labels),
        (False, ours.test_images, ours.test_labels),
    ):
        theirs = import_torchvision("datasets").USPS(tmp_path, train=train)
        assert np.array_equal(images[:, 0], theirs.data)
        assert labels.tolist() == theirs.targets
    assert ours.pool_images[0, 0, 0, :3].tolist() == [0, 255, 127]
    assert ours.metadata.image_shape == (1, 16, 16)


def test_a_download_lies_in_a_folder_of_its_own(tmp_path: Path) -> None:
    found = read_usps(_write(tmp_path / "USPS").parent)
    assert found is not None
    assert found[1] == str(tmp_path / "USPS")
    assert read_usps(tmp_path / "gone") is None
    (tmp_path / "USPS" / "usps.t.bz2").unlink()
    with pytest.raises(DataError, match=r"USPS' has no usps\.t\.bz2; USPS needs usps\.bz2 and usps\.t\.bz2"):
        read_usps(tmp_path)


SOUND = _line(3, [0.5] * 256)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no bzip2", r"Cannot read '.*usps\.bz2': Invalid data stream"),
        (bz2.compress(SOUND.encode())[:-9], "is damaged .*ended before"),
        (bz2.compress((SOUND + _line(3, [0.5] * 255)).encode()), "line 2 is no image"),
        (bz2.compress(_line(3, [0.5] * 257).encode()), "line 1 is no image"),
        (bz2.compress(SOUND.replace("7:", "8:", 1).encode()), "line 1 is no image"),
        (bz2.compress(SOUND.replace("7:0.5", "7:1.5", 1).encode()), "line 1 is no image"),
        (bz2.compress(SOUND.replace("7:0.5", "7:nan", 1).encode()), "line 1 is no image"),
        (bz2.compress(("x" + SOUND).encode()), "line 1 is no image"),
        (bz2.compress(b"\n"), "line 1 is no image"),
        (bz2.compress(bytes(50_000_000)), "line 1 is no image"),
        (bz2.compress(b""), "none at all"),
    ],
)
def test_damage_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        load_dataset("usps", _write(tmp_path, train=content))
    assert "\n" not in str(caught.value)
