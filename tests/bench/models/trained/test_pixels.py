"""The same image in every form that people hold it in, and what is none."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench.core.errors import DataError
from bench.data.tensors import standardise
from bench.models.trained.layers import WatchedNet
from bench.models.trained.pixels import PixelNet, read_pixels
from tests.factories import MNIST

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (3, 5, 7)).astype(np.uint8)  # three of one channel
COLOUR = RNG.integers(0, 256, (2, 3, 5, 7)).astype(np.uint8)
READ_ONLY = GREY.copy()
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "given",
    [
        GREY, GREY[:, None], GREY[..., None], READ_ONLY, GREY.astype(np.int64), GREY.astype(np.uint16), GREY.tolist(),
        torch.from_numpy(GREY), torch.from_numpy(GREY)[:, None], list(GREY), tuple(torch.from_numpy(GREY)),
        [Image.fromarray(each) for each in GREY], np.asfortranarray(GREY),
    ],
)  # fmt: skip
def test_grey_images_in_every_form(given: Any) -> None:
    found = read_pixels(given, (1, 5, 7))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), GREY[:, None])


@pytest.mark.parametrize("given", [GREY[0], GREY[:1], GREY[0][None], Image.fromarray(GREY[0]), GREY[0][..., None]])
def test_one_image_alone(given: Any) -> None:
    np.testing.assert_array_equal(read_pixels(given, (1, 5, 7)).numpy(), GREY[:1, None])


@pytest.mark.parametrize(
    "given", [COLOUR, COLOUR.transpose(0, 2, 3, 1), [Image.fromarray(each.transpose(1, 2, 0)) for each in COLOUR]]
)
def test_colour_images_channels_first_or_last(given: Any) -> None:
    np.testing.assert_array_equal(read_pixels(given, (3, 5, 7)).numpy(), COLOUR)
    one = read_pixels(given[0], (3, 5, 7))
    np.testing.assert_array_equal(one.numpy(), COLOUR[:1])


def test_fractions_stay_fractions_and_booleans_are_black_and_white() -> None:
    found = read_pixels(GREY / 255, (1, 5, 7))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy()[:, 0] * 255, GREY, atol=1e-4)
    assert read_pixels(GREY > 100, (1, 5, 7)).unique().tolist() == [0, 255]


def test_pictures_of_another_size_and_kind_are_brought_to_the_net() -> None:
    picture = Image.fromarray(np.full((50, 70, 4), (255, 0, 0, 0), dtype=np.uint8))  # a red that is transparent
    found = read_pixels(picture, (1, 5, 7))
    assert found.shape == (1, 1, 5, 7)
    assert (found == 255).all(), "over white"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (GREY[:, :4], r"\(3, 4, 7\)"), (COLOUR, r"\(2, 3, 5, 7\)"), (GREY.astype(int) + 1_000, "Whole numbers from 10"),
        (GREY.astype(int) - 300, "-"), (GREY.astype(float), "Floats from"), (np.full((5, 7), np.nan), "nan"),
        (np.full((5, 7), -0.1), "-0.1"), (GREY.astype(complex), "complex"), ("text", "str"), (None, "NoneType"),
        ([[1, 2], [3]], "list"), ([GREY[0], GREY[0, :4]], "unlike shapes"), ([], r"\(0,\)"), (7, r"\(\)"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_in_a_line(given: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as refusal:
        read_pixels(given, (1, 5, 7))
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
    watched = WatchedNet(PixelNet(net, dataclasses.replace(MNIST, image_shape=(1, 5, 7))), (1, 5, 7))
    assert watched.kinds == {"first": "Conv2d", "relu": "ReLU", "second": "Conv2d"}
    logits, first, relu, second = watched(torch.from_numpy(GREY[:, None]))
    assert (first < 0).any(), "as it was before the layer behind changed it"
    assert torch.equal(relu, first.relu())
    assert torch.equal(second, net.second(relu))
    assert torch.equal(logits, second.relu().flatten(1))
    watched.release()
    assert not any(module._forward_hooks for module in net.modules())
