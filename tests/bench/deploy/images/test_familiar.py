"""What is far from the data is said to be so, and one in a hundred images of the data itself, as the rule promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from bench.data.datasets import load_dataset
from bench.data.given.drawings import FORMS, UNCLEAR, bring_to_form
from bench.data.given.prepare import Prepared
from bench.deploy.images.familiar import BLANK, Familiarity

DATA = load_dataset("mnist5k", Path())
FAMILIARITY = Familiarity(DATA.test_images)
HELD = DATA.test_images[1::2]
CHANCE = np.random.default_rng(0)


def far(images: np.ndarray) -> np.ndarray:
    return np.array([found.is_far for found in FAMILIARITY.judge([Prepared(pixels=image) for image in images])])


def _photographs(count: int) -> np.ndarray:
    photograph = Image.fromarray(load_sample_image("china.jpg")).convert("L")
    crops = []
    for _ in range(count):
        left, top, side = (int(CHANCE.integers(*ends)) for ends in ((0, 400), (0, 250), (40, 170)))
        crops.append(np.asarray(photograph.crop((left, top, left + side, top + side)).resize((28, 28))))
    return np.stack(crops)[:, None]


def _shuffled() -> np.ndarray:
    flat = HELD.reshape(len(HELD), -1).copy()
    for row in flat:
        CHANCE.shuffle(row)
    return flat.reshape(HELD.shape)


def test_one_image_of_the_data_in_a_hundred_is_called_far() -> None:
    assert far(HELD).sum() == 5, "of 500 held-out images, by the bound's own construction"
    assert far(DATA.pool_images[:2_000]).mean() < 0.03, "and about as many of others"
    assert not far(DATA.test_images[::2]).any(), "the reference itself correlates with itself"


@pytest.mark.parametrize(
    "images",
    [
        CHANCE.integers(0, 256, (300, 1, 28, 28)).astype(np.uint8),
        255 - HELD,
        _shuffled(),
        _photographs(300),
        np.kron(CHANCE.integers(0, 256, (300, 1, 4, 4)), np.ones((7, 7))).astype(np.uint8),
    ],
    ids=["noise", "inverted", "shuffled", "photographs", "blocks"],
)
def test_what_is_no_digit_is_far(images: np.ndarray) -> None:
    assert far(images).mean() > 0.98


def _drawn(shape: str) -> np.ndarray:
    """A filled shape on a sheet, brought to the form."""
    down, across = np.indices((200, 200)) - 100
    inside = {"dot": down**2 + across**2 < 900, "square": np.maximum(abs(down), abs(across)) < 40,
              "scribble": (abs(down) < 70) & (abs(across) < 70) & ((down + across) % 12 < 9)}[shape]  # fmt: skip
    return bring_to_form(np.where(inside, 20, 240).astype(np.uint8)[None], FORMS["mnist"]).pixels


@pytest.mark.parametrize("shape", ["dot", "square", "scribble"])
def test_blots_are_far_by_their_brightness_and_it_is_said(shape: str) -> None:
    (found,) = FAMILIARITY.judge([Prepared(pixels=_drawn(shape))])
    assert found.is_far
    if found.similarity >= FAMILIARITY.bound:
        assert "of full brightness, and the data have" in found.why


def test_why_an_image_is_far() -> None:
    noise = CHANCE.integers(0, 256, (1, 28, 28)).astype(np.uint8)
    near, unlike, unclear = FAMILIARITY.judge(
        [Prepared(pixels=HELD[3]), Prepared(pixels=noise), Prepared(pixels=HELD[3], is_clear=False)]
    )
    assert (near.why, unclear.why) == ("", UNCLEAR)
    best = f"its highest correlation with an image of the data is {unlike.similarity:.2f}"
    assert unlike.why == f"{best}, and 99% of the data reach {FAMILIARITY.bound:.2f}"


def test_one_colour_is_as_far_as_can_be() -> None:
    blank = np.stack([np.full((1, 28, 28), level, dtype=np.uint8) for level in (0, 7, 255)])
    assert FAMILIARITY.measure(blank).tolist() == [BLANK] * 3


def test_it_is_a_correlation_as_numpy_knows_it() -> None:
    image = DATA.pool_images[5]
    reference = DATA.test_images[::2].reshape(500, -1)
    expected = max(np.corrcoef(image.ravel(), other)[0, 1] for other in reference)
    assert FAMILIARITY.measure(image[None])[0] == pytest.approx(expected, abs=1e-5)
    dimmer = (image // 2 + 60).astype(np.uint8)
    assert FAMILIARITY.measure(dimmer[None])[0] == pytest.approx(expected, abs=1e-3), "brightness does not count"


def test_large_images_are_averaged_first() -> None:
    rng = np.random.default_rng(2)
    small = rng.integers(0, 256, (120, 3, 20, 24)).astype(np.uint8)
    large = np.kron(small, np.ones((1, 1, 3, 3), dtype=np.uint8))  # blocks of 3×3 alike
    by_small, by_large = Familiarity(small), Familiarity(large)
    assert by_large.bound == pytest.approx(by_small.bound, abs=1e-5)
    np.testing.assert_allclose(by_large.measure(large[:9]), by_small.measure(small[:9]), atol=1e-5)


def test_of_few_images_nothing_is_said() -> None:
    with pytest.raises(ValueError, match="99 test images are too few"):
        Familiarity(DATA.test_images[:99])
