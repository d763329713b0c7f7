"""One picture's file → pixels, by Pillow: its header first, and what it shows once room for it is there.

- A file is what its content says, whatever it is called, and its first frame where it has several.
- It is turned upright as its EXIF or XMP data says.
- It is grey where its kind is (1 bit, grey, 16-bit grey, either with alpha, a palette of greys) and else in colour.
- 16-bit grey is divided by 257 and rounded; of 16-bit colour Pillow gives the upper 8 bits.
- What is transparent is laid over white, or over another ground that is asked for.
- Colour profiles are not applied; CMYK becomes RGB by Pillow's formula.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError, _imaging

from bench.core.errors import DataError
from bench.data.own.fitting import fit_picture
from bench.system.environment import usable_cores
from bench.system.files import open_regular
from bench.system.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from PIL.ImageFile import ImageFile

    from bench.data.arrays import Images

    Result = TypeVar("Result")
    Source: TypeAlias = Path | bytes
    """A picture's file, or the content of one that lies in memory alone."""

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM")
"""What Pillow may take a file for; it knows others that run programs or read further files."""
MOST_PIXELS = 50_000_000
"""Of one picture: no bomb, and no more than 200 MB while it is decoded."""

_GREY_MODES = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"))
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How a picture is turned upright, by the orientation that EXIF has of it."""
_SIDEWAYS = frozenset((5, 6, 7, 8))
_METADATA_CHUNKS = frozenset((b"eXIf", b"iTXt", b"zTXt"))
"""Of a PNG: those that may hold its orientation."""
_MOST_PASSES = 100
"""Of a JPEG: encoders make one, or about ten."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Of a JPEG's segments; not those within pixels."""
_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_BATCH_PICTURES = 32
_LEAST_PIXELS_FOR_THREADS = 1 << 14
"""Of smaller pictures most of the time is Python's, and threads that wait for each other take up to twice as long."""
_MOST_THREADS = 8
"""Each may need as much memory as the largest picture."""


class Header(NamedTuple):
    """What is known of a picture before it is decoded.

    Attributes:
        size: Height and width, once it is upright.
        is_grey: Whether one channel holds all of it.
        orientation: How it lies in its file, as EXIF counts; 1 where Pillow turns it upright.
        is_open: Whether something of it may be transparent.
    """

    size: tuple[int, int]
    is_grey: bool
    orientation: int
    is_open: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of its pixels, (C, H, W)."""
        return (1 if self.is_grey else 3, *self.size)


def read_header(source: Source, *, most_pixels: int = MOST_PIXELS) -> Header | str:
    """What a picture's file says of itself, or why it cannot be read. The checksums of a PNG are looked at too.

    One of more pixels is not decoded, nor is anything of its size made room for.
    """
    try:
        with _opened(source) as file:
            if not file.seek(0, os.SEEK_END):
                return "it is empty"
            file.seek(0)
            image = Image.open(file, formats=FORMATS)
            width, height = image.size
            if width * height > most_pixels:
                return f"it has {width:,}×{height:,} pixels, more than {most_pixels:,}"
            if image.format == "JPEG" and _has_many_passes(file):
                return f"it is stored in more than {_MOST_PASSES} passes; save it again"
            if image.mode == "F" or (image.mode == "I" and image.format not in {"PNG", "PPM"}):
                return "its pixels are numbers without a white; save it with 8 or 16 bits"
            in_grey, is_open = is_grey(image), image.has_transparency_data
            orientation = _find_orientation(image, file)
    except Exception as fault:  # noqa: BLE001 - damaged files make decoders raise anything
        return _say_why(fault, source)
    size = (width, height) if orientation in _SIDEWAYS else (height, width)
    return Header(size, in_grey, orientation, is_open)


def decode_picture(source: Source, header: Header, room: Images, fit: str, *, ground: str = "white") -> str:
    """Put a picture's pixels where they belong.

    Args:
        source: Its file, or its content.
        header: What `read_header` found.
        room: Where its pixels go, (C, H, W) uint8, C is 1 or 3; a picture of another size is brought to it.
        fit: How it is brought to it.
        ground: Colour of what it is laid over where it is transparent.

    Returns:
        Why it cannot be read; empty where it was.
    """
    try:
        with _opened(source) as file:
            image: Image.Image = Image.open(file, formats=FORMATS)
            image.load()
            if header.orientation in _UPRIGHT:
                image = image.transpose(_UPRIGHT[header.orientation])
            plain = flatten_picture(image, "L" if len(room) == 1 else "RGB", ground)
        if plain.size != (room.shape[2], room.shape[1]):
            plain = fit_picture(plain, (room.shape[1], room.shape[2]), fit)
        pixels = np.asarray(plain)  # (H, W) or (H, W, 3)
        room[:] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    except Exception as fault:  # noqa: BLE001 - damaged files make decoders raise anything
        return _say_why(fault, source)
    return ""


def work_on_pictures(
    work: Callable[[int], Result], count: int, take: Callable[[list[Result]], None], *, pixels: float = 0
) -> None:
    """Work on so many pictures: large ones in threads, for Pillow decodes beside other threads.

    Args:
        work: Is given the place of a picture.
        count: How many there are.
        take: Is given what comes of it, a batch at a time, in order, in this thread. What it raises ends the work.
        pixels: How many of each are decoded, on average.
    """

    def work_on(start: int) -> list[Result]:
        return [work(place) for place in range(start, min(start + _BATCH_PICTURES, count))]

    Image.init()  # not in several threads at once
    pool = ThreadPoolExecutor(min(usable_cores(), _MOST_THREADS) if pixels >= _LEAST_PIXELS_FOR_THREADS else 1)
    try:
        with quietly():
            for results in pool.map(work_on, range(0, count, _BATCH_PICTURES)):
                take(results)
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Nothing is said of large pictures and odd metadata: the first are judged here, the second do not matter."""
    logger, handler = logging.getLogger("PIL"), logging.NullHandler()
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings(), _without_words_of_libtiff():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def _without_words_of_libtiff() -> Iterator[None]:
    """What is wrong with a TIFF is not printed by the library that Pillow reads it with, where that can be told so."""
    try:
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
    except (OSError, AttributeError):
        yield
        return
    set_handler.restype, set_handler.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    before = set_handler(None)
    try:
        yield
    finally:
        set_handler(before)


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        with open_regular(source) as file:
            yield file


def _has_many_passes(file: BinaryIO) -> bool:
    """Whether a JPEG is stored in more scans than anybody means: each is decoded over the whole picture."""
    file.seek(0)
    content = file.read()
    passes, place = 0, 2
    while passes <= _MOST_PASSES and (marker := _MARKER.search(content, place)):
        kind = marker[0][1]
        if kind == _END_OF_IMAGE:
            break
        passes += kind == _SCAN
        # Its segment says how long it is; behind that of a scan lie pixels, in which no marker occurs by chance.
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2])
    return passes > _MOST_PASSES


def is_grey(image: Image.Image) -> bool:
    """Whether one channel holds all of a picture, by its kind."""
    if image.mode in {"P", "PA"} and image.palette is not None:
        return all(len(set(colour[:3])) == 1 for colour in image.palette.colors)
    # Pillow has no mode for 16-bit grey with alpha and opens it as RGBA; of one that is loaded nothing tells it.
    if isinstance(image, PngImagePlugin.PngImageFile) and image.tile and str(image.tile[0].args).startswith("LA"):
        return True
    return image.mode in _GREY_MODES


def _find_orientation(image: ImageFile, file: BinaryIO) -> int:
    """How a picture lies in its file. Reads no pixels but where a PNG has metadata behind them."""
    if isinstance(image, PngImagePlugin.PngImageFile) and image.png is not None:
        file.seek(image.tile[0].offset - 8)  # where its pixels begin, with a length and a name of 4 bytes each
        if not _METADATA_CHUNKS.isdisjoint(image.png.verify()):
            image = Image.open(file, formats=FORMATS)
            image.load()
    if image.format == "TIFF":  # Pillow turns it upright itself
        return 1
    try:
        # Not that of a PNG, which decodes it first.
        return int(Image.Image.getexif(image).get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - damaged metadata raises anything, and the picture is whole
        return 1


def turn_upright(image: Image.Image) -> Image.Image:
    """A picture that was opened, turned as its EXIF data says; what decoding it raises is not caught."""
    image.load()  # by which Pillow turns a TIFF itself, and says so
    try:
        orientation = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - damaged metadata raises anything, and the picture is whole
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def flatten_picture(image: Image.Image, mode: str, ground: str = "white") -> Image.Image:
    """A picture as L or RGB, laid over a ground where it is transparent."""
    if image.mode.startswith("I"):
        return _to_eight_bits(image).convert(mode)
    if image.has_transparency_data:
        above = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, ground), above)
    return image.convert(mode)


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Grey from 0 to 65,535 as L."""
    values = np.asarray(image).astype(np.int32)
    if (transparent := image.info.get("transparency")) is not None:
        values[values == transparent] = 65_535
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _say_why(fault: Exception, source: Source) -> str:
    """Why a picture cannot be read, fit for the middle of a sentence.

    Raises:
        DataError: There is no memory for it, which says nothing of the picture.
    """
    if isinstance(fault, MemoryError):
        name = "a picture" if isinstance(source, bytes) else f"'{printable(str(source))}'"
        raise DataError(f"There is no memory left to decode {name}; free some.") from None
    if isinstance(fault, Image.DecompressionBombError):
        return f"it has more than {MOST_PIXELS:,} pixels"
    if isinstance(fault, UnidentifiedImageError):
        return "it is no PNG, JPEG, BMP, GIF, WebP, TIFF or PPM picture, or a damaged one"
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    return one_line(str(fault))[:200] or type(fault).__name__
