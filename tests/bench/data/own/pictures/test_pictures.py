"""One picture → pixels: every kind against arrays worked out by numpy."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from bench.data.own.pictures import Header, decode_picture, read_header
from tests.bench.data.own.pictures.picture_files import (
    ALPHA,
    COLOUR,
    DEEP,
    FLOWER,
    GREY,
    LOSSLESS,
    RNG,
    chunk,
    exif,
    over_white,
    png,
    read,
    save,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_colour_comes_back_from_every_format(tmp_path: Path, suffix: str) -> None:
    path = save(Image.fromarray(COLOUR), tmp_path / f"a.{suffix}", **LOSSLESS[suffix])
    assert np.array_equal(read(path), COLOUR)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "gif", "pgm"])
def test_grey_comes_back_as_one_channel_or_as_three(tmp_path: Path, suffix: str) -> None:
    path = save(Image.fromarray(GREY), tmp_path / f"a.{suffix}")
    assert np.array_equal(read(path), GREY)
    assert np.array_equal(read(path, channels=3), np.stack([GREY] * 3, axis=-1))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "gif", "pbm"])
def test_one_bit_is_black_and_white(tmp_path: Path, suffix: str) -> None:
    path = save(Image.fromarray(GREY > 99), tmp_path / f"a.{suffix}")
    assert np.array_equal(read(path), np.where(GREY > 99, 255, 0))


@pytest.mark.parametrize(("depth", "top"), [(2, 3), (4, 15)])
def test_few_bits_are_spread_over_all(tmp_path: Path, depth: int, top: int) -> None:
    values = RNG.integers(0, top + 1, (4, 8))
    packed = np.zeros((4, 8 * depth // 8), dtype=np.uint8)
    for column in range(8):
        first_bit = column * depth
        packed[:, first_bit // 8] |= (values[:, column] << (8 - depth - first_bit % 8)).astype(np.uint8)
    content = png(0, 8, packed).replace(
        chunk((b"IHDR", struct.pack(">IIBBBBB", packed.shape[1], 4, 8, 0, 0, 0, 0))),
        chunk((b"IHDR", struct.pack(">IIBBBBB", 8, 4, depth, 0, 0, 0, 0))),
    )
    (tmp_path / "a.png").write_bytes(content)
    assert np.array_equal(read(tmp_path / "a.png"), values * 255 // top)


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.pgm", "big.tiff"])
def test_sixteen_bits_are_divided_by_257(tmp_path: Path, name: str) -> None:
    image = Image.fromarray(DEEP)
    if name == "big.tiff":
        image = Image.frombytes("I;16B", image.size, DEEP.astype(">u2").tobytes())
    path = save(image, tmp_path / name)
    assert np.array_equal(read(path), np.rint(DEEP / 257))
    assert read(path, channels=3).shape == (5, 7, 3)


def test_of_sixteen_bit_colour_the_upper_eight_count(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65_536, (5, 7, 3))
    (tmp_path / "a.png").write_bytes(png(2, 16, deep))
    assert np.array_equal(read(tmp_path / "a.png"), deep >> 8)


def test_sixteen_bit_grey_with_alpha_is_grey(tmp_path: Path) -> None:
    deep = np.stack([DEEP, ALPHA.astype(np.uint16) * 256], axis=-1)
    (tmp_path / "a.png").write_bytes(png(4, 16, deep))
    assert np.array_equal(read(tmp_path / "a.png"), over_white((DEEP >> 8).astype(np.uint8), ALPHA))


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
def test_what_is_transparent_is_laid_over_white(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    path = save(Image.fromarray(np.dstack([COLOUR, ALPHA])), tmp_path / f"a.{suffix}", **options)
    assert np.array_equal(read(path), over_white(COLOUR, ALPHA))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_grey_with_alpha_is_laid_over_white(tmp_path: Path, suffix: str) -> None:
    path = save(Image.fromarray(np.dstack([GREY, ALPHA])), tmp_path / f"a.{suffix}")
    assert np.array_equal(read(path), over_white(GREY, ALPHA))


def test_a_colour_that_stands_for_transparent_is_white(tmp_path: Path) -> None:
    key = tuple(int(value) for value in COLOUR[2, 3])
    path = save(Image.fromarray(COLOUR), tmp_path / "colour.png", transparency=key)
    assert np.array_equal(read(path), np.where(np.equal(COLOUR, key).all(axis=-1, keepdims=True), 255, COLOUR))
    path = save(Image.fromarray(GREY), tmp_path / "grey.png", transparency=int(GREY[1, 1]))
    assert np.array_equal(read(path), np.where(GREY[1, 1] == GREY, 255, GREY))
    (tmp_path / "deep.png").write_bytes(png(0, 16, DEEP, (b"tRNS", struct.pack(">H", DEEP[0, 0]))))
    assert np.array_equal(read(tmp_path / "deep.png"), np.where(DEEP[0, 0] == DEEP, 255, np.rint(DEEP / 257)))


def with_palette(colours: npt.NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(GREY % len(colours)).convert("P")
    image.putdata((GREY % len(colours)).ravel().tolist())
    image.putpalette(colours.tobytes())
    return image


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tiff"])
def test_a_palette_is_looked_up(tmp_path: Path, suffix: str) -> None:
    colours = RNG.integers(0, 256, (16, 3)).astype(np.uint8)
    assert np.array_equal(read(save(with_palette(colours), tmp_path / f"a.{suffix}")), colours[GREY % 16])
    greys = np.repeat(RNG.permutation(256)[:16].astype(np.uint8)[:, None], 3, axis=1)
    assert np.array_equal(read(save(with_palette(greys), tmp_path / f"b.{suffix}")), greys[GREY % 16, 0])


def test_a_palette_may_hold_what_is_transparent(tmp_path: Path) -> None:
    colours, alphas = RNG.integers(0, 256, (16, 3)).astype(np.uint8), RNG.integers(0, 256, 16).astype(np.uint8)
    path = save(with_palette(colours), tmp_path / "a.png", transparency=alphas.tobytes())
    assert np.array_equal(read(path), over_white(colours[GREY % 16], alphas[GREY % 16]))
    path = save(with_palette(colours), tmp_path / "a.gif", transparency=3)
    assert np.array_equal(read(path), np.where((GREY % 16 == 3)[..., None], 255, colours[GREY % 16]))


@pytest.mark.parametrize("suffix", ["gif", "tiff", "webp", "png"])
def test_of_several_frames_the_first_is_taken(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((6, 6, 3), colour, dtype=np.uint8)) for colour in ((255, 0, 0), (0, 0, 255))]
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(frames[0], tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert read(path)[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}])
def test_four_inks_become_three_colours(tmp_path: Path, options: dict[str, str]) -> None:
    inks = RNG.integers(0, 256, (5, 7, 4)).astype(np.uint8)
    path = save(Image.fromarray(inks, "CMYK"), tmp_path / "a.tiff", **options)
    expected = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255
    assert np.abs(read(path) - expected).max() <= 1


def test_four_inks_of_a_jpeg_are_not_inverted(tmp_path: Path) -> None:
    inks = np.tile(np.array([0, 200, 100, 30], dtype=np.uint8), (16, 16, 1))
    path = save(Image.fromarray(inks, "CMYK"), tmp_path / "a.jpg", quality=100)
    assert np.abs(read(path) - np.array([225.0, 48.5, 136.8])).max() <= 3


def test_a_jpeg_is_what_was_written_but_for_a_little(tmp_path: Path) -> None:
    path = save(Image.fromarray(FLOWER), tmp_path / "a.jpg", quality=100, subsampling=0)
    assert np.abs(read(path).astype(int) - FLOWER).max() <= 4
    grey = save(Image.fromarray(FLOWER[..., 1]), tmp_path / "b.jpg", quality=100)
    assert np.abs(read(grey).astype(int) - FLOWER[..., 1]).max() <= 2


TURNS = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}
"""What turns rows upright, by the table of orientations in the EXIF standard (6: its first row is its right side)."""


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("name", ["a.png", "late.png", "a.webp", "a.tiff", "lzw.tiff", "a.jpg"])
def test_it_is_turned_upright(tmp_path: Path, name: str, orientation: int) -> None:
    path = tmp_path / name
    options: dict[str, Any] = {"exif": exif(orientation)} | ({"lossless": True} if name == "a.webp" else {})
    stored = COLOUR
    if name == "late.png":
        content = png(2, 8, COLOUR)
        end = content.index(chunk((b"IEND", b"")))
        block = exif(orientation).removeprefix(b"Exif\0\0")
        path.write_bytes(content[:end] + chunk((b"eXIf", block)) + content[end:])
    elif path.suffix == ".tiff":
        compression = {"compression": "tiff_lzw"} if name == "lzw.tiff" else {}
        save(Image.fromarray(COLOUR), path, tiffinfo={0x0112: orientation}, **compression)
    else:
        save(Image.fromarray(COLOUR), path, **options)
    if name == "a.jpg":
        stored = read(save(Image.fromarray(COLOUR), tmp_path / "plain.jpg"))
    assert np.array_equal(read(path), TURNS[orientation](stored))


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(50)])
def test_damaged_metadata_does_not_matter(tmp_path: Path, block: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jpg"
    plain = read(save(Image.fromarray(COLOUR), path))
    content = path.read_bytes()
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:])
    assert np.array_equal(read(path), plain)
    assert capfd.readouterr() == ("", "")


def test_its_content_counts_and_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    save(Image.fromarray(COLOUR), path, format="PNG")
    assert np.array_equal(read(path), COLOUR)


def test_headers_are_read_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [save(Image.fromarray(COLOUR), tmp_path / f"a.{suffix}") for suffix in [*LOSSLESS, "jpg", "gif"]]

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    assert [read_header(path) for path in files if path.suffix != ".webp"] == [
        Header(size=(5, 7), is_grey=False, orientation=1)
    ] * 6


def test_another_size_is_brought_to_that_of_the_room(tmp_path: Path) -> None:
    path = save(Image.fromarray(np.full((8, 12), 200, dtype=np.uint8)), tmp_path / "a.png")
    header = read_header(path)
    assert header == Header(size=(8, 12), is_grey=True, orientation=1)
    room = np.zeros((3, 6, 6), dtype=np.uint8)
    assert decode_picture(path, header, room, "pad") == ""
    expected = np.zeros((6, 6))
    expected[1:5] = 200
    assert np.array_equal(room, np.stack([expected] * 3))
