"""The eight nets of the five sources against counts, forward passes and recipes worked out by hand."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 (the field's own name)

from bench.core.recipe import Budget, Recipe
from bench.models.counts import count_architecture, summarise
from bench.models.registry import discover
from tests import ROOT

if TYPE_CHECKING:
    from torch import Tensor

NETS = {a.name: a for a in discover(ROOT / "architectures").architectures}

LAYERS = {  # (parameters, MACs) of each layer that has parameters: in·out·k² + out, positions·in·out·k²
    "conv16k": [(40, 24_336), (296, 165_888), (1_168, 115_200), (4_640, 294_912), (10_260, 10_240), (210, 200)],
    "lenet21k": [(260, 144_000), (5_020, 320_000), (16_050, 16_000), (510, 500)],
    "bn25k": [(160, 112_896), (32, 0), (4_640, 903_168), (64, 0), (20_397, 20_384), (140, 130)],
    "bn24k": [(160, 112_896), (32, 0), (4_640, 903_168), (64, 0), (18_496, 18_432), (650, 640)],
    "bn106k": [(160, 112_896), (32, 0), (4_640, 903_168), (64, 0), (100_416, 100_352), (650, 640)],
    "bn207k": [(160, 112_896), (32, 0), (4_640, 903_168), (64, 0), (200_832, 200_704), (1_290, 1_280)],
    "fc3136": [(320, 225_792), (18_496, 3_612_672), (401_536, 401_408), (1_290, 1_280)],
    "fc3136d2": [(320, 225_792), (18_496, 3_612_672), (401_536, 401_408), (1_290, 1_280)],
}
TOTALS = {  # as the sources or their arithmetic give them
    "conv16k": (16_614, 610_776),
    "lenet21k": (21_840, 480_500),
    "bn25k": (25_433, 1_036_578),
    "bn24k": (24_042, 1_035_136),
    "bn106k": (105_962, 1_117_056),
    "bn207k": (207_018, 1_218_048),
    "fc3136": (421_642, 4_241_152),
    "fc3136d2": (421_642, 4_241_152),
}


def test_the_eight_nets_are_there_and_only_four_are_no_variants() -> None:
    variants = {"bn24k": "bn25k", "bn106k": "bn25k", "bn207k": "bn25k", "fc3136d2": "fc3136"}
    assert {name: NETS[name].variant_of for name in LAYERS} == {name: variants.get(name) for name in LAYERS}


@pytest.mark.parametrize("name", LAYERS)
def test_counts_by_layer(name: str) -> None:
    metadata = count_architecture(NETS[name])
    assert [(row.params, row.macs) for row in metadata.layers if row.params] == LAYERS[name]
    assert (metadata.params, metadata.macs) == TOTALS[name]
    uncounted = {"relu", "max_pool2d_with_indices"}
    assert set(metadata.uncounted_operations) - {"_native_batch_norm_legit_no_training"} == uncounted


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        (
            "conv16k",
            [(4, 26, 26), (8, 24, 24), (8, 12, 12), (16, 10, 10), (32, 8, 8), (32, 4, 4), (512,), (20,), (10,)],
        ),
        ("lenet21k", [(10, 24, 24), (10, 12, 12), (20, 8, 8), (20, 4, 4), (320,), (50,), (10,)]),
        ("bn25k", [(16, 28, 28), (16, 14, 14), (32, 14, 14), (32, 7, 7), (1568,), (13,), (10,)]),
        ("bn24k", [(16, 28, 28), (16, 14, 14), (32, 14, 14), (32, 7, 7), (32, 3, 3), (288,), (64,), (10,)]),
        ("fc3136d2", [(32, 28, 28), (32, 14, 14), (64, 14, 14), (64, 7, 7), (3136,), (128,), (10,)]),
    ],
)
def test_shapes_by_stage(name: str, stages: list[tuple[int, ...]]) -> None:
    shapes = [row.output_shape for row in count_architecture(NETS[name]).layers]
    assert [shape for i, shape in enumerate(shapes) if i == 0 or shape != shapes[i - 1]] == stages


def test_lenet21k_in_torchinfo_is_what_its_source_printed() -> None:
    summary = summarise(NETS["lenet21k"].build(), (1, 28, 28), batch_size=64)
    assert summary.total_params == 21_840  # B1
    assert round(summary.total_mult_adds / 1e6, 2) == 31.21  # B2
    sizes = (summary.total_input, summary.total_output_bytes, summary.total_param_bytes)
    assert [round(size / 1e6, 2) for size in (*sizes, sum(sizes))] == [0.20, 3.64, 0.09, 3.92]  # B3


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach() for parameter in model.parameters()]


def conv16k(x: Tensor, p: list[Tensor]) -> Tensor:
    x = F.max_pool2d(F.conv2d(F.conv2d(x, p[0], p[1]).relu(), p[2], p[3]).relu(), 2)
    x = F.max_pool2d(F.conv2d(F.conv2d(x, p[4], p[5]).relu(), p[6], p[7]).relu(), 2)
    return (x.reshape(-1, 512) @ p[8].T + p[9]).relu() @ p[10].T + p[11]


def lenet21k(x: Tensor, p: list[Tensor]) -> Tensor:
    x = F.max_pool2d(F.conv2d(F.max_pool2d(F.conv2d(x, p[0], p[1]).relu(), 2), p[2], p[3]).relu(), 2)
    return (x.reshape(-1, 320) @ p[4].T + p[5]) @ p[6].T + p[7]


def bn25k(x: Tensor, p: list[Tensor], *, third_pool: bool = False) -> Tensor:
    unit = (1 + 1e-5) ** -0.5  # a fresh net's running mean is 0 and its variance 1
    x = F.max_pool2d((F.conv2d(x, p[0], p[1], padding=1) * unit).relu(), 2)
    x = F.max_pool2d((F.conv2d(x, p[4], p[5], padding=1) * unit).relu(), 2)
    x = F.max_pool2d(x, 2) if third_pool else x
    return (x.reshape(len(x), -1) @ p[8].T + p[9]) @ p[10].T + p[11]


def bn24k(x: Tensor, p: list[Tensor]) -> Tensor:
    return bn25k(x, p, third_pool=True)


def fc3136(x: Tensor, p: list[Tensor]) -> Tensor:
    x = F.max_pool2d(F.conv2d(x, p[0], p[1], padding=1).relu(), 2)
    x = F.max_pool2d(F.conv2d(x, p[2], p[3], padding=1).relu(), 2)
    return (x.reshape(-1, 3136) @ p[4].T + p[5]).relu() @ p[6].T + p[7]


FORWARD = {
    "conv16k": conv16k,
    "lenet21k": lenet21k,
    "bn25k": bn25k,
    "bn24k": bn24k,
    "bn106k": bn25k,
    "bn207k": bn25k,
    "fc3136": fc3136,
    "fc3136d2": fc3136,
}


@pytest.mark.parametrize("name", FORWARD)
def test_logits_are_those_of_the_formula(name: str) -> None:
    model = NETS[name].build().eval()
    images = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model(images), FORWARD[name](images, weights(model)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_relu_stands_right_before_each_first_pool(name: str) -> None:
    """The engine's rewriting looks for these neighbours inside a Sequential."""
    model = NETS[name].build()
    stages = [list(module) for module in model.modules() if isinstance(module, nn.Sequential)]
    pairs = [pair for stage in stages for pair in itertools.pairwise(stage)]
    assert sum(isinstance(a, nn.ReLU) and isinstance(b, nn.MaxPool2d) for a, b in pairs) == 2


@pytest.mark.parametrize(
    ("name", "rates"),
    [("conv16k", []), ("lenet21k", []), ("bn25k", [0.25]), ("fc3136", [0.5]), ("fc3136d2", [0.25, 0.25])],
)
def test_dropout_rates(name: str, rates: list[float]) -> None:
    assert [module.p for module in NETS[name].build().modules() if isinstance(module, nn.Dropout)] == rates


def test_published_recipes_and_budgets() -> None:
    adam: dict[str, Any] = {"optimizer": "adam", "lr": 1e-3, "schedule": "constant"}
    batchnorm: dict[str, Any] = {"batch_size": 128, "schedule": "plateau", "stop_at_accuracy": 0.95}
    expected: dict[str, tuple[dict[str, Any], int | None]] = {
        "conv16k": ({"batch_size": 100}, 1),
        "lenet21k": ({"batch_size": 64}, None),
        "fc3136": ({"batch_size": 64, "patience": 3, "keep": "best"}, 20),
        "fc3136d2": ({"batch_size": 64}, 5),
    }
    expected |= dict.fromkeys(("bn25k", "bn24k", "bn106k", "bn207k"), (batchnorm, 5))
    for name, (changes, epochs) in expected.items():
        assert NETS[name].recipe == Recipe(**(adam | changes)), name
        assert NETS[name].budget == (None if epochs is None else Budget(epochs=epochs)), name
