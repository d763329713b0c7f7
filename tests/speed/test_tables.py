"""The scripts that measure speed: what they compute from what they measured, and the net that they bring along."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.models.counts import count_architecture
from bench.models.registry import discover
from tests import ROOT
from tests.speed.kernels import SHAPES, Shape, pass_seconds
from tests.speed.kernels import row as kernels_row
from tests.speed.peak import sgemm_peak
from tests.speed.usual_loop import FUNCTIONAL, HEADINGS, Round, share_of_peak
from tests.speed.usual_loop import row as loop_row


def test_the_functional_net_is_as_its_docstring_counts_it() -> None:
    (net,) = discover(ROOT / "architectures").select([str(FUNCTIONAL)])
    counts = count_architecture(net)
    assert (counts.params, counts.macs) == (1_199_882, 11_992_448)
    assert not any(isinstance(module, nn.Sequential) for module in net.build().modules())


def test_the_share_of_the_peak_is_that_of_one_worker() -> None:
    # 10 MMACs: 60 MFLOP an image of a step; 1,000 of the 2,000 images/s are one worker's: 60 of 100 GFLOP/s.
    assert share_of_peak(2_000.0, macs=10_000_000, peak=100e9) == pytest.approx(0.6)


def test_a_row_of_rates_shows_medians_and_the_range_of_ratios() -> None:
    rates = ((100, 400, 700), (100, 300, 900), (200, 1_000, 1_000))
    rounds = [
        Round(usual=usual, loaders=150, torch=plain, lanes=lanes, lanes_wall=lanes - 50, peak=1e9)
        for usual, plain, lanes in rates
    ]
    cells = loop_row("net", rounds, macs=200_000, peak=1e9).strip("| ").split(" | ")
    assert len(cells) == len(HEADINGS)
    assert cells == [
        "net", "100", "150", "400", "4.00× (3.00–5.00)", "24%", "900", "7.00× (5.00–9.00)", "54%", "850",
        "1.75× (1.00–3.00)",
    ]  # fmt: skip


def test_operations_of_a_convolution() -> None:
    # 14×14 outputs of 64 filters over 32 channels of 3×3, for 128 images, a multiplication and an addition each.
    assert SHAPES[-1].operations == 2 * 128 * 196 * 64 * 288
    assert Shape(1, 4, 28, 3).operations == 2 * 128 * 676 * 4 * 9


def test_a_row_of_kernels_leaves_out_what_nobody_asks_for() -> None:
    found = {"forward": (94.4, 8.0), "backward weights": (71.0, 9.6)}
    assert kernels_row(Shape(1, 4, 28, 3), found) == "| 1→4, 28, 3 | 94 | 8 | – | – | 71 | 10 |"


@pytest.mark.parametrize("kind", ["forward", "backward data", "backward weights"])
def test_only_what_is_timed_asks_for_gradients(kind: str) -> None:
    layer, asked = nn.Conv2d(2, 3, 3), []

    def net(images: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = layer(images)
        asked.append((images.requires_grad, layer.weight.requires_grad, maps.requires_grad))
        return maps

    for _ in range(2):
        assert pass_seconds(kind, layer, net, torch.rand(4, 2, 8, 8)) > 0
    is_data, is_weights = kind == "backward data", kind == "backward weights"
    assert asked == [(is_data, is_weights, is_data or is_weights)] * 2


def test_the_peak_is_no_more_than_a_processor_can_do() -> None:
    threads = torch.get_num_threads()
    try:
        assert 1e8 < sgemm_peak() < 1e12
    finally:
        torch.set_num_threads(threads)
