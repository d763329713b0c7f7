"""Rewriting changes the speed of a net, never what it computes."""

from __future__ import annotations

import copy

import torch
from torch import nn

from bench.rewrite import rewrite_for_speed


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
    rewritten = rewrite_for_speed(net).eval()
    kinds = [type(module).__name__ for module in rewritten.modules() if not isinstance(module, nn.Sequential)]
    assert kinds[:3] == ["Conv2d", "MaxPool2d", "ReLU"]
    assert kinds[3:7] == ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]
    assert kinds[7:] == ["Flatten", "Linear", "ReLU"]
    assert list(rewritten.state_dict()) == list(plain.state_dict())
    images = torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(rewritten(images), plain(images))


def test_a_pool_that_returns_indices_stays_where_it_is() -> None:
    stages = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True))
    assert isinstance(rewrite_for_speed(stages)[0], nn.ReLU)  # type: ignore[index]
