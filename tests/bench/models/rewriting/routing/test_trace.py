"""What a trace tells about a net, and which nets are not traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models.rewriting.kernels.stages import MaxPool, Relu
from bench.models.rewriting.routing.own_code import is_pure
from bench.models.rewriting.routing.trace import has_chains, lone_values
from tests.bench.models.rewriting.routing.noting import Parts, parts

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = MaxPool((2, 2), (2, 2), (0, 0))


def held(net: Parts, x: Tensor) -> Any:
    c1 = functional.relu(net.first(x))
    s2 = functional.max_pool2d(c1, 2)
    return net.head(torch.flatten(net.norm(net.second(s2)), 1)[:, :4])


def skips(net: Parts, x: Tensor) -> Any:
    y = net.relu(net.first(x))
    return net.second(net.pool(y)) + functional.avg_pool2d(y, 2)


def in_place(net: Parts, x: Tensor) -> Any:
    y = net.first(x)
    z = net.second(functional.relu(y, inplace=True))
    return y + z


def twice(net: Parts, x: Tensor) -> Any:
    return net.relu(net.first(x)) + net.first(x)


@pytest.mark.parametrize(
    ("forward", "lone"),
    [
        (
            held,
            [
                ("first",),
                ("first", Relu()),
                ("first", Relu(), POOL),
                ("first", Relu(), POOL, "second"),
                ("first", Relu(), POOL, "second", "norm"),
            ],
        ),
        (skips, [("first",), ("first", Relu(), POOL), ("first", Relu(), POOL, "second")]),
        (in_place, [("first", Relu(), "second")]),  # what the ReLU was given is what it gives, and is used again
        (twice, [("first",), ("first", Relu())]),
    ],
)
def test_values_that_only_the_next_layer_asks_for(forward: Callable[..., Tensor], lone: list[object]) -> None:
    net = parts(forward)
    assert lone_values(net) == set(lone)
    assert has_chains(net)


def decides_by_values(net: Parts, x: Tensor) -> Any:
    y = net.first(x)
    return y if y.sum() > 0 else -y


def reads_the_batch_size(net: Parts, x: Tensor) -> Any:
    return net.first(x).view(len(x), -1)


@pytest.mark.parametrize("forward", [decides_by_values, reads_the_batch_size])
def test_a_forward_that_cannot_be_followed_gives_no_hint_and_is_run_all_the_same(
    forward: Callable[..., Tensor],
) -> None:
    net = parts(forward)
    assert lone_values(net) == set()
    assert has_chains(net)


def uses_none(net: Parts, x: Tensor) -> Any:
    return net.head(functional.avg_pool2d(x, 3).mean(1).flatten(1)[:, :4])


def test_layers_that_are_not_called_are_no_chains() -> None:
    assert not has_chains(parts(uses_none))
    assert not has_chains(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    grouped = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten())
    assert not has_chains(grouped)


SEEN: list[int] = []


def counts(net: Parts, x: Tensor) -> Any:
    net.calls += 1
    return net.first(x)


def appends(net: Parts, x: Tensor) -> Any:
    SEEN.append(1)
    return net.first(x)


def prints(net: Parts, x: Tensor) -> Any:
    print(x.shape)  # noqa: T201 - what some nets do
    return net.first(x)


def draws(net: Parts, x: Tensor) -> Any:
    return net.first(x) * float(np.random.rand())  # noqa: NPY002 - what some nets do


@pytest.mark.parametrize("forward", [counts, appends, prints, draws])
def test_a_forward_that_does_something_besides_is_not_run_once_more(
    forward: Callable[..., Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    net = parts(forward)
    before = repr(np.random.get_state())  # noqa: NPY002 - as above
    assert not is_pure(net)
    assert lone_values(net) == set()
    assert (net.calls, SEEN, capsys.readouterr().out) == (0, [], "")
    assert repr(np.random.get_state()) == before  # noqa: NPY002 - as above


def test_a_pool_over_whatever_side_there_is_gives_no_hint() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        x = net.first(x)
        return net.head(functional.max_pool2d(x, x.size()[2:]).flatten(1))

    assert has_chains(parts(forward))
    assert lone_values(parts(forward)) == frozenset()
