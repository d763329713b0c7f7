"""Thousands of damaged and hostile pictures through the API: every one is answered or clearly refused, quickly."""

from __future__ import annotations

import io
import struct
import sys
import time
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

CHANCE = np.random.default_rng(0)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *, depth: int = 8, kind: int = 0, data: bytes = b"", palette: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    colours = chunk(b"PLTE", palette) if palette else b""
    return b"\x89PNG\r\n\x1a\n" + head + colours + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def seeds() -> list[bytes]:
    """Sound pictures of every format, animated ones too."""
    pixels = CHANCE.integers(0, 256, (24, 20, 3)).astype(np.uint8)
    found = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        found.append(stream.getvalue())
    frames = [Image.fromarray(np.roll(pixels, step, axis=1)) for step in range(4)]
    for kind in ("GIF", "WEBP", "PNG"):
        stream = io.BytesIO()
        frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
        found.append(stream.getvalue())
    return found


def bombs() -> list[bytes]:
    """Headers and streams that promise far more than they are."""
    gif = b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\xf7\x00\x00" + bytes(768)
    sides = struct.pack("<IiiHHIIiiII", 40, 100_000, 100_000, 1, 24, *[0] * 6)
    bmp = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + sides
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(30_000_000)))
    return [
        png(100_000, 100_000),
        png(2**31 - 1, 2**31 - 1),
        png(4_096, 2_929, data=bytes(4_097 * 2_929)),  # as many pixels as are taken, packed a thousandfold
        png(4_000, 2_900, depth=1, kind=3, palette=bytes(6), data=bytes(501 * 2_900)),
        png(64, 64, kind=3, palette=bytes(3), data=bytes(range(65)) * 64),  # indices beyond the palette
        png(0, 0),
        gif, bmp,
        b"P5 100000 100000 255\n", b"P6 99999999999999999999 1 255\n",
        b"II*\0" + struct.pack("<IH", 8, 2) + struct.pack("<HHII", 256, 4, 1, 100_000) * 2 + bytes(4),
        b"RIFF" + struct.pack("<I", 2**32 - 1) + b"WEBPVP8 " + bytes(40),
        png(8, 8, data=bytes(72))[:-12] + text + chunk(b"IEND", b""),
    ]  # fmt: skip


def damaged(count: int) -> Iterator[bytes]:
    """Random bytes, some behind a sound beginning; sound pictures cut short, and with bytes changed."""
    sound = seeds()
    for number in range(count):
        base = sound[number % len(sound)]
        way = number // len(sound) % 4
        if way == 0:
            yield CHANCE.bytes(int(CHANCE.integers(0, 600)))
        elif way == 1:
            yield base[: int(CHANCE.integers(0, len(base)))]
        elif way == 2:
            yield base[: int(CHANCE.integers(4, 60))] + CHANCE.bytes(300)
        else:
            changed = bytearray(base)
            for place in CHANCE.integers(0, len(base), int(CHANCE.integers(1, 12))):
                changed[place] = CHANCE.integers(0, 256)
            yield bytes(changed)


def hold(client: FlaskClient, content: bytes) -> tuple[int, float]:
    """Send it; the code, and how long it took. A refusal is one printable line."""
    started = time.perf_counter()
    response: Any = client.post("/api/predict?architecture=means", data=content, content_type="image/png")
    body = response.get_json()
    if response.status_code == 422:
        assert body["error"].startswith("The picture cannot be used: ")
        assert body["error"].isprintable()
    else:
        assert response.status_code == 200, body
    return response.status_code, time.perf_counter() - started


def test_bombs_are_refused_before_they_go_off(client: FlaskClient, capfd: pytest.CaptureFixture[str]) -> None:
    import psutil

    process = psutil.Process()
    before = process.memory_info().rss
    found = [hold(client, bomb) for bomb in bombs()]
    assert sum(code == 422 for code, _ in found) >= len(found) - 3, "the two of allowed size, and one with odd indices"
    assert process.memory_info().rss - before < 400e6
    assert capfd.readouterr() == ("", "")


def test_five_hundred_damaged_pictures(client: FlaskClient) -> None:
    codes = [hold(client, content)[0] for content in damaged(500)]
    assert codes.count(422) > 250
    assert codes.count(200) > 20, "some are sound enough"


@pytest.mark.slow
def test_ten_thousand_damaged_pictures(client: FlaskClient) -> None:
    found = [hold(client, content) for content in damaged(10_000)]
    codes = [code for code, _ in found]
    slowest = max(seconds for _, seconds in found)
    sys.stdout.write(f"{codes.count(422):,} refused, {codes.count(200):,} answered, slowest {slowest:.2f} s\n")
    assert codes.count(422) + codes.count(200) == 10_000
