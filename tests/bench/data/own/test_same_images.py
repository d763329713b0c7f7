"""The same three hundred digits have the same content hash, whatever they are written in."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.core.reading import ReadingOptions
from tests.bench.data.data_files import NAMES
from tests.bench.data.own.same_images import TRAINING, csv_text, digits, load, parts, write_idx, write_npz

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_network")


def test_every_format_gives_the_same_hash(tmp_path: Path) -> None:
    arrays = parts()
    colours = {name: arrays[name][..., None] for name in ("x_train", "x_test")}
    first = {name: arrays[name][:, None] for name in ("x_train", "x_test")}
    floats = {name: arrays[name].astype(np.float32) / 255 for name in ("x_train", "x_test")}
    paths = [
        write_npz(tmp_path / "plain.npz"),
        write_npz(tmp_path / "last.npz", **colours),
        write_npz(tmp_path / "first.npz", **first),
        write_npz(tmp_path / "floats.npz", **floats),
        write_npz(tmp_path / "names.npz", y_train=arrays["y_train"].astype(str), y_test=arrays["y_test"].astype(str)),
        write_idx(tmp_path / "idx", NAMES),
        tmp_path / "header.csv",
        tmp_path / "fractions.csv",
        tmp_path / "header.csv.gz",
        tmp_path / "table.parquet",
        tmp_path / "declared.py",
    ]
    (tmp_path / "header.csv").write_text(csv_text())
    (tmp_path / "header.csv.gz").write_bytes(gzip.compress(csv_text().encode()))
    table = pd.read_csv(tmp_path / "header.csv")
    table.to_parquet(tmp_path / "table.parquet")
    pixels = [f"pixel{place}" for place in range(64)]
    scaled = table.assign(**{name: table[name] / 255 for name in pixels})
    scaled.sample(frac=1, random_state=0).to_csv(tmp_path / "fractions.csv")
    (tmp_path / "declared.py").write_text(
        "import numpy as np\nfrom bench.spec import ImageData\n"
        f"arrays = np.load({str(tmp_path / 'plain.npz')!r})\n"
        "DATASET = ImageData(images=arrays['x_train'], labels=arrays['y_train'], test_images=arrays['x_test'],\n"
        "                    test_labels=arrays['y_test'])\n"
    )
    found = {path.name: load(path) for path in paths}
    assert {name: dataset.metadata.data_hash for name, dataset in found.items()} == dict.fromkeys(
        found, found["plain.npz"].metadata.data_hash
    )
    plain = found["plain.npz"]
    assert (len(plain.pool_labels), len(plain.test_labels)) == (TRAINING, 300 - TRAINING)
    assert plain.metadata.classes == tuple("0123456789")


def test_another_size_is_the_same_in_every_format(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz")
    (tmp_path / "a.csv").write_text(csv_text())
    (tmp_path / "a.py").write_text(
        "import numpy as np\nfrom bench.spec import ImageData\n"
        f"x_train, y_train, x_test, y_test = np.load({str(tmp_path / 'a.npz')!r}).values()\n"
        "DATASET = ImageData(images=x_train, labels=y_train, test_images=x_test, test_labels=y_test)\n"
    )
    write_idx(tmp_path / "idx", NAMES)
    reading = ReadingOptions(image_size=(12, 10), fit="pad")
    found = [load(tmp_path / name, reading) for name in ("a.npz", "a.csv", "a.py", "idx")]
    assert len({dataset.metadata.data_hash for dataset in found}) == 1
    first = found[0]
    assert first.metadata.image_shape == (1, 12, 10)
    assert first.metadata.note == "Pictures were scaled to 12×10 and padded with black."
    assert not first.pool_images[:, :, [0, 11]].any()
    expected = Image.fromarray(digits().images[0]).resize((10, 10), Image.Resampling.BICUBIC)
    assert np.asarray(expected).tobytes() in {image[0, 1:11].tobytes() for image in first.pool_images}


def test_without_a_test_set_too(tmp_path: Path) -> None:
    images, labels = digits()
    np.savez(tmp_path / "a.npz", X=images, y=labels)
    (tmp_path / "header.csv").write_text(csv_text(split=False))
    (tmp_path / "none.csv").write_text(csv_text(header=False, split=False))
    found = [load(tmp_path / name) for name in ("a.npz", "header.csv", "none.csv")]
    assert len({dataset.metadata.data_hash for dataset in found}) == 1
    assert [len(dataset.test_labels) for dataset in found] == [60] * 3
    assert "a stratified fifth, 60 images, is set aside" in found[0].metadata.note
