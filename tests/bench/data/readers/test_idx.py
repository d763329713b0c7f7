"""IDX files, sound and damaged, assembled by hand."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.readers.idx import INT32, UNSIGNED_BYTE, read_idx

if TYPE_CHECKING:
    from pathlib import Path

HEADER = b"\x00\x00\x08\x03" + b"\x00\x00\x00\x02" + b"\x00\x00\x00\x01" + b"\x00\x00\x00\x03"
IMAGES = HEADER + bytes([0, 1, 2, 253, 254, 255])
"""Two images of one row and three columns."""


@pytest.mark.parametrize("compress", [False, True])
def test_bytes_come_back_in_the_declared_shape(tmp_path: Path, *, compress: bool) -> None:
    path = tmp_path / ("images.gz" if compress else "images")
    path.write_bytes(gzip.compress(IMAGES, mtime=0) if compress else IMAGES)
    images = read_idx(path, code=UNSIGNED_BYTE, dimensions=3)
    assert images.tolist() == [[[0, 1, 2]], [[253, 254, 255]]]
    assert images.dtype == np.uint8
    assert images.flags.writeable  # torch warns of arrays that are not


def test_int32_is_big_endian_and_signed(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(
        b"\x00\x00\x0c\x02" + b"\x00\x00\x00\x02" * 2 + bytes.fromhex("00000007 00000100 ffffffff 7fffffff")
    )
    labels = read_idx(path, code=INT32, dimensions=2)
    assert labels.tolist() == [[7, 256], [-1, 2**31 - 1]]
    assert labels.dtype == np.int32


BROKEN_CRC = bytearray(gzip.compress(IMAGES, mtime=0))
BROKEN_CRC[-8] ^= 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a", IMAGES[:-1], ["truncated", "2×1×3 values, 6 bytes", "5 follow"]),
        ("a", IMAGES + b"\x00", ["too long", "7 follow"]),
        ("a", HEADER[:7], ["truncated", "7 bytes"]),
        ("a", b"", ["truncated", "0 bytes"]),
        ("a", b"\x00\x00\x08\x01" + IMAGES[4:], ["0x00000801", "0x00000803"]),
        ("a", gzip.compress(IMAGES * 9, mtime=0), ["magic number 0x1f8b"]),
        ("a", b"\x00\x00\x08\x03" + b"\xff" * 12, ["truncated", "4294967295×4294967295×4294967295", "0 follow"]),
        ("a.gz", gzip.compress(IMAGES[:-1], mtime=0), ["truncated", "5 follow"]),
        ("a.gz", gzip.compress(IMAGES + b"\x00", mtime=0), ["too long", "more follow"]),
        ("a.gz", gzip.compress(IMAGES, mtime=0)[:-9], ["truncated", "ends too early"]),
        ("a.gz", bytes(BROKEN_CRC), ["corrupted", "CRC"]),
        ("a.gz", IMAGES, ["corrupted", "Not a gzipped file"]),
    ],
)
def test_a_damaged_file_is_one_line_with_path_and_values(
    tmp_path: Path, name: str, content: bytes, said: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path, code=UNSIGNED_BYTE, dimensions=3)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in [str(path), "fetch it again", *said]), message


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_a_directory_or_an_unreadable_file_is_no_traceback(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder" / name
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match="is a directory"):
        read_idx(folder, code=UNSIGNED_BYTE, dimensions=3)
    loop = tmp_path / name
    loop.symlink_to(loop)  # unreadable for everybody, root included
    with pytest.raises(DataError, match=r"Cannot read .*symbolic links"):
        read_idx(loop, code=UNSIGNED_BYTE, dimensions=3)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(IMAGES + bytes(64 << 20)))
    tracemalloc.start()
    with pytest.raises(DataError, match="is too long: its header declares 2×1×3 values, 6 bytes, but more follow"):
        read_idx(path, code=UNSIGNED_BYTE, dimensions=3)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("shape", ["00000400 0000ffff 0000ffff", "00989681 00000001 00000001"])
def test_a_header_that_declares_more_than_any_dataset_has(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\x00\x00\x08\x03" + bytes.fromhex(shape) + bytes(1 << 20)))
    with pytest.raises(DataError, match=r"is too large: .* at most 10,000,000 items in 2,147,483,648 bytes are read"):
        read_idx(path, code=UNSIGNED_BYTE, dimensions=3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(DataError, match="it is not a regular file"):
        read_idx(path, code=UNSIGNED_BYTE, dimensions=3)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="it is not a regular file"):
        read_idx(path, code=UNSIGNED_BYTE, dimensions=3)
