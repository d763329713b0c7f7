"""Whatever a user names is found, in order; what cannot be read has a line of its own and stops nothing."""

from __future__ import annotations

import dataclasses
import gzip
import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from bench.data.given.prepare import Preparer
from bench.deploy.images.given import read_given
from tests.factories import MNIST

if TYPE_CHECKING:
    from pathlib import Path

    from bench.deploy.images.given import GivenImage

PLAIN = dataclasses.replace(MNIST, name="pets")
"""Of no form: pictures are scaled and cut."""
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 28, 28)).astype(np.uint8)


def names(found: list[GivenImage]) -> list[str]:
    return [each.name for each in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "pictures"
    (place / "below").mkdir(parents=True)
    (place / ".hidden").mkdir()
    for name in ("b.png", "a.png", "below/c.png", ".hidden/d.png"):
        Image.fromarray(GREY[0]).save(place / name)
    return place


def test_files_folders_globs_and_standard_input_in_order(folder: Path) -> None:
    preparer, stream = Preparer(PLAIN), io.BytesIO()
    Image.fromarray(GREY[1]).save(stream, "PNG")
    stream.seek(0)
    words = [str(folder / "b.png"), str(folder), "-", str(folder / "*.png"), str(folder / "**" / "c.png")]
    found = list(read_given(words, preparer, stdin=stream))
    a, b, c = (str(folder / name) for name in ("a.png", "b.png", "below/c.png"))
    assert names(found) == [b, a, b, c, "-", a, b, c]
    assert all(each.prepared is not None and not each.fault for each in found)
    np.testing.assert_array_equal(found[4].prepared.pixels[0], GREY[1])  # type: ignore[union-attr]


def test_arrays_and_idx_files_are_read_whole(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", x_test=GREY, y_test=np.arange(5), notes=np.arange(784.0).reshape(28, 28))
    np.savez(tmp_path / "one.npz", GREY[2] / 255)
    header = struct.pack(">HBB3I", 0, 8, 3, *GREY.shape)
    (tmp_path / "images-idx3-ubyte").write_bytes(header + GREY.tobytes())
    (tmp_path / "images.gz").write_bytes(gzip.compress(header + GREY.tobytes()))
    preparer = Preparer(PLAIN)
    for name, count in (("some.npz", 5), ("images-idx3-ubyte", 5), ("images.gz", 5), ("one.npz", 1)):
        path = str(tmp_path / name)
        found = list(read_given([path], preparer))
        assert names(found) == [f"{path}[{number}]" for number in range(count)]
        expected = GREY if count == 5 else GREY[2:3]
        for each, image in zip(found, expected, strict=True):
            np.testing.assert_array_equal(each.prepared.pixels[0], image)  # type: ignore[union-attr]


def test_bad_files_have_a_line_each_and_the_others_go_on(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "labels").write_bytes(struct.pack(">HBBI", 0, 8, 1, 3) + b"abc")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    np.savez(tmp_path / "labels.npz", y=np.arange(3))
    (tmp_path / "nothing").mkdir()
    words = [
        str(tmp_path / name)
        for name in ("text.png", "empty.png", "labels", "torn.npz", "labels.npz", "nothing", "gone.png")
    ]
    found = list(read_given([*words, str(tmp_path / "*.xyz"), "a\0b", str(folder / "a.png")], Preparer(PLAIN)))
    said = [each.fault for each in found]
    for fault, part in zip(
        said,
        [
            "text.png': it is no PNG, JPEG", "empty.png': it is empty", "labels' holds 3 values and no images",
            "torn.npz' is no .npz", "labels.npz' holds no images", "nothing': the folder holds no files",
            "gone.png': No such file", "*.xyz': nothing matches", "a\ufffdb'", "",
        ],
        strict=True,
    ):  # fmt: skip
        assert part in fault
        assert "\n" not in fault
    assert [each.prepared is None for each in found] == [True] * 9 + [False]


def test_pictures_of_another_size_or_colour_are_brought_to_the_net(tmp_path: Path) -> None:
    flower = load_sample_image("flower.jpg")
    path = tmp_path / "flower.png"
    Image.fromarray(flower).save(path)
    (found,) = read_given([str(path)], Preparer(PLAIN))
    assert found.prepared is not None
    assert found.prepared.pixels.shape == (1, 28, 28)
    assert found.prepared.said == ("640×427 pixels scaled to 28×28 and cut", "colour taken as grey")
    padded = dataclasses.replace(
        PLAIN, image_shape=(3, 32, 32), note="Pictures were scaled to 32×32 and padded with black."
    )
    (found,) = read_given([str(path)], Preparer(padded))
    assert found.prepared is not None
    assert found.prepared.said == ("640×427 pixels scaled to 32×32 and padded with black",)
    assert not found.prepared.pixels[:, :5].any(), "black above: 32 · 427 / 640 rows are 21"
    np.savez(tmp_path / "grey.npz", x=GREY)
    first = next(read_given([str(tmp_path / "grey.npz")], Preparer(padded)))
    assert first.prepared is not None
    assert first.prepared.said == ("grey taken as colour", "28×28 pixels scaled to 32×32 and padded with black")
    assert (first.prepared.pixels[0] == first.prepared.pixels[2]).all()


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (300, 40)).save(path)
    (found,) = read_given([str(path)], Preparer(PLAIN, most_side=299))
    assert "300×40 pixels, more than 299 a side" in found.fault
    (found,) = read_given([str(path)], Preparer(PLAIN, most_pixels=11_999))
    assert "300×40 pixels, more than 11,999" in found.fault


def test_a_file_whose_name_looks_like_a_pattern_is_found_by_one(tmp_path: Path) -> None:
    for name in ("scan[1].png", "scan1.png"):
        Image.fromarray(GREY[0]).save(tmp_path / name)
    found = names(list(read_given([str(tmp_path / "*.png")], Preparer(PLAIN))))
    assert found == [str(tmp_path / "scan1.png"), str(tmp_path / "scan[1].png")]
    assert names(list(read_given([str(tmp_path / "scan[1].png")], Preparer(PLAIN)))) == [str(tmp_path / "scan[1].png")]


def test_emnist_as_it_is_published_is_turned_upright(tmp_path: Path) -> None:
    content = struct.pack(">HBB3I", 0, 8, 3, *GREY.shape) + GREY.tobytes()
    for name, expected in (
        ("emnist-letters-test-images-idx3-ubyte", GREY.swapaxes(1, 2)),
        ("t10k-images-idx3-ubyte", GREY),
    ):
        (tmp_path / name).write_bytes(content)
        first = next(read_given([str(tmp_path / name)], Preparer(PLAIN)))
        assert first.prepared is not None
        np.testing.assert_array_equal(first.prepared.pixels[0], expected[0])


def test_light_strokes_on_nothing_are_laid_on_black(tmp_path: Path) -> None:
    drawn = np.zeros((60, 60, 4), dtype=np.uint8)
    drawn[10:50, 25:35] = 255  # white, where it is not transparent
    for name, pixels in (
        ("light.png", drawn),
        ("dark.png", np.where(drawn == 255, (0, 0, 0, 255), 0).astype(np.uint8)),
    ):
        Image.fromarray(pixels).save(tmp_path / name)
    light, dark = read_given([str(tmp_path / "light.png"), str(tmp_path / "dark.png")], Preparer(MNIST))
    assert light.prepared is not None
    assert dark.prepared is not None
    np.testing.assert_array_equal(light.prepared.pixels, dark.prepared.pixels)
    assert light.prepared.said[0] == "laid on black where it is transparent"
    assert "laid" not in dark.prepared.said[0]


@pytest.mark.parametrize("progressive", [True, False])
def test_a_jpeg_of_a_thousand_passes_is_refused_before_it_is_decoded(tmp_path: Path, *, progressive: bool) -> None:
    path = tmp_path / "passes.jpg"
    Image.fromarray(GREY[0]).save(path, progressive=progressive)
    content = path.read_bytes()
    start = content.rindex(b"\xff\xda")
    path.write_bytes(content[:start] + 1_000 * content[start:-2] + content[-2:])
    (found,) = read_given([str(path)], Preparer(PLAIN))
    assert "it is stored in more than 100 passes; save it again" in found.fault
    # What only looks like passes: behind the end, and within a segment.
    comment = b"\xff\xfe" + (2 + 400).to_bytes(2) + 200 * b"\xff\xda"
    path.write_bytes(content[:2] + comment + content[2:] + 1_000 * b"\xff\xda")
    assert next(read_given([str(path)], Preparer(PLAIN))).prepared is not None
