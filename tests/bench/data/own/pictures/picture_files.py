"""Picture files made for tests, and what the reader makes of one."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from bench.data.own.pictures import Header, decode_picture, read_header, work_on_pictures

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)
ALPHA = RNG.integers(0, 256, (5, 7)).astype(np.uint8)
DEEP = RNG.integers(0, 65_536, (5, 7)).astype(np.uint16)
FLOWER: Pixels = load_sample_image("flower.jpg")[200:240, 300:350]  # (40, 50, 3)
LOSSLESS = {"png": {}, "bmp": {}, "tiff": {}, "webp": {"lossless": True}, "ppm": {}}


def over_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    a = alpha[..., None] / 255 if pixels.ndim == 3 else alpha / 255
    return np.floor(pixels * a + 255 * (1 - a) + 0.5).astype(np.uint8)


def read(path: Path, *, channels: int | None = None) -> Pixels:
    """(H, W) or (H, W, 3), as the reader makes it."""
    found: list[Pixels] = []

    def work(_: int) -> None:
        header = read_header(path)
        assert isinstance(header, Header), header
        room = np.full((channels or (1 if header.is_grey else 3), *header.size), 77, dtype=np.uint8)
        why = decode_picture(path, header, room, "crop")
        assert not why, why
        found.append(room[0] if len(room) == 1 else room.transpose(1, 2, 0))

    work_on_pictures(work, 1, lambda _: None)
    return found[0]


def why_not(path: Path) -> str:
    """Why it cannot be read; empty where it can."""
    found: list[str] = []

    def work(_: int) -> None:
        header = read_header(path)
        if isinstance(header, str):
            found.append(header)
        else:
            channels = 1 if header.is_grey else 3
            found.append(decode_picture(path, header, np.zeros((channels, *header.size), np.uint8), "crop"))

    work_on_pictures(work, 1, lambda _: None)
    return found[0]


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def png(kind: int, depth: int, rows: npt.NDArray[Any], *between: tuple[bytes, bytes]) -> bytes:
    """A PNG by its specification: rows (H, W) or (H, W, C), and chunks before its pixels."""
    raw = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", head), *between, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, chunks))


def chunk(named: tuple[bytes, bytes]) -> bytes:
    name, content = named
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()
