"""Random small nets with a random fault: the fault is found, and nothing is found without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from bench.data.datasets import find_dataset, take_sample
from bench.models.doctor.examine import examine
from bench.spec import Architecture
from tests.bench.runs import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLE = take_sample(find_dataset("mnist5k", NOWHERE))
FAULTS = {
    "": set[str](),
    "softmax": {"probabilities"},
    "log_softmax": {"probabilities"},
    "sigmoid": {"probabilities"},
    "mean": {"leak"},
    "dropout": {"eval-random"},
    "noise": {"eval-random"},
    "unused": {"unused-parameters"},
    "detach": {"unused-parameters"},
    "list": {"unregistered-layers"},
    "forward": {"new-layers"},
    "input": {"input"},
    "counter": {"call-order"},
    "double": {"precision"},
    "nine": {"logits"},
    "wide": {"shapes"},
    "plain": {"state-dict"},
}


class Random(nn.Module):
    """A few stages drawn at random, a hidden layer, and a fault."""

    def __init__(self, stages: Sequence[str], width: int, hidden: int, fault: str) -> None:
        super().__init__()
        self.fault, self.calls, features = fault, 0, 1
        layers: list[nn.Module] = []
        for stage in stages:
            if stage == "conv":
                layers.append(nn.Conv2d(features, width, 3, padding=1))
                features = width
            elif stage == "norm":
                layers.append(nn.BatchNorm2d(features))
            elif stage == "group":
                layers.append(nn.GroupNorm(1, features))
            else:
                layers.append({"relu": nn.ReLU(), "tanh": nn.Tanh(), "drop": nn.Dropout(0.2)}[stage])
        self.body = nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten())
        self.fc1 = nn.Linear(features * 49 + (7 if fault == "wide" else 0), hidden)
        self.side = nn.Linear(hidden, hidden)
        self.fc2 = nn.Linear(hidden, 9 if fault == "nine" else 10)
        if fault == "unused":
            self.spare = nn.Linear(hidden, hidden)
        self.listed = [nn.Linear(hidden, hidden)]
        self.turn = torch.randn(hidden) if fault == "plain" else torch.ones(hidden)
        if fault == "double":
            self.double()

    def forward(self, images: Tensor) -> Any:
        """Logits, but for the fault."""
        fault, self.calls = self.fault, self.calls + 1
        if fault == "input":
            images.add_(1)
        values = torch.tanh(self.fc1(self.body(images.double() if fault == "double" else images)))
        side = self.side(values)
        sides = {
            "detach": side.detach(),
            "mean": side - values.mean(0),
            "plain": side * self.turn,
            "counter": side * self.calls,
            "noise": side + torch.randn_like(values),
            "dropout": functional.dropout(side, 0.5),
        }
        if fault == "list":
            side = side + self.listed[0](values)
        if fault == "forward":
            side = side + nn.Linear(len(values[0]), 1)(values)
        logits = self.fc2(values + sides.get(fault, side))
        ends = {"softmax": logits.softmax(1), "log_softmax": logits.log_softmax(1), "sigmoid": logits.sigmoid()}
        return ends.get(fault, logits)


STAGES = st.lists(st.sampled_from(["conv", "norm", "group", "relu", "tanh", "drop"]), max_size=5)


@pytest.mark.parametrize("fault", FAULTS)
@settings(max_examples=3, deadline=None, derandomize=True, database=None)
@given(stages=STAGES, width=st.integers(1, 6), hidden=st.integers(8, 24))
def test_a_fault_in_a_random_net_is_found_and_nothing_else(
    fault: str, stages: list[str], width: int, hidden: int
) -> None:
    net = Architecture(name="random", build=lambda: Random(stages, width, hidden, fault))
    found = examine(net, SAMPLE)
    assert {error.check for error in found.errors} == FAULTS[fault]
