"""Counts of small nets worked out by hand, among them those that torchinfo gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from bench.models.counts import count_architecture, count_macs, summarise
from bench.spec import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from bench.core.metadata import ArchitectureMetadata


def count(build: Callable[[], nn.Module], *, shape: tuple[int, int, int] = (1, 4, 4)) -> ArchitectureMetadata:
    return count_architecture(Architecture(name="net", build=build, input_shape=shape, classes=2))


class Plain(nn.Module):
    """A convolution, two linear layers that share a weight, and a scale of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.first = nn.Linear(12, 12)
        self.second = nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.scale = nn.Parameter(torch.ones(12, 2))
        self.first.bias.requires_grad = False

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        features = self.conv(images).flatten(1)  # (N, 12)
        logits: Tensor = self.second(self.first(features)).sigmoid() @ self.scale
        return logits


def test_tied_weights_count_once_and_what_lies_outside_layers_has_a_row() -> None:
    metadata = count(Plain)
    # conv 3·9 + 3; linear 144 + 12, then only 12; scale 24. MACs: 4 positions · 27, 144, 144, 24.
    assert [(row.name, row.params, row.macs) for row in metadata.layers] == [
        ("conv", 30, 108),
        ("first", 156, 144),
        ("second", 12, 144),
        ("", 24, 24),
    ]
    assert (metadata.params, metadata.trainable_params, metadata.macs) == (222, 210, 420)
    assert metadata.uncounted_operations == ("sigmoid",)


def test_operations_are_counted_as_often_as_they_run() -> None:
    model = nn.Sequential(nn.Flatten(), *[nn.Linear(4, 4) for _ in range(3)], nn.ReLU())
    # a view; for each layer the transposed weight, and the product; the ReLU
    assert count_macs(model, torch.zeros(1, 1, 2, 2)).operations == 1 + 3 * 2 + 1


class Rows(nn.Module):
    """A linear layer over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.row = nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        logits: Tensor = self.row(images[:, 0]).mean(dim=1)
        return logits


def test_a_layer_that_torchinfo_miscounts_says_so_and_has_our_count() -> None:
    metadata = count(Rows)
    (row,) = metadata.layers
    assert row.macs == metadata.macs == 4 * 4 * 5
    assert row.kind == "Linear (torchinfo counts 25)"
    assert "mean" in metadata.uncounted_operations


def test_a_transposed_convolution_is_counted_by_its_input_positions() -> None:
    metadata = count(lambda: nn.Sequential(nn.ConvTranspose2d(1, 2, 3, stride=2), nn.Flatten(), nn.Linear(162, 2)))
    assert metadata.layers[0].macs == 4 * 4 * 9 * 2  # every input value meets every weight once
    assert metadata.macs == 288 + 324


def test_repeated_layers_have_one_row_with_both_passes() -> None:
    layer = nn.Linear(16, 16)
    metadata = count(lambda: nn.Sequential(nn.Flatten(), layer, nn.ReLU(), layer))
    assert [(row.kind.split()[0], row.params, row.macs) for row in metadata.layers] == [
        ("Flatten", 0, 0),
        ("Linear", 272, 512),
        ("ReLU", 0, 0),
    ]
    assert metadata.macs == 512


def test_a_net_that_is_one_layer_has_its_macs_in_its_row() -> None:
    metadata = count(lambda: nn.Conv2d(1, 2, 4))
    assert [(row.kind, row.output_shape, row.params, row.macs) for row in metadata.layers] == [
        ("Conv2d", (2, 1, 1), 34, 32)
    ]


def test_dropout_does_not_run_and_the_net_is_left_in_eval_mode() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 2)).train()
    result = count_macs(model, torch.zeros(1, 1, 4, 4))
    assert (result.total, result.uncounted_operations) == (32, ())
    assert not model.training


def test_no_random_number_of_the_caller_is_drawn() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    count(Plain)
    assert torch.equal(torch.get_rng_state(), before)


def test_torchinfo_counts_biases_and_our_macs_do_not() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    summary = summarise(model, (1, 4, 4), batch_size=10)
    assert summary.total_mult_adds == 10 * (4 * (27 + 3) + 24 + 2) + 10 * 6
    assert count_macs(model, torch.zeros(1, 1, 4, 4)).total == 4 * 27 + 24
