"""The same image in every form that people hold it in, and what is none."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench.core.errors import DataError
from bench.data.given.prepare import Preparer
from bench.data.tensors import standardise
from bench.models.trained.layers import WatchedNet
from bench.models.trained.pixels import PixelNet, read_pixels
from tests.factories import MNIST

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (3, 5, 7)).astype(np.uint8)  # three of one channel
COLOUR = RNG.integers(0, 256, (2, 3, 5, 7)).astype(np.uint8)
GREY_DATA = dataclasses.replace(MNIST, name="pets", image_shape=(1, 5, 7))
COLOUR_DATA = dataclasses.replace(MNIST, name="pets", image_shape=(3, 5, 7))
READ_ONLY = GREY.copy()
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "given",
    [
        GREY, GREY[:, None], GREY[..., None], READ_ONLY, GREY.astype(np.int64), GREY.astype(np.uint16), GREY.tolist(),
        torch.from_numpy(GREY), torch.from_numpy(GREY)[:, None], list(GREY), tuple(torch.from_numpy(GREY)),
        torch.from_numpy(GREY).to(torch.uint16), torch.from_numpy(GREY).to(torch.int64), GREY.astype(">i4"),
        [list(each) for each in GREY],
        torch.from_numpy(GREY).to_sparse(),
        [Image.fromarray(each) for each in GREY], np.asfortranarray(GREY),
    ],
)  # fmt: skip
def test_grey_images_in_every_form(given: Any) -> None:
    found = read_pixels(given, GREY_DATA)
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), GREY[:, None])


@pytest.mark.parametrize("given", [GREY[0], GREY[:1], GREY[0][None], Image.fromarray(GREY[0]), GREY[0][..., None]])
def test_one_image_alone(given: Any) -> None:
    np.testing.assert_array_equal(read_pixels(given, GREY_DATA).numpy(), GREY[:1, None])


@pytest.mark.parametrize(
    "given", [COLOUR, COLOUR.transpose(0, 2, 3, 1), [Image.fromarray(each.transpose(1, 2, 0)) for each in COLOUR]]
)
def test_colour_images_channels_first_or_last(given: Any) -> None:
    np.testing.assert_array_equal(read_pixels(given, COLOUR_DATA).numpy(), COLOUR)
    one = read_pixels(given[0], COLOUR_DATA)
    np.testing.assert_array_equal(one.numpy(), COLOUR[:1])


def test_fractions_stay_fractions_and_booleans_are_black_and_white() -> None:
    found = read_pixels(GREY / 255, GREY_DATA)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy()[:, 0] * 255, GREY, atol=1e-4)
    assert read_pixels(GREY > 100, GREY_DATA).unique().tolist() == [0, 255]


def test_images_of_unlike_kinds_are_each_read_as_what_they_are() -> None:
    black_and_white = GREY[0] > 100
    found = read_pixels([black_and_white, GREY[1]], GREY_DATA)
    np.testing.assert_array_equal(found.numpy()[:, 0], [black_and_white * 255, GREY[1]])
    mixed = read_pixels([GREY[0] / 255, GREY[1], Image.fromarray(GREY[2])], GREY_DATA)
    np.testing.assert_allclose(mixed.numpy()[:, 0] * 255, GREY, atol=1e-4)
    swapped = read_pixels((GREY / 255).astype(">f8"), GREY_DATA)
    np.testing.assert_allclose(swapped.numpy()[:, 0] * 255, GREY, atol=1e-4)


def test_a_picture_of_a_drawing_is_brought_to_the_form_of_the_data_and_an_array_is_not() -> None:
    sheet = np.full((100, 120), 255, dtype=np.uint8)
    sheet[3:53, 5:35] = 0  # dark on light, in a corner
    found = read_pixels(Image.fromarray(sheet), MNIST)
    assert found.shape == (1, 1, 28, 28)
    assert (found[0, 0, 4:24, 8:20] == 255).all(), "20×12 of light on dark, in the middle"
    assert found.count_nonzero() == 20 * 12
    turned = Image.fromarray(sheet)
    turned.getexif()[0x0112] = 6
    assert torch.equal(read_pixels(turned, MNIST), read_pixels(turned.transpose(Image.Transpose.ROTATE_270), MNIST))
    small = np.full((28, 28), 255, dtype=np.uint8)
    np.testing.assert_array_equal(read_pixels(small, MNIST).numpy(), small[None, None])
    with pytest.raises(DataError, match="The picture cannot be used: nothing is drawn on it"):
        read_pixels(Image.fromarray(small), MNIST)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_that_was_opened_is_read_as_its_file_is(
    tmp_path: Path, kind: str, mode: str, orientation: int
) -> None:
    sheet = np.full((60, 90), 255, dtype=np.uint8)
    sheet[5:45, 8:20] = 10
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"drawn.{kind.lower()}"
    Image.fromarray(sheet).convert(mode).save(path, kind, **({} if kind in {"BMP", "GIF", "PPM"} else {"exif": exif}))
    expected = Preparer(MNIST).prepare_picture(path).pixels
    # From memory: of a path, Pillow 13 maps a grey TIFF that lies on its side wrongly.
    lazy = Image.open(io.BytesIO(path.read_bytes()))
    np.testing.assert_array_equal(read_pixels(lazy, MNIST)[0].numpy(), expected)
    loaded = Image.open(io.BytesIO(path.read_bytes()))
    loaded.load()
    np.testing.assert_array_equal(read_pixels(loaded, MNIST)[0].numpy(), expected)


def test_a_picture_that_is_torn_or_empty_is_refused_in_a_line() -> None:
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (50, 50)).astype(np.uint8)).save(stream, "PNG")
    for picture in (Image.open(io.BytesIO(stream.getvalue()[:900])), Image.new("L", (0, 5))):
        with pytest.raises(DataError, match="The picture cannot be used: it"):
            read_pixels(picture, MNIST)


def test_pictures_of_another_size_and_kind_are_brought_to_the_net() -> None:
    picture = Image.fromarray(np.full((50, 70, 4), (255, 0, 0, 0), dtype=np.uint8))  # a red that is transparent
    found = read_pixels(picture, GREY_DATA)
    assert found.shape == (1, 1, 5, 7)
    assert (found == 255).all(), "over white"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (GREY[:, :4], r"\(3, 4, 7\)"), (COLOUR, r"\(2, 3, 5, 7\)"), (GREY.astype(int) + 1_000, "Whole numbers from 10"),
        (GREY.astype(int) - 300, "-"), (GREY.astype(float), "Floats from"), (np.full((5, 7), np.nan), "nan"),
        (np.full((5, 7), -0.1), "-0.1"), (GREY.astype(complex), "complex"), ("text", "str"), (None, "NoneType"),
        ([[1, 2], [3]], "list"), ([GREY[0], GREY[0, :4]], r"\(4, 7\)"), ([], r"\(0,\)"), (7, r"\(\)"),
        (Image.new("F", (7, 5)), "mode F does not say"),
        (Image.new("I", (7, 5)), "mode I does not say"), (GREY[:, None].repeat(3, 1), "or a PIL picture of any size"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_in_a_line(given: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as refusal:
        read_pixels(given, GREY_DATA)
    assert "\n" not in str(refusal.value)


def test_the_normalisation_inside_is_that_of_training_bit_for_bit() -> None:
    dataset = dataclasses.replace(MNIST, image_shape=(3, 5, 7), mean=(0.1, 0.5, 0.3), deviation=(0.2, 0.31, 0.27))
    net = PixelNet(nn.Identity(), dataset)
    assert torch.equal(net(torch.from_numpy(COLOUR)), standardise(COLOUR, dataset))
    by_hand = (COLOUR[1, 2, 4, 6] / 255 - 0.3) / 0.27
    assert net(torch.from_numpy(COLOUR))[1, 2, 4, 6].item() == pytest.approx(by_hand, rel=1e-6)
    fractions = torch.from_numpy(COLOUR).float() / 255
    assert torch.equal(net(fractions), net(torch.from_numpy(COLOUR)))


def test_a_watched_net_keeps_what_an_in_place_layer_changes_and_the_first_of_several_runs() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.relu = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 1), nn.ReLU(inplace=True)
            self.unused = nn.Conv2d(1, 1, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps: torch.Tensor = self.relu(self.second(self.relu(self.first(images))))
            return maps.flatten(1)

    torch.manual_seed(0)
    net = Twice()
    watched = WatchedNet(PixelNet(net, GREY_DATA), (1, 5, 7))
    assert watched.kinds == {"first": "Conv2d", "relu": "ReLU", "second": "Conv2d"}
    logits, first, relu, second = watched(torch.from_numpy(GREY[:, None]))
    assert (first < 0).any(), "as it was before the layer behind changed it"
    assert torch.equal(relu, first.relu())
    assert torch.equal(second, net.second(relu))
    assert torch.equal(logits, second.relu().flatten(1))
    watched.release()
    assert not any(module._forward_hooks for module in net.modules())
