"""Drawings in MNIST's form: by hand, and MNIST's own images drawn in other sizes, places and colours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import DataError
from bench.data.datasets import load_dataset
from bench.data.given.drawings import FORMS, bring_to_form, find_form, is_in_form
from tests.factories import MNIST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

FORM = FORMS["mnist"]
DATA = load_dataset("mnist5k", Path())
TOP, LEFT = 4, 8
"""Of a box of 20×12 whose centre of mass is in the middle of pixel 14: 14.5 − 10 and 14.5 − 6, rounded to even."""


def rectangle(height: int, width: int, *, paper: int = 255, ink: int = 0, down: int = 3, right: int = 5) -> Pixels:
    """A picture of 100×120 with a filled rectangle near its upper left corner, (1, 100, 120)."""
    picture = np.full((1, 100, 120), paper, dtype=np.uint8)
    picture[0, down : down + height, right : right + width] = ink
    return picture


def test_a_rectangle_by_hand() -> None:
    found, said, _ = bring_to_form(rectangle(50, 30), FORM)
    expected = np.zeros((1, 28, 28), dtype=np.uint8)
    expected[0, TOP : TOP + 20, LEFT : LEFT + 12] = 255
    np.testing.assert_array_equal(found, expected)
    assert said == [
        "dark on light, turned to light on dark",
        "scaled from 120×100 pixels into a box of 20×20",
        "centre of mass put in the middle",
    ]


@pytest.mark.parametrize(
    ("paper", "ink", "phrase"),
    [(0, 255, None), (255, 0, "dark on light"), (40, 90, "faint"), (200, 120, "dark on light")],
)
def test_ink_is_what_differs_from_the_background_either_way(paper: int, ink: int, phrase: str | None) -> None:
    found, said, _ = bring_to_form(rectangle(50, 30, paper=paper, ink=ink), FORM)
    np.testing.assert_array_equal(found, bring_to_form(rectangle(50, 30), FORM)[0])
    assert phrase is None or any(phrase in each for each in said)
    assert any("dark on light" in each for each in said) == (ink < paper)


def test_colours_of_one_brightness_are_told_apart() -> None:
    picture = np.empty((3, 100, 120), dtype=np.uint8)
    for plane, paper, ink in zip(picture, (200, 80, 60), (80, 143, 60), strict=True):  # alike as grey, to a level
        plane[:] = rectangle(50, 30, paper=paper, ink=ink)[0]
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0))).convert("L"))
    assert np.ptp(grey) <= 2
    found, said, _ = bring_to_form(picture, FORM)
    np.testing.assert_array_equal(found, bring_to_form(rectangle(50, 30), FORM)[0])
    assert "colour taken as distance from the background" in said


def test_a_speck_does_not_shrink_the_drawing_and_a_dot_of_its_own_stays() -> None:
    clean = rectangle(50, 30)
    speckled = clean.copy()
    speckled[0, 95, 115] = 0
    found, said, _ = bring_to_form(speckled, FORM)
    np.testing.assert_array_equal(found, bring_to_form(clean, FORM)[0])
    assert "1 speck left out" in said
    dotted = clean.copy()
    dotted[0, 80:90, 10:20] = 0  # a fifteenth of it
    assert not any("speck" in each for each in bring_to_form(dotted, FORM)[1])
    assert (bring_to_form(dotted, FORM)[0] != bring_to_form(clean, FORM)[0]).any()


def test_shade_and_noise_of_paper_are_no_drawing() -> None:
    noise = np.random.default_rng(0)
    paper = np.linspace(170, 210, 120)[None, :] + noise.normal(0, 4, (100, 120))
    picture = np.clip(paper, 0, 255).astype(np.uint8)[None]
    picture[0, 20:70, 40:70] = 40
    found, said, _ = bring_to_form(picture, FORM)
    assert (found[0, TOP : TOP + 20, LEFT : LEFT + 12] > 200).all()
    outside = found[0].copy()
    outside[TOP - 1 : TOP + 21, LEFT - 1 : LEFT + 13] = 0
    assert outside.max() == 0
    assert "unevenness of the background taken off" in said


@pytest.mark.parametrize("level", [0, 17, 255])
def test_nothing_drawn_is_refused(level: int) -> None:
    blank = np.full((3, 40, 40), level, dtype=np.uint8)
    with pytest.raises(DataError, match="nothing is drawn on it: it has one colour everywhere"):
        bring_to_form(blank, FORM)
    blank[:, 3, 3] ^= 8  # what no eye sees
    with pytest.raises(DataError, match="differs from its background by 8 of 255 levels, and 24 can be seen"):
        bring_to_form(blank, FORM)


@pytest.mark.parametrize(("paper", "ink", "frame"), [(255, 0, 0), (0, 255, 255), (230, 40, 60)])
@pytest.mark.parametrize("thick", [1, 4, 40])
def test_a_frame_around_the_paper_is_left_out(paper: int, ink: int, frame: int, thick: int) -> None:
    plain = rectangle(50, 30, paper=paper, ink=ink, down=20, right=40)
    framed = np.pad(plain, ((0, 0), (thick, thick + 1), (thick, thick + 2)), constant_values=frame)
    found, said, _ = bring_to_form(framed, FORM)
    np.testing.assert_array_equal(found, bring_to_form(plain, FORM)[0])
    assert said[0] == "the frame around it left out"
    assert not any("frame" in each for each in bring_to_form(plain, FORM)[1])
    boxed = np.pad(framed, ((0, 0), (9, 9), (9, 9)), constant_values=paper)  # the same as a box in a margin
    np.testing.assert_array_equal(bring_to_form(boxed, FORM)[0], found)


def test_bold_drawings_and_bars_are_no_frames() -> None:
    """Whatever margin a drawing has, it comes out as with a wide one."""
    bar = rectangle(92, 22, down=4, right=4)[:, :100, :30]
    two = np.full((1, 60, 50), 255, dtype=np.uint8)  # of a seven-segment display
    for rows, columns in ((slice(0, 9), slice(0, 50)), (slice(0, 34), slice(40, 50)), (slice(26, 34), slice(0, 50)),
                          (slice(26, 60), slice(0, 10)), (slice(51, 60), slice(0, 50))):  # fmt: skip
        two[0, rows, columns] = 0
    eight = two.copy()
    eight[0, :, :10] = eight[0, :, 40:] = 0
    for drawn in (bar, two, eight):
        wide = bring_to_form(np.pad(drawn, ((0, 0), (60, 60), (60, 60)), constant_values=255), FORM)
        for margin in (6, 20) if drawn is eight else (2, 6, 20):  # else more than half of it is ink
            padded = np.pad(drawn, ((0, 0), (margin, margin), (margin, margin)), constant_values=255)
            found, said, is_clear = bring_to_form(padded, FORM)
            assert is_clear
            assert not any("frame" in each for each in said)
            assert np.corrcoef(found.ravel(), wide.pixels.ravel())[0, 1] > 0.99


def test_a_faint_image_of_the_right_size_is_stretched_and_said_to_be_faint() -> None:
    image = DATA.test_images[3]
    for faint in (image // 4, image // 8):
        found, said, _ = bring_to_form(faint, FORM)
        assert np.corrcoef(found.ravel(), image.ravel())[0, 1] > 0.97
        assert found.max() == 255
        assert any("faint" in each for each in said)
    with pytest.raises(DataError, match="by 1 of 255 levels"):
        bring_to_form((image > 127).astype(np.uint8), FORM)


def test_all_images_of_mnist_are_in_the_form_and_stay_as_they_are() -> None:
    images = DATA.test_images
    assert all(is_in_form(image[0], FORM) for image in images)
    for image in images[:50]:
        found, said, _ = bring_to_form(image, FORM)
        np.testing.assert_array_equal(found, image)
        assert said == []
    in_colour = np.repeat(images[0], 3, axis=0)
    np.testing.assert_array_equal(bring_to_form(in_colour, FORM)[0], images[0])


@pytest.mark.parametrize("move", [(3, 0), (2, -3)])
def test_an_image_of_mnist_that_was_moved_comes_back(move: tuple[int, int]) -> None:
    moved = [np.roll(image, move, axis=(1, 2)) for image in DATA.test_images]
    # Of those of which nothing came in again at the other side.
    whole = [at for at, image in enumerate(moved) if not image[0, :4].any() and not image[0, :, -4:].any()][:40]
    assert len(whole) == 40
    for at in whole:
        found, said, _ = bring_to_form(moved[at], FORM)
        assert "centre of mass put in the middle" in said
        assert np.corrcoef(found.ravel(), DATA.test_images[at].ravel())[0, 1] > 0.98


def _draw(image: Pixels, chance: np.random.Generator, *, dark: bool) -> Pixels:
    """An image of MNIST drawn large, anywhere on a sheet, (1, H, W)."""
    side, sheet = int(chance.integers(80, 200)), chance.integers(220, 420, 2)
    large = np.asarray(Image.fromarray(image[0]).resize((side, side), Image.Resampling.BICUBIC))
    top, left = (int(chance.integers(0, size - side)) for size in sheet)
    drawn = np.zeros(tuple(sheet), dtype=np.uint8)
    drawn[top : top + side, left : left + side] = large
    return (255 - drawn if dark else drawn)[None]


@pytest.mark.parametrize("dark", [False, True])
def test_mnist_drawn_large_and_anywhere_is_mnist_again(dark: bool) -> None:  # noqa: FBT001 - a parameter
    chance, images = np.random.default_rng(1), DATA.test_images[::10]
    found = np.stack([bring_to_form(_draw(image, chance, dark=dark), FORM)[0] for image in images])
    pool = DATA.pool_images[::2].reshape(-1, 784)

    def nearest(pictures: Any) -> Any:
        return np.corrcoef(pictures.reshape(-1, 784), pool)[: len(pictures), len(pictures) :].argmax(axis=1)

    labels = DATA.pool_labels[::2]
    assert (labels[nearest(found)] == labels[nearest(images)]).mean() >= 0.93
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(found, images, strict=True)]
    assert np.mean(alike) > 0.9


def test_which_datasets_have_a_form() -> None:
    named = {name: find_form(_named(name)) for name in ("mnist", "mnist-32x32-pad", "qmnist", "digits", "pets")}
    assert named["mnist"] == named["mnist-32x32-pad"] == named["qmnist"] == FORM
    assert named["digits"] == FORMS["digits"]
    assert named["pets"] is None


def _named(name: str) -> Any:
    import dataclasses

    return dataclasses.replace(MNIST, name=name)


def test_a_form_without_a_centre_of_mass_fills_its_field() -> None:
    found, *_ = bring_to_form(rectangle(50, 30), FORMS["digits"])
    assert found.shape == (1, 8, 8)
    assert found[0, :, 2:7].min() == 255, "8 rows, and 30/50 of 8 columns, which are 5: from 4 - 2.5, rounded to even"
    assert found[0, :, 7].max() == found[0, :, :2].max() == 0


def test_a_large_picture_is_shrunk_first_and_comes_out_alike() -> None:
    large = np.kron(rectangle(50, 30), np.ones((1, 8, 8), dtype=np.uint8))
    found, *_ = bring_to_form(large, FORM)
    expected = bring_to_form(rectangle(50, 30), FORM)[0]
    assert np.abs(found.astype(int) - expected.astype(int)).mean() < 4
