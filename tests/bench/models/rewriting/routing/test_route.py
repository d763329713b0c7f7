"""Nets in any style: what runs as one chain, and that nothing else than the printed forward decides."""

from __future__ import annotations

import copy
import functools
import io
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook

from bench.core.errors import PendingError
from bench.models.rewriting.routing.pending import Pending
from bench.models.rewriting.routing.route import route
from tests.bench.models.rewriting.routing.noting import Parts, assert_same_step, both, images, parts

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = "conv relu pool"
pytestmark = pytest.mark.usefixtures("chains")  # torch computes them, so that bits can be compared


def functional_style(net: Parts, x: Tensor) -> Any:
    x = functional.max_pool2d(functional.relu(net.first(x)), 2)
    x = torch.relu(functional.max_pool2d(net.second(x), kernel_size=(2, 2), stride=2))
    return net.head(x.view(x.size(0), -1)[:, :4])


def held_in_variables(net: Parts, x: Tensor) -> Any:
    c1 = functional.relu(net.first(x))
    s2 = functional.max_pool2d(c1, 2)
    c3 = functional.relu(net.second(s2))
    s4 = functional.max_pool2d(c3, 2)
    return net.head(torch.flatten(s4, 1)[:, :4])


def layers_in_a_loop(net: Parts, x: Tensor) -> Any:
    for layer in (net.first, net.norm, net.relu, net.pool, net.second, net.other, net.in_place):
        x = layer(x)
    return net.head(x.mean((2, 3)))


def residual(net: Parts, x: Tensor) -> Any:
    x = net.relu(net.norm(net.first(x)))
    y = net.other(net.second(x))
    y += net.side(x)
    return net.head(functional.relu(y).mean((2, 3)))


def concatenated(net: Parts, x: Tensor) -> Any:
    x = net.pool(net.first(x))
    y = torch.cat([net.relu(net.second(x)), net.side(x)], 1)
    return net.head(y.mean((2, 3))[:, 2:6])


def in_place_before_a_skip(net: Parts, x: Tensor) -> Any:
    h = net.norm(net.first(x))
    y = net.second(net.in_place(h))
    return net.head((y + h).mean((2, 3)))


@pytest.mark.parametrize(
    ("forward", "ran"),
    [
        (functional_style, [BLOCK + " conv pool relu"]),
        (held_in_variables, [BLOCK + " " + BLOCK]),
        (layers_in_a_loop, ["conv norm relu pool conv norm relu"]),
        (residual, ["conv norm relu", "conv norm", "conv"]),
        (concatenated, ["conv pool", "conv relu", "conv"]),
        (in_place_before_a_skip, ["conv norm relu", "conv"]),
    ],
)
def test_layers_run_as_one_chain_up_to_what_is_used_otherwise(
    forward: Callable[..., Tensor], ran: list[str], chains: list[str]
) -> None:
    both(forward)[0](images())
    assert chains == ran
    assert_same_step(*both(forward))


def test_a_sequential_runs_as_a_whole(chains: list[str]) -> None:
    torch.manual_seed(0)
    body = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3)]
    printed = nn.Sequential(*body, nn.Flatten(), nn.Linear(36, 10))
    routed = copy.deepcopy(printed)
    route(routed)
    routed(images())
    assert chains == ["conv norm relu pool conv"]
    assert_same_step(routed, copy.deepcopy(routed))


def test_what_a_forward_decides_in_python_is_never_frozen() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        net.calls += 1
        y = net.relu(net.first(x))
        if net.training and net.calls % 2:
            y = net.pool(y)
        if len(y) == 6 and y.shape[2:] == (6, 6):
            y = net.second(y)
        return net.head(y.mean((2, 3)))

    routed, printed = both(forward)
    assert routed.calls == 0, "routing runs nothing that counts"
    assert_same_step(routed, printed)
    assert_same_step(routed, printed, images(5))
    assert routed.calls == printed.calls == 6


def test_shapes_are_known_before_values(chains: list[str]) -> None:
    seen: list[object] = []

    def forward(net: Parts, x: Tensor) -> Any:
        y = net.pool(net.first(x))
        seen.extend([y.shape, y.size(), y.size(-1), y.size(dim=1), y.dim(), y.ndim, len(y), y.dtype, y.device.type])
        seen.append(isinstance(y, torch.Tensor) and torch.is_tensor(y))
        assert chains == []
        return net.second(y)

    both(forward)[0](images())
    shape = torch.Size((6, 4, 6, 6))
    assert seen == [shape, shape, 6, 4, 4, 4, 6, torch.float32, "cpu", True]
    assert chains == ["conv pool conv"]


def test_a_value_that_a_trace_took_for_unused_is_there_all_the_same(chains: list[str]) -> None:
    """The trace is taken in eval mode; in training mode the value is asked for after its chain has run."""

    def forward(net: Parts, x: Tensor) -> Any:
        a = net.relu(net.norm(net.first(x)))
        b = net.second(a).mean((2, 3))
        if net.training:
            b = b + a.mean((2, 3))
        return net.head(b)

    printed = parts(forward).eval()
    routed = copy.deepcopy(printed)
    route(routed)
    routed(images())
    assert chains == ["conv norm relu conv"]
    assert_same_step(routed.train(), printed.train())


def two_from_one(net: Parts, x: Tensor) -> Any:
    h = net.norm(net.first(x))
    a, b = net.relu(h), net.pool(h)
    del h
    return net.head(a.mean((2, 3)) + b.mean((2, 3)))


def in_place_after_another(net: Parts, x: Tensor) -> Any:
    h = net.norm(net.first(x))
    a = net.side(h)
    net.in_place(h)
    return net.head((a + h).mean((2, 3)))


def test_what_two_layers_took_is_computed_once(chains: list[str]) -> None:
    both(two_from_one)[0](images())
    assert chains == ["conv norm"]
    assert_same_step(*both(two_from_one))


def test_a_layer_before_a_change_in_place_is_given_what_was_there_before(chains: list[str]) -> None:
    routed, printed = both(in_place_after_another)
    with torch.no_grad():  # with gradients the printed net is an error
        assert torch.equal(routed(images()), printed(images()))
    assert chains == ["conv norm", "conv"]
    assert torch.equal(routed.norm.running_mean, printed.norm.running_mean)  # type: ignore[arg-type]


def test_statistics_of_a_norm_whose_output_nobody_takes_are_updated() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        y = net.first(x)
        net.norm(y)
        return net.head(net.second(y).mean((2, 3)))

    assert_same_step(*both(forward))


def test_statistics_of_a_norm_that_is_called_twice_keep_their_order() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        one, other = net.norm(net.first(x)), net.norm(net.first(x * 3))
        return net.head((other.relu() * 2 + one).mean((2, 3)))  # asked for the other way round

    assert_same_step(*both(forward))


def test_a_value_that_is_only_looked_at_without_gradients_has_its_gradient() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        y = net.relu(net.first(x))
        with torch.no_grad():
            scale = net.pool(y).abs().mean()
        return net.head((net.second(y) / scale).mean((2, 3)))

    assert_same_step(*both(forward))


def test_layers_called_without_gradients_give_none() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        with torch.no_grad():
            y = net.relu(net.first(x))
        z = net.side(y)
        with torch.no_grad():
            w = net.pool(z)
        return net.head(z.mean((2, 3)) + w.mean((2, 3)))

    assert_same_step(*both(forward))


def test_precision_is_that_in_which_a_layer_was_called() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        y = net.relu(net.first(x))
        with torch.autocast("cpu", torch.bfloat16):
            z = net.second(y)
            assert z.dtype == torch.bfloat16
            w = y.mean((2, 3))
        return net.head(z.float().mean((2, 3)) + w)

    assert_same_step(*both(forward))


def test_a_change_in_place_is_seen_by_what_comes_after_it_only() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        h = net.first(x)
        a = net.relu(h)
        h += 1.0
        h[:, 0] = 2.0
        return net.head((a + net.pool(h).repeat(1, 1, 2, 2)).mean((2, 3)))

    assert_same_step(*both(forward))


@pytest.mark.parametrize("change", ["weight", "input"])
def test_a_change_that_would_come_too_early_is_an_error(change: str) -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        y = net.relu(net.first(x))
        with torch.no_grad():
            (net.first.weight if change == "weight" else x).mul_(0.5)
        return net.head(y.mean((2, 3)))

    with pytest.raises(PendingError, match="changed before its output was used"):
        both(forward)[0](images())


def changes_data(net: Parts, x: Tensor) -> Any:
    y = net.first(x)
    net.first.weight.data.mul_(0.5)
    return y


def reads_statistics(net: Parts, x: Tensor) -> Any:
    y = net.norm(net.first(x))
    return y - net.norm.running_mean[0]  # type: ignore[index]


def _helper(net: Parts) -> None:
    net.first.weight.data.mul_(0.5)


def changes_data_in_a_function(net: Parts, x: Tensor) -> Any:
    y = net.first(x)
    _helper(net)
    return y


def asks_for_the_class(net: Parts, x: Tensor) -> Any:
    y = net.first(x)
    return y * 2 if type(y) is torch.Tensor else y


@pytest.mark.parametrize("forward", [changes_data, reads_statistics, changes_data_in_a_function, asks_for_the_class])
def test_a_net_that_could_notice_unseen_is_left_alone(forward: Callable[..., Tensor]) -> None:
    net = parts(forward)
    route(net)
    assert not any("forward" in vars(module) for module in net.modules())


def test_a_custom_function_fails_loudly_instead_of_losing_gradients() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(_ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(_ctx: Any, grad: Tensor) -> Tensor:
            return grad * 2

    twice: Any = Twice.apply

    def forward(net: Parts, x: Tensor) -> Any:
        return twice(net.first(x)).mean((2, 3))

    with pytest.raises(RuntimeError, match="expected shape compatible with"):
        both(forward)[0](images()).sum().backward()


def test_what_a_net_keeps_are_plain_tensors_of_that_pass() -> None:
    def forward(net: Parts, x: Tensor) -> Any:
        y = net.relu(net.first(x))
        z = net.second(y)
        net.kept = {"y": y, "all": [y, (z, 1)]}
        net.last = z
        return z, {"aux": [net.side(y)]}

    routed, printed = both(forward)
    found, wanted = routed(images()), printed(images())
    assert isinstance(routed.kept, dict)
    assert isinstance(printed.kept, dict)
    tensors = [found[0], found[1]["aux"][0], routed.last, routed.kept["y"], routed.kept["all"][1][0]]
    expected = [wanted[0], wanted[1]["aux"][0], printed.last, printed.kept["y"], printed.kept["all"][1][0]]
    assert [type(value) for value in tensors] == [torch.Tensor] * 5
    assert routed.kept["all"][0] is routed.kept["y"]
    with torch.no_grad():
        routed.first.weight.zero_()  # the next step's weights change nothing any more
    for value, other in zip(tensors, expected, strict=True):
        assert torch.equal(value, other)


def test_copies_and_pickles_run_by_chains_of_their_own(chains: list[str]) -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 10))
    names = list(net.state_dict())
    route(net)
    before = vars(net)["forward"]
    route(net)
    assert vars(net)["forward"] is before
    net(images())
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    copies: list[Any] = [copy.deepcopy(net), torch.load(file, weights_only=False)]
    for other in copies:
        chains.clear()
        assert list(other.state_dict()) == names
        torch.testing.assert_close(other(images()), net(images()))
        with torch.no_grad():
            other[0].weight.zero_()
            other[0].bias.fill_(-1.0)
        torch.testing.assert_close(other(images()), other[3].bias.expand(6, -1))
        assert chains == ["conv relu"] * 3


def hooked(net: Parts) -> None:
    for layer in (net.first, net.second):
        layer.register_forward_hook(lambda _module, _inputs, output: output * 2)


def hooked_backward(net: Parts) -> None:
    net.register_full_backward_hook(lambda _module, _inputs, _outputs: None)


def _negative(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return -nn.Conv2d.forward(layer, x)


def replaced(net: Parts) -> None:
    for layer in (net.first, net.second):
        vars(layer)["forward"] = functools.partial(_negative, layer)


def double(net: Parts) -> None:
    net.double()


@pytest.mark.parametrize("change", [hooked, hooked_backward, replaced, double])
def test_what_happens_to_a_net_afterwards_makes_it_run_as_printed(
    change: Callable[[Parts], None], chains: list[str]
) -> None:
    routed, printed = both(functional_style)
    change(routed)
    change(printed)
    batch = images().to(printed.head.weight.dtype)
    assert torch.equal(routed(batch), printed(batch))
    assert chains == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit is old, and nets use it
def test_whoever_watches_or_transforms_sees_the_printed_net(chains: list[str]) -> None:
    routed, printed = both(functional_style)
    weights = {name: value * 1.1 for name, value in printed.named_parameters()}
    torch.testing.assert_close(
        torch.func.functional_call(routed, weights, (images(),)),
        torch.func.functional_call(printed, weights, (images(),)),
    )
    assert "relu" in str(torch.jit.trace(routed, images(), check_trace=False).graph)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(routed(images()), printed(images()))
    kinds: list[type] = []
    handle = register_module_forward_hook(lambda _module, _inputs, output: kinds.append(type(output)))
    try:
        routed(images())
    finally:
        handle.remove()
    assert Pending not in kinds
    stack = torch.stack([images(), images() * 2])
    torch.testing.assert_close(torch.func.vmap(routed.first)(stack), torch.func.vmap(printed.first)(stack))
    assert torch.equal(routed.first(images()), printed.first(images())), "a layer by itself"
    assert chains == []


def test_torch_says_what_is_wrong_with_an_input() -> None:
    routed, printed = both(functional_style)
    for batch in (torch.randn(2, 3, 12, 12), torch.randn(2, 1, 1, 1), torch.randn(2, 1, 2, 2), images().double()):
        messages = []
        for net in (routed, printed):
            with pytest.raises(RuntimeError) as caught:
                net(batch)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
    assert_same_step(routed, printed)


def test_empty_batches_and_memory_in_another_order_run_as_printed(chains: list[str]) -> None:
    routed, printed = both(residual)
    routed.eval()
    printed.eval()
    assert routed(images(0)).shape == (0, 10)
    turned = images().transpose(2, 3)
    assert torch.equal(routed(turned), printed(turned))
    assert chains[:1] != ["conv norm relu"]
