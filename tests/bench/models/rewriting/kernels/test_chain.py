"""The kernels give what torch gives: values, gradients and statistics, beside the same layers in float64."""

from __future__ import annotations

import copy
import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from bench.models.rewriting.kernels.chain import Chain
from bench.models.rewriting.kernels.stages import MaxPool, Relu, Stage, knows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from bench.models.rewriting.kernels.stages import Layer

CLOSE = 2e-5
"""Of the largest value: float32 adds up to some thousand products here."""
CLOSE_BY_TILES = 1e-4
"""The same where products are saved: what is transformed is larger than the values that it stands for."""


def randomised(*layers: nn.Module) -> nn.Sequential:
    """Layers whose biases and factors of batch norm are what no fresh net has: of both signs, one of them 0."""
    torch.manual_seed(0)
    for values in itertools.chain.from_iterable(layer.parameters() for layer in layers):
        if values.dim() == 1:
            nn.init.normal_(values)
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d) and layer.affine:
            layer.weight.data[0] = 0.0
    return nn.Sequential(*layers)


def run(forward: Callable[[Tensor], Tensor], net: nn.Sequential, images: Tensor) -> dict[str, Tensor]:
    """What a step forward and backward gives, by name."""
    leaf = images.clone().requires_grad_()
    found = forward(leaf)
    weights = torch.sin(torch.arange(found.numel(), dtype=torch.float64)).view(found.shape)
    found.backward(weights.to(found.dtype))
    assert leaf.grad is not None
    gradients = {f"gradient of {name}": value.grad for name, value in net.named_parameters()}
    return {"result": found.detach(), "gradient of images": leaf.grad, **gradients, **dict(net.named_buffers())}


def assert_as_torch(net: nn.Sequential, images: Tensor, *, close: float = CLOSE) -> None:
    """Compare with float64; what batch norm leaves of the gradient of a bias before it is nothing but rounding."""
    exact = copy.deepcopy(net).double()
    chain = Chain(list(net))
    found, wanted = run(chain, net, images), run(exact, exact, images.double())
    assert chain.was_taken, "torch ran the layers"
    for name, value in wanted.items():
        assert (found[name].double() - value).abs().max().item() <= close * max(1.0, value.abs().max().item()), name


def images_of(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("batch", [1, 5, 8, 16, 33])
def test_a_net_of_convolutions_and_pools(batch: int) -> None:
    layers = (
        *(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
    )
    assert_as_torch(randomised(*layers), images_of(batch, 1, 19, 18))


@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((1, 2))])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_and_what_follows_it(pool: nn.Module | None, *, relu: bool, affine: bool) -> None:
    follow = [layer for layer in (nn.ReLU() if relu else None, pool) if layer is not None]
    layers = [nn.Conv2d(2, 5, 3, padding=1), nn.BatchNorm2d(5, affine=affine), *follow]
    layers += [nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4, momentum=0.3, eps=1e-3), *follow]
    assert_as_torch(randomised(*layers), images_of(19, 2, 12, 13))


def test_a_norm_may_come_first_and_a_pool_or_a_relu_alone() -> None:
    layers = (
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3),
        nn.MaxPool2d(2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.BatchNorm2d(4),
    )
    assert_as_torch(randomised(*layers), images_of(11, 3, 14, 14))


def test_many_channels_take_fewer_products() -> None:
    layers = nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 16, 3), nn.MaxPool2d(2)
    assert_as_torch(randomised(*layers), images_of(20, 32, 9, 11), close=CLOSE_BY_TILES)


@settings(max_examples=40, deadline=None)
@given(
    channels=st.tuples(st.integers(16, 70), st.integers(16, 70)),
    side=st.tuples(st.integers(4, 29), st.integers(4, 29)),
    padding=st.integers(0, 2),
    batch=st.integers(1, 18),
    shift=st.sampled_from([0.0, 3.0]),
)
def test_any_convolution_of_many_channels(
    *, channels: tuple[int, int], side: tuple[int, int], padding: int, batch: int, shift: float
) -> None:
    """Tiles that hang over and goes that are not full, on both ways; a shift as all values have behind a ReLU."""
    torch.manual_seed(0)
    layer = nn.Conv2d(*channels, 3, padding=padding)
    assert_as_torch(randomised(layer), images_of(batch, channels[0], *side) + shift, close=CLOSE_BY_TILES)


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    channels=st.tuples(st.integers(1, 19), st.integers(1, 19)),
    side=st.tuples(st.integers(7, 12), st.integers(7, 12)),
    padding=st.integers(0, 6),
    bias=st.booleans(),
    batch=st.integers(1, 18),
)
def test_any_convolution(
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    channels: tuple[int, int],
    side: tuple[int, int],
    padding: int,
    bias: bool,
    batch: int,
) -> None:
    padded = (min(padding, kernel[0] - 1), min(padding, kernel[1] - 1))
    layer = nn.Conv2d(*channels, kernel, stride, padded, bias=bias)
    assert_as_torch(randomised(layer), images_of(batch, channels[0], *side))


def test_in_eval_mode_the_running_statistics_count() -> None:
    net = randomised(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)
    )
    chain = Chain(list(net))
    chain(images_of(40, 1, 12, 12))
    net.eval()
    chain.was_taken = False
    with torch.no_grad():
        found, wanted = chain(images_of(21, 1, 12, 12)), net.double()(images_of(21, 1, 12, 12).double())
    assert chain.was_taken
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


def test_of_equal_values_in_a_window_the_first_has_the_gradient() -> None:
    images = torch.zeros(3, 1, 4, 4)
    images[:, :, :2, 2:] = 2.0  # a window of four equal ones
    images[:, :, 2:] = -1.0  # two without a positive value
    images[:, :, 2, 2] = 1.0
    same = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(same.weight)
    net = nn.Sequential(same, nn.ReLU(), nn.MaxPool2d(2))
    results = []
    for forward in (Chain(list(net)), net):
        leaf = images.clone().requires_grad_()
        forward(leaf).sum().backward()
        results.append(leaf.grad)
    assert torch.equal(results[0], results[1])  # type: ignore[arg-type]
    assert results[0][0, 0].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]  # type: ignore[index]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, 1, 1)],
        [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Conv2d(1, 2, 3), nn.ReLU()],
    ],
    ids=["pool", "windows", "norm", "relu"],
)
@pytest.mark.parametrize("place", range(4))
def test_a_nan_or_an_infinity_is_never_lost(bad: float, layers: list[nn.Module], place: int) -> None:
    images = images_of(9, 1, 8, 8)
    images[4, 0, 3 + place // 2, 3 + place % 2] = bad
    found, wanted = Chain(layers)(images), nn.Sequential(*copy.deepcopy(layers))(images)
    assert torch.equal(found.isnan(), wanted.isnan())
    assert torch.equal(found == math.inf, wanted == math.inf)


def test_the_same_step_gives_the_same_bits() -> None:
    net = randomised(nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 20, 3))
    steps = [run(Chain(list(copied)), copied, images_of(37, 1, 14, 14)) for copied in (copy.deepcopy(net), net)]
    assert all(torch.equal(steps[0][name], steps[1][name]) for name in steps[0])


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    chain = Chain(list(randomised(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3))))
    images = images_of(40, 1, 12, 12)
    with torch.no_grad():
        whole = chain(images)
        for number in (0, 17, 39):
            assert torch.equal(chain(images[number : number + 1])[0], whole[number])


def test_a_chain_may_be_run_again_before_the_way_back() -> None:
    net = randomised(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    exact, chain = copy.deepcopy(net).double(), Chain(list(net))
    one, two = images_of(9, 1, 8, 8), images_of(9, 1, 8, 8) + 1
    (chain(one).sin().sum() + chain(two).cos().sum()).backward()
    (exact(one.double()).sin().sum() + exact(two.double()).cos().sum()).backward()
    for found, wanted in zip(net.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(found.grad.double(), wanted.grad, rtol=1e-4, atol=1e-4)  # type: ignore[union-attr]


def test_frozen_layers_get_no_gradients() -> None:
    net = randomised(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    net[0].weight.requires_grad = False
    Chain(list(net))(images_of(9, 1, 8, 8)).sum().backward()
    assert net[0].weight.grad is None
    assert net[2].weight.grad is not None


def test_weights_that_change_before_the_way_back_are_noticed() -> None:
    net = randomised(nn.Conv2d(1, 4, 3))
    loss = Chain(list(net))(images_of(9, 1, 8, 8)).sum()
    with torch.no_grad():
        net[0].weight.add_(1)  # type: ignore[operator]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_second_derivative_is_refused() -> None:
    net = randomised(nn.Conv2d(1, 4, 3))
    leaf = images_of(9, 1, 8, 8).requires_grad_()
    with pytest.raises(RuntimeError, match="no second derivative; choose --engine torch"):
        torch.autograd.grad(Chain(list(net))(leaf).sum(), leaf, create_graph=True)


def test_what_torch_makes_by_default_does_not_matter() -> None:
    net = randomised(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = Chain(list(net))(images_of(3, 1, 8, 8).float())
        found.sum().backward()
    finally:
        torch.set_default_dtype(before)
    assert found.dtype == torch.float32


def with_settings(layer: nn.Module, **settings: object) -> nn.Module:
    """A layer that somebody has changed since it was made."""
    for name, value in settings.items():
        setattr(layer, name, value)
    return layer


def test_a_pool_may_be_written_as_a_list() -> None:
    assert knows(nn.MaxPool2d([2, 1]))  # type: ignore[arg-type]


def test_settings_that_change_as_a_net_trains_are_heard() -> None:
    net = randomised(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    exact, chain, images = copy.deepcopy(net).double(), Chain(list(net)), images_of(9, 1, 9, 9)
    for momentum, eps, stride in ((0.1, 1e-5, (1, 1)), (0.7, 0.5, (1, 1)), (0.7, 0.5, (2, 2)), (0.0, 1e-5, (1, 1))):
        for pair in (net, exact):
            with_settings(pair[1], momentum=momentum, eps=eps)
            with_settings(pair[0], stride=stride)
        torch.testing.assert_close(chain(images).double(), exact(images.double()), rtol=1e-4, atol=1e-5)
        for found, wanted in zip(net.buffers(), exact.buffers(), strict=True):
            torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-5, atol=1e-6)
    assert chain.was_taken


@pytest.mark.parametrize("channels", [1, 16])  # by each product, and by fewer
def test_sums_over_many_places_do_not_lose_what_they_add_up(channels: int) -> None:
    net = randomised(nn.Conv2d(channels, 4 * channels, 3, padding=1))
    images = images_of(256, channels, 40, 40) + 3.0  # of one sign: each sum grows to 400,000 values' worth
    chain, exact = Chain(list(net)), copy.deepcopy(net).double()
    (chain(images) + 0.1 * chain(images) ** 2).sum().backward()
    (exact(images.double()) + 0.1 * exact(images.double()) ** 2).sum().backward()
    found, wanted = net[0].weight.grad, exact[0].weight.grad
    assert isinstance(found, torch.Tensor)
    assert isinstance(wanted, torch.Tensor)
    assert (found.double() - wanted).abs().max() / wanted.abs().max() < 1e-6


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(1, 4, 3, dilation=2),
        nn.Conv2d(1, 4, 3, padding_mode="circular", padding=1),
        nn.Conv2d(1, 4, 3, padding="same"),
        nn.Conv2d(1, 4, 3, stride=3),
        nn.Conv2d(1, 4, 9),
        nn.Conv2d(1, 4, 3, padding=3),
        nn.Conv2d(256, 256, 3),
        with_settings(nn.Conv2d(2, 4, 5), weight=nn.Parameter(torch.zeros(2, 2, 3, 3))),
        with_settings(nn.Conv2d(2, 4, 3), stride=1),
        with_settings(nn.Conv2d(2, 4, 3), padding=1),
        with_settings(nn.BatchNorm2d(3), track_running_stats=False),
        with_settings(nn.BatchNorm2d(3), weight=nn.Parameter(torch.ones(2))),
        nn.MaxPool2d((2, 2, 2)),
        nn.Conv2d(1, 4, 3).double(),
        nn.Conv2d(1, 4, 3).half(),
        nn.BatchNorm2d(3, momentum=None),
        nn.MaxPool2d(2, dilation=2),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.MaxPool2d(2, return_indices=True),
        nn.LeakyReLU(),
        nn.AvgPool2d(2),
        nn.Dropout2d(),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3)),
        MaxPool((2, 2), (2, 2), (2, 2)),
    ],
)
def test_what_the_kernels_do_not_know(layer: Layer) -> None:
    assert not knows(layer)


LISTS: Any = [3, 2], [2]  # people write lists too


@pytest.mark.parametrize("pool", [nn.MaxPool2d((2,)), nn.MaxPool2d(*LISTS), nn.MaxPool2d(3, (1, 2), (1,))])
def test_pools_are_told_in_any_way_that_torch_takes(pool: nn.MaxPool2d) -> None:
    assert knows(pool)
    assert_as_torch(randomised(nn.Conv2d(1, 4, 3), pool), images_of(9, 1, 9, 8))


def test_who_listens_to_a_layer_is_heard() -> None:
    net = randomised(nn.Conv2d(1, 4, 3), nn.ReLU())
    chain, heard = Chain(list(net)), list[torch.Size]()
    net[0].register_forward_hook(lambda _module, _inputs, output: heard.append(output.shape))
    chain(images_of(2, 1, 8, 8))
    assert heard == [(2, 4, 6, 6)]
    assert not chain.was_taken


@pytest.mark.parametrize(
    ("images", "layers"),
    [
        (images_of(2, 1, 8, 8).double(), [nn.Conv2d(1, 4, 3).double()]),
        (images_of(1, 8, 8), [nn.Conv2d(1, 4, 3)]),
        (images_of(0, 1, 8, 8), [nn.Conv2d(1, 4, 3)]),
    ],
    ids=["double", "no batch", "no image"],
)
def test_torch_runs_what_does_not_fit(images: Tensor, layers: Sequence[nn.Module]) -> None:
    chain = Chain(layers)
    assert torch.equal(chain(images), nn.Sequential(*layers)(images))
    assert not chain.was_taken


def test_torch_says_what_is_wrong_with_shapes() -> None:
    chain = Chain([nn.Conv2d(1, 4, 3)])
    for shape in ((2, 3, 8, 8), (2, 1, 2, 2)):
        with pytest.raises(RuntimeError):
            chain(images_of(*shape))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        Chain([nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)])(images_of(1, 1, 3, 3))


def test_under_autocast_torch_runs_the_layers() -> None:
    chain = Chain([nn.Conv2d(1, 4, 3)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert chain(images_of(2, 1, 8, 8)).dtype == torch.bfloat16
    assert not chain.was_taken


def test_images_that_do_not_lie_densely() -> None:
    net = randomised(nn.Conv2d(3, 4, 3), nn.ReLU())
    images = images_of(5, 8, 9, 3).permute(0, 3, 1, 2)
    torch.testing.assert_close(Chain(list(net))(images), net(images))


def test_a_chain_is_cut_into_stages() -> None:
    conv, norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
    two = MaxPool((2, 2), (2, 2))
    assert Chain([conv, norm, nn.ReLU(), nn.MaxPool2d(2)]).stages == (Stage(conv, norm, relu=True, pool=two),)
    assert Chain([conv, nn.MaxPool2d(2), Relu()]).stages == (Stage(conv, relu=True, pool=two),)
    assert Chain([conv, Relu(), norm]).stages == (Stage(conv, relu=True), Stage(norm=norm))
    assert Chain([Relu(), conv, two, two]).stages == (Stage(relu=True), Stage(conv, pool=two), Stage(pool=two))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_by_hand(stride: int) -> None:
    layer = nn.Conv2d(1, 1, 2, stride, bias=False)
    layer.weight.data = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    images = torch.arange(9.0).view(1, 1, 3, 3)  # 0 1 2 / 3 4 5 / 6 7 8
    wanted = [[27.0, 37.0], [57.0, 67.0]]  # 0 + 2·1 + 3·3 + 4·4 = 27 …
    found = Chain([layer])(images)
    assert found[0, 0].tolist() == (wanted if stride == 1 else [[27.0]])


def test_a_relu_and_a_pool_that_are_no_modules() -> None:
    images = images_of(3, 1, 9, 9)
    assert torch.equal(Relu()(images), functional.relu(images))
    assert torch.equal(MaxPool((3, 3), (2, 2), (1, 1))(images), functional.max_pool2d(images, 3, 2, 1))


def test_a_norm_in_eval_mode_whose_way_back_is_wanted_runs_in_torch() -> None:
    net = randomised(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)).eval()
    chain = Chain(list(net))
    leaf = images_of(3, 1, 8, 8).requires_grad_()
    chain(leaf).sum().backward()
    assert leaf.grad is not None
    assert not chain.was_taken
