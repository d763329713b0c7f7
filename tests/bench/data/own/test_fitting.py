"""Pictures brought to one size: held against arrays cut by hand and against a bicubic filter written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from bench.data.own.fitting import describe_fit, fit_array, fit_picture

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))


def fit(pixels: npt.NDArray[np.uint8], size: tuple[int, int], how: str) -> npt.NDArray[np.uint8]:
    return np.asarray(fit_picture(Image.fromarray(pixels), size, how))


def noise(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def keys(distance: Floats) -> Floats:
    """Keys' cubic kernel with a = -1/2 (1981), as Pillow documents its bicubic filter."""
    x = np.abs(distance)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def weights(inside: tuple[float, float], before: int, after: int) -> Floats:
    """(after, before): what each new pixel takes of the old ones between two places, averaging where it shrinks."""
    scale = (inside[1] - inside[0]) / after
    centres = inside[0] + (np.arange(after) + 0.5) * scale
    raw = keys((np.arange(before) + 0.5 - centres[:, None]) / max(scale, 1.0))
    normalised: Floats = raw / raw.sum(axis=1, keepdims=True)
    return normalised


def resample(pixels: npt.NDArray[np.uint8], box: tuple[float, ...], size: tuple[int, int]) -> npt.NDArray[np.int64]:
    """The part of (H, W) from top, left to bottom, right, resampled."""
    top, left, bottom, right = box
    across = np.clip(pixels @ weights((left, right), pixels.shape[1], size[1]).T, 0, 255)
    down = weights((top, bottom), pixels.shape[0], size[0]) @ np.rint(across)
    return np.rint(np.clip(down, 0, 255)).astype(np.int64)


@pytest.mark.parametrize("how", ["crop", "pad"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1)])
def test_a_picture_of_that_size_keeps_its_bits(how: str, shape: tuple[int, ...]) -> None:
    assert np.array_equal(fit(noise(*shape), (shape[0], shape[1]), how), noise(*shape))


def test_to_crop_is_to_cut_the_centre_out() -> None:
    wide, tall = noise(4, 8), noise(9, 5, 3)
    assert np.array_equal(fit(wide, (4, 4), "crop"), wide[:, 2:6])
    assert np.array_equal(fit(tall, (5, 5), "crop"), tall[2:7])


def test_to_pad_is_to_put_it_in_the_middle_of_black() -> None:
    wide, tall = noise(4, 8), noise(9, 5, 3)
    assert np.array_equal(fit(wide, (8, 8), "pad"), np.pad(wide, ((2, 2), (0, 0))))
    assert np.array_equal(fit(tall, (9, 9), "pad"), np.pad(tall, ((0, 0), (2, 2), (0, 0))))


@pytest.mark.parametrize("size", [(8, 8), (28, 40), (40, 28), (11, 3)])
def test_what_is_scaled_is_what_the_bicubic_filter_gives(size: tuple[int, int]) -> None:
    pixels = load_sample_image("flower.jpg")[100:145, 200:260, 0]  # (45, 60)
    height, width = pixels.shape
    cut_height, cut_width = min(height, width * size[0] / size[1]), min(width, height * size[1] / size[0])
    top, left = (height - cut_height) / 2, (width - cut_width) / 2
    expected = resample(pixels, (top, left, top + cut_height, left + cut_width), size)
    assert np.abs(fit(pixels, size, "crop").astype(np.int64) - expected).max() <= 1

    scale = min(size[0] / height, size[1] / width)
    inner = round(height * scale), round(width * scale)
    whole = np.zeros(size, dtype=np.int64)
    above, before = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    whole[above : above + inner[0], before : before + inner[1]] = resample(pixels, (0, 0, height, width), inner)
    assert np.abs(fit(pixels, size, "pad").astype(np.int64) - whole).max() <= 1


@pytest.mark.parametrize("shape", [(1, 500), (500, 1)])
def test_a_line_stays_to_be_seen(shape: tuple[int, int]) -> None:
    white = np.full(shape, 255, dtype=np.uint8)
    assert fit(white, (9, 9), "crop").min() == 255
    padded = fit(white, (9, 9), "pad")
    line = padded[4] if shape[0] == 1 else padded[:, 4]
    assert line.min() == 255
    assert padded.sum() == 9 * 255


@pytest.mark.parametrize("how", ["crop", "pad"])
def test_arrays_are_brought_to_a_size_as_pictures_are(how: str) -> None:
    digits = (load_digits().images[:20] * 255 / 16).round().astype(np.uint8)  # (20, 8, 8)
    fitted = fit_array(digits[:, None], (10, 14), how)
    assert fitted.shape == (20, 1, 10, 14)
    assert all(np.array_equal(fitted[place, 0], fit(image, (10, 14), how)) for place, image in enumerate(digits))
    colour = noise(4, 9, 6, 3)
    fitted = fit_array(colour.transpose(0, 3, 1, 2), (5, 5), how)
    assert all(np.array_equal(fitted[n].transpose(1, 2, 0), fit(image, (5, 5), how)) for n, image in enumerate(colour))


def test_arrays_of_that_size_are_not_copied() -> None:
    images = noise(3, 2, 4, 5)
    assert fit_array(images, (4, 5), "crop") is images


def test_what_was_done_is_said() -> None:
    assert describe_fit((28, 40), "crop") == "Pictures were scaled to 28×40 and cropped."
    assert describe_fit((32, 32), "pad") == "Pictures were scaled to 32×32 and padded with black."
