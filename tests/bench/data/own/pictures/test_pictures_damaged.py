"""Pictures that are damaged or none: each told in words, nothing raised or printed; and many decoded at once."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import DataError
from bench.data.own import pictures
from bench.data.own.pictures import decode_picture, read_header, work_on_pictures
from tests.bench.data.own.pictures.picture_files import (
    COLOUR,
    FLOWER,
    GREY,
    png,
    save,
    why_not,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]


def content_of(suffix: str) -> bytes:
    stream = io.BytesIO()
    options = {"lossless": True} if suffix == "webp" else {"compression": "tiff_lzw"} if suffix == "lzw" else {}
    kind = {"jpg": "JPEG", "lzw": "TIFF"}.get(suffix, suffix.upper())
    Image.fromarray(FLOWER).save(stream, format=kind, **options)
    return stream.getvalue()


KINDS = ("png", "jpg", "bmp", "gif", "webp", "tiff", "lzw", "ppm")


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_is_cut_short_is_told(
    tmp_path: Path, suffix: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    content = content_of(suffix)
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert why_not(path) == ""
    path.write_bytes(content[: int(len(content) * share)])
    why = why_not(path)
    assert why
    assert why.isprintable()
    assert capfd.readouterr() == ("", "")


def test_any_changed_byte_of_the_pixels_of_a_png_is_noticed(tmp_path: Path) -> None:
    content = png(0, 8, GREY)
    begin, end = content.index(b"IDAT"), content.index(b"IEND")
    path = tmp_path / "a.png"
    for place in range(begin, end - 4):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        assert why_not(path), place


@pytest.mark.parametrize("suffix", KINDS)
def test_nothing_that_is_damaged_raises_or_prints(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content, rng = content_of(suffix), np.random.default_rng(1)
    paths = []
    for number in range(60):
        damaged = bytearray(content)
        first = 200 if number % 2 else len(content)  # headers are a small part of a file
        for place in rng.integers(0, min(first, len(content)), 4):
            damaged[place] = rng.integers(0, 256)
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(damaged)

    def work(place: int) -> str:
        header = read_header(paths[place])
        if isinstance(header, str):
            return header
        return decode_picture(paths[place], header, np.zeros((3, 8, 8), np.uint8), "crop")

    found: list[str] = []
    work_on_pictures(work, len(paths), found.extend, pixels=1 << 20)
    assert len(found) == 60
    assert all(why.isprintable() for why in found)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"This is text.\n", "it is no PNG, JPEG, BMP, GIF, WebP, TIFF or PPM picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is no PNG"),
        (b"\x89PNG\r\n\x1a\n", "it is no PNG"),
    ],
)
def test_what_is_no_picture_is_told(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert why_not(tmp_path / "a.png").startswith(why)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert why_not(tmp_path / "pipe.png") == "it is not a regular file"
    assert why_not(tmp_path / "folder.png") == "Is a directory"
    assert why_not(tmp_path / "loop.png") == "Too many levels of symbolic links"
    assert why_not(tmp_path / "none.png") == "No such file or directory"


@pytest.mark.parametrize("side", [7_072, 9_999, 60_000])
def test_bombs_are_not_decoded(tmp_path: Path, side: int) -> None:
    """Of 50,013,184 pixels, of more than Pillow warns of, of more than it opens."""
    content = png(0, 8, GREY).replace(struct.pack(">II", 7, 5), struct.pack(">II", side, side))
    head = content.index(b"IHDR")
    crc = struct.pack(">I", zlib.crc32(content[head : head + 17]))
    (tmp_path / "a.png").write_bytes(content[: head + 17] + crc + content[head + 21 :])
    size = "" if side == 60_000 else f"{side:,}×{side:,} pixels, "
    assert why_not(tmp_path / "a.png") == f"it has {size}more than 50,000,000" + ("" if size else " pixels")


@pytest.mark.parametrize("values", [np.zeros((4, 4), np.float32), np.zeros((4, 4), np.int32)])
def test_numbers_without_a_white_are_refused(tmp_path: Path, values: npt.NDArray[Any]) -> None:
    path = save(Image.fromarray(values), tmp_path / "a.tiff")
    assert why_not(path) == "its pixels are numbers without a white; save it with 8 or 16 bits"


def test_a_lack_of_memory_is_no_fault_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Image.fromarray(COLOUR), tmp_path / "a.png")

    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(DataError, match=r"There is no memory left to decode '.*a\.png'"):
        read_header(path)


def test_work_comes_back_in_order() -> None:
    taken: list[int] = []
    work_on_pictures(lambda place: place**2, 1_000, taken.extend, pixels=1 << 20)
    assert taken == [place**2 for place in range(1_000)]


def test_work_ends_when_what_takes_it_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    is_given_up, begun = threading.Event(), []

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - theirs
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            is_given_up.set()
            super().shutdown(wait=wait)

    def work(place: int) -> None:
        begun.append(place)
        if place > 100:
            is_given_up.wait(30)

    def refuse(results: list[None]) -> None:
        raise KeyError(len(results))

    monkeypatch.setattr(pictures, "ThreadPoolExecutor", Pool)
    with pytest.raises(KeyError):
        work_on_pictures(work, 10_000, refuse, pixels=1 << 20)
    assert len(begun) < 1_000
