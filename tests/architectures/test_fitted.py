"""The registered nets on images they were not published for: counts by hand, refusals; and their bits elsewhere."""

from __future__ import annotations

import hashlib

import pytest
import torch

from bench.core.errors import MisfitError
from bench.models.build import build_model
from bench.models.counts import count_architecture
from bench.models.registry import discover
from tests import ROOT

REGISTRY = discover(ROOT / "architectures")
NETS = {net.name: net for net in REGISTRY.architectures}
PUBLISHED = ((1, 28, 28), 10)

STATES = {  # measured while the files were written for 1×28×28 images and ten classes alone
    ("bn25k", 0): "c01bbcbbec2fdad7f13b68c0",
    ("bn25k", 7): "154258274f4424c45aad1bfb",
    ("bn24k", 0): "a128684668b8d957c20d7f95",
    ("bn24k", 7): "1fcaa85542f688e6ca049140",
    ("bn106k", 0): "783a670610fcc34af52f9486",
    ("bn106k", 7): "0c58220b12dc5e9f557ede9a",
    ("bn207k", 0): "29ffea9ef8acb626dc78a481",
    ("bn207k", 7): "0e90c219f179163f8444d121",
    ("fc3136", 0): "9601e3e49dcfc981bdd78a9d",
    ("fc3136", 7): "9d88e0b3d4485b3608cc6723",
    ("fc3136d2", 0): "f8adb4cbbf4577340f9f6474",
    ("fc3136d2", 7): "2f442095c1349218da4f4d4d",
    ("conv16k", 0): "efca4be7dc70c66de8c141c0",
    ("conv16k", 7): "6c92107b9d7b3cb9129d09d0",
    ("lenet21k", 0): "1db88b5d3071e7ac8c3281d2",
    ("lenet21k", 7): "a8813e01bb67fff37968108f",
}


@pytest.mark.parametrize(("name", "seed"), STATES)
def test_on_the_published_images_they_are_bit_for_bit_what_they_were(name: str, seed: int) -> None:
    for net in (NETS[name], NETS[name].fitted(*PUBLISHED)):
        digest = hashlib.sha256()
        for key, value in build_model(net, seed).state_dict().items():  # in the order of the modules
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}\0".encode() + value.numpy().tobytes())
        assert digest.hexdigest()[:24] == STATES[name, seed]


CIFAR = {
    # Parameters of each layer that has some, on 3×32×32 images in ten classes: a convolution in·out·k² + out, a linear
    # layer in·out + out, BatchNorm two a channel. Sides of conv16k: 32 → 30 → 28 → 14 → 12 → 10 → 5, so that its linear
    # layer takes 32·5·5 = 800: 800·20 + 20 = 16,020. Of lenet21k: 32 → 28 → 14 → 10 → 5 and 20·5·5 = 500. Of the
    # others: 32 → 16 → 8, with a third pool 4: 32·8·8 = 2,048, 32·4·4 = 512, 64·8·8 = 4,096.
    "conv16k": (3 * 4 * 9 + 4, 296, 1_168, 4_640, 16_020, 210),
    "lenet21k": (3 * 10 * 25 + 10, 5_020, 500 * 50 + 50, 510),
    "bn25k": (3 * 16 * 9 + 16, 32, 4_640, 64, 2_048 * 13 + 13, 140),
    "bn24k": (448, 32, 4_640, 64, 512 * 64 + 64, 650),
    "bn106k": (448, 32, 4_640, 64, 2_048 * 64 + 64, 650),
    "bn207k": (448, 32, 4_640, 64, 2_048 * 128 + 128, 1_290),
    "fc3136": (3 * 32 * 9 + 32, 18_496, 4_096 * 128 + 128, 1_290),
    "fc3136d2": (896, 18_496, 524_416, 1_290),
}
CIFAR_TOTALS = {"conv16k": 22_446, "lenet21k": 31_340, "bn25k": 31_961, "bn24k": 38_666, "fc3136": 545_098}


@pytest.mark.parametrize("name", CIFAR)
def test_counts_by_hand_on_colour_images(name: str) -> None:
    net = NETS[name].fitted((3, 32, 32), 10)
    metadata = count_architecture(net)
    assert tuple(row.params for row in metadata.layers if row.params) == CIFAR[name]
    assert metadata.params == sum(CIFAR[name]) == CIFAR_TOTALS.get(name, metadata.params)
    assert metadata.input_shape == (3, 32, 32)
    assert (net.params, net.macs) == (None, None), "what is declared is of other images"


def test_macs_of_conv16k_by_hand_on_colour_images() -> None:
    # positions · in · out · k²: 30²·3·4·9 + 28²·4·8·9 + 12²·8·16·9 + 10²·16·32·9 + 800·20 + 20·10
    assert count_architecture(NETS["conv16k"].fitted((3, 32, 32), 10)).macs == (
        97_200 + 225_792 + 165_888 + 460_800 + 16_000 + 200
    )


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("shape", "classes"), [((1, 28, 28), 26), ((4, 17, 43), 3), ((3, 64, 64), 100)])
def test_every_registered_net_gives_logits_on_images_of_other_shapes(
    name: str, shape: tuple[int, int, int], classes: int
) -> None:
    net = NETS[name].fitted(shape, classes)
    assert (net.input_shape, net.classes) == (shape, classes)
    with torch.no_grad():
        assert net.build().eval()(torch.zeros(2, *shape)).shape == (2, classes)
        for knob, allowed in net.knobs.items():
            for value in allowed.extremes:
                assert net.varied({knob: value}).build().eval()(torch.zeros(2, *shape)).shape == (2, classes)


@pytest.mark.parametrize(
    ("name", "refused", "taken"),
    [
        ("conv16k", (15, 40), (16, 16)),
        ("lenet21k", (8, 8), (16, 17)),
        ("fc3136", (3, 28), (4, 5)),
        ("bn25k", (28, 3), (4, 4)),
        ("bn24k", (7, 8), (8, 8)),
    ],
)
def test_images_of_which_nothing_is_left_are_refused_and_the_smallest_are_not(
    name: str, refused: tuple[int, int], taken: tuple[int, int]
) -> None:
    pool = "third" if name == "bn24k" else "second"
    with pytest.raises(MisfitError, match=f"after the {pool} pool nothing is left"):
        NETS[name].fitted((1, *refused), 10).build()
    with torch.no_grad():
        assert NETS[name].fitted((1, *taken), 10).build().eval()(torch.zeros(2, 1, *taken)).shape == (2, 10)
