"""Rewriting changes the speed of a net, never what it computes."""

from __future__ import annotations

import copy
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.core.metadata import BLOCKED, CHANNELS_LAST, PLAIN
from bench.models.rewriting.rewrite import layouts, rewrite


def test_relu_behind_the_pool_is_exact_forward_and_backward() -> None:
    images = torch.randn(16, 4, 12, 12, generator=torch.Generator().manual_seed(0))
    images[:, :, :4] = -1.0  # windows without a positive value
    images[:, :, 4:8, ::2] = 2.0  # windows with equal maxima
    results = []
    for stages in (nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), nn.Sequential(nn.MaxPool2d(2), nn.ReLU())):
        leaf = images.clone().requires_grad_()
        found = stages(leaf)
        found.backward(torch.ones_like(found))
        results.append((found.detach(), leaf.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])  # type: ignore[arg-type]


def test_only_neighbours_in_a_sequential_are_swapped_and_names_stay() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(200, 10),
        nn.ReLU(),
    )
    plain = copy.deepcopy(net).eval()
    rewrite(net, layouts(net, "cpu")[0])
    net.eval()
    heard: list[str] = []
    for name, module in net.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _module, _inputs, _output, name=name: heard.append(name))
    assert list(net.state_dict()) == list(plain.state_dict())
    images = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(net(images), plain(images))
    assert heard == ["0", "1", "2", "3.0", "3.1", "3.2", "3.3", "4", "5", "6"]  # who listens hears the printed order


def test_the_relu_runs_behind_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Size] = []

    def relu(images: torch.Tensor, *, inplace: bool) -> torch.Tensor:
        seen.append(images.shape)
        return images.clamp(min=0) if not inplace else images.clamp_(min=0)

    monkeypatch.setattr(functional, "relu", relu)
    stages = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2))
    rewrite(stages, CHANNELS_LAST)
    stages(torch.randn(2, 1, 10, 10))
    assert seen == [torch.Size([2, 4, 4, 4])]  # after the pool: 8×8 became 4×4


def test_a_net_that_slices_names_or_iterates_its_stages_does_what_it_did() -> None:
    def build() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())

    plain, fast = build(), build()
    rewrite(fast, BLOCKED)
    assert type(fast) is nn.Sequential, "a net may ask"
    images = torch.randn(3, 1, 10, 10)
    torch.testing.assert_close(fast[:2](images), plain[:2](images))
    torch.testing.assert_close(fast[1](images), plain[1](images))
    one_by_one = images
    for stage in fast:
        one_by_one = stage(one_by_one)
    torch.testing.assert_close(one_by_one, plain(images))


def test_a_pool_that_returns_indices_stays_where_it_is() -> None:
    stages = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True))
    rewrite(stages, CHANNELS_LAST)
    values, indices = stages(torch.randn(1, 1, 4, 4))
    assert values.shape == indices.shape == (1, 1, 2, 2)


class Described(NamedTuple):
    """Stages that take images (N, 3, 16, 16), and the layout that shall be chosen for them."""

    stages: nn.Sequential
    layout: str


def _described() -> dict[str, Described]:
    return {
        "conv, norm, pool": Described(
            nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()), BLOCKED
        ),
        "strided and dilated": Described(
            nn.Sequential(nn.Conv2d(3, 32, 3, stride=2, dilation=2), nn.ReLU(), nn.MaxPool2d((2, 1))), BLOCKED
        ),
        "grouped": Described(
            nn.Sequential(
                nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16, padding=1), nn.MaxPool2d(3, 2, 1)
            ),
            BLOCKED,
        ),
        "dropout between": Described(
            nn.Sequential(
                nn.Conv2d(3, 10, 3), nn.MaxPool2d(2), nn.Dropout(0.0), nn.Conv2d(10, 20, 3), nn.BatchNorm2d(20)
            ),
            BLOCKED,
        ),
        "ceil mode": Described(
            nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.MaxPool2d(3, ceil_mode=True), nn.ReLU()), BLOCKED
        ),
        "inplace": Described(nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)), BLOCKED),
        "same padding": Described(
            nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 2, padding="same"), nn.MaxPool2d(2)), BLOCKED
        ),
        "few channels": Described(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2)), CHANNELS_LAST),
        "no pool, no norm": Described(nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU()), CHANNELS_LAST),
        "reflected": Described(
            nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, padding_mode="reflect"), nn.MaxPool2d(2)), CHANNELS_LAST
        ),
    }


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch says that an even kernel costs it a copy
@pytest.mark.parametrize("name", _described())
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_stay(name: str, training: bool) -> None:  # noqa: FBT001 - a parameter of the test
    torch.manual_seed(0)
    plain, layout = _described()[name]
    fast = copy.deepcopy(plain)
    assert layouts(fast, "cpu")[0] == layout
    rewrite(fast, layout)
    images = torch.randn(6, 3, 16, 16)
    leaves = [images.clone().requires_grad_() for _ in range(2)]
    found = [net.train(training)(leaf) for net, leaf in zip((plain, fast), leaves, strict=True)]
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-4)
    direction = torch.randn(found[0].shape)
    for output in found:
        (output * direction).sum().backward()
    torch.testing.assert_close(leaves[1].grad, leaves[0].grad, atol=1e-4, rtol=1e-3)
    for (_, parameter), (_, wanted) in zip(fast.named_parameters(), plain.named_parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, wanted.grad, atol=2e-4, rtol=1e-3)
    for (_, statistic), (_, expected) in zip(fast.named_buffers(), plain.named_buffers(), strict=True):
        torch.testing.assert_close(statistic, expected)


def test_an_accelerator_keeps_dense_layouts() -> None:
    stages = _described()["conv, norm, pool"].stages
    assert layouts(stages, "cuda") == (CHANNELS_LAST, PLAIN)
