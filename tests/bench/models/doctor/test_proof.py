"""The proof before training: nets of many kinds, and planted wrong ways of running them."""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.core.metadata import BLOCKED, CHANNELS_LAST, LANES, PLAIN, Proof
from bench.data.datasets import Sample, find_dataset, take_sample
from bench.data.tensors import standardise
from bench.models.build import build_model
from bench.models.registry import load_file
from bench.models.rewriting import rewrite as rewriting
from bench.models.rewriting.rewrite import layouts, rewrite
from bench.spec import Architecture
from tests import ROOT
from tests.bench.models.doctor.proving import NETS, net, tried
from tests.bench.runs import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

# torch says that a hook's view of a module's input is a copy, that an even kernel costs one, and the like.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


@functools.cache
def proof_of(name: str) -> Proof:
    """Of a net in a file, which does not change between tests."""
    return tried(NETS[name], take_sample(find_dataset("mnist5k", NOWHERE)))


def trained(model: nn.Module, images: Tensor, labels: Tensor, *, steps: int = 2) -> tuple[list[Tensor], Tensor]:
    """Parameters after steps of plain gradient descent, as anyone would write them, and predictions then."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - what nets draw from
    random.seed(1)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(images.clone()), labels).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return [parameter.detach() for parameter in model.parameters()], model(images.clone())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_a_net_is_trained_as_it_is_printed(name: str, dtype: torch.dtype, sample: Sample) -> None:
    layout = proof_of(name).layout
    images, labels = standardise(sample.images, sample.metadata), torch.from_numpy(sample.labels)
    if dtype == torch.float64:  # noise: torch's pools take other ones of equal values in float64 than in float32
        images = torch.randn(images.shape, dtype=dtype, generator=torch.Generator().manual_seed(2))
    plain, fast = build_model(NETS[name], 3), build_model(NETS[name], 3)
    rewrite(fast, layout)
    if dtype == torch.float64:
        plain, fast = plain.double(), fast.double()
    try:
        wanted, expected = trained(plain, images, labels)
    except RuntimeError as fault:
        if dtype == torch.float32:
            raise
        pytest.skip(f"it computes in a type of its own: {fault}")
    found, given = trained(fast, images, labels)
    near = 1e-10 if dtype == torch.float64 else 2e-3
    torch.testing.assert_close(given, expected, atol=near, rtol=near)
    for value, parameter in zip(found, wanted, strict=True):
        torch.testing.assert_close(value, parameter, atol=near / 10, rtol=near / 10)


CHOSEN = {
    "preact": BLOCKED,  # its ReLU stays before the pool, for it changes what the skip path sees
    "relu-inplace-skip": BLOCKED,
    "viewnet": PLAIN,
    "softmax-end": PLAIN,
    "capsule-5d": PLAIN,
    "lazylinear": BLOCKED,
    "tapped": PLAIN,
    "guided": BLOCKED,
    "tuple-between": BLOCKED,
    "input-grad": CHANNELS_LAST,
    "autocast": PLAIN,
    "first-relu": CHANNELS_LAST,
    "WeightsByView": PLAIN,
    "CustomFunction": PLAIN,
    "AsksForStrides": PLAIN,
    "InPlaceResidual": PLAIN,
    "AsksForItsClass": BLOCKED,
    "scripted": PLAIN,
    "data_parallel": PLAIN,
    "ModuleListLoop": CHANNELS_LAST,
}


@pytest.mark.parametrize("name", CHOSEN)
def test_what_is_chosen_is_said_and_why_the_faster_way_was_not(name: str) -> None:
    proof = proof_of(name)
    assert proof.layout == CHOSEN[name]
    ways = layouts(build_model(NETS[name], 0), "cpu")
    assert len(proof.rejected) == ways.index(proof.layout), "each way before it"
    assert all(fault.startswith(way) for way, fault in zip(ways, proof.rejected, strict=False))


@pytest.mark.parametrize("file", sorted((ROOT / "architectures").glob("[!_]*.py")), ids=lambda file: file.stem)
def test_registered_nets_run_in_the_fastest_way_of_the_rules(file: Path, sample: Sample) -> None:
    for architecture in load_file(file):
        wanted = layouts(build_model(architecture, 0), "cpu")[0]
        assert wanted in (BLOCKED, CHANNELS_LAST)
        assert tried(architecture, sample) == Proof(layout=wanted)


def test_a_step_is_timed_by_the_clock_of_its_thread(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter((100.0, 103.2))
    monkeypatch.setattr("bench.models.doctor.proof.time.thread_time", lambda: next(ticks))
    assert len(sample.images) == 32
    assert tried(Architecture(name="pooled", build=pooled), sample).step_seconds == pytest.approx(0.1)


def pooled() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(2704, 10)
    )


def drops_the_relu(stages: nn.Sequential) -> list[nn.Module]:
    return [stage for stage in stages if not isinstance(stage, nn.ReLU)]


def forgets_gradients(stages: nn.Sequential) -> list[nn.Module]:
    class Detached(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            """The same values, a third of the gradient."""
            return images / 3 + (images * 2 / 3).detach()

    first, *others = stages
    return [Detached(), first, Detached(), *others]


def forgets_dropout(stages: nn.Sequential) -> list[nn.Module]:
    return [stage for stage in stages if not isinstance(stage, nn.Dropout)]


def draws(stages: nn.Sequential) -> list[nn.Module]:
    torch.rand(1)
    return list(stages)


def fails_in_eval(stages: nn.Sequential) -> list[nn.Module]:
    return list(stages) if stages.training else [*stages, nn.ReLU()]


def raises(_stages: nn.Sequential) -> list[nn.Module]:
    raise ValueError("no such way")


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (drops_the_relu, "its logits differ"),
        (forgets_gradients, "the gradient of 0.weight differs"),
        (forgets_dropout, "its logits differ"),
        (draws, "its logits differ"),
        (fails_in_eval, "its predictions differ"),
        (raises, "ValueError: no such way"),
    ],
)
def test_a_planted_wrong_way_is_found(
    plant: Callable[[nn.Sequential], list[nn.Module]], said: str, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tried(net(pooled), sample)
    assert before.layout == BLOCKED
    monkeypatch.setattr(rewriting, "_swaps", lambda _stages: True)
    monkeypatch.setattr(rewriting, "_in_order", plant)
    proof = tried(net(pooled), sample)
    assert proof == Proof(layout=PLAIN, rejected=tuple(f"{way}: {said}" for way in (BLOCKED, CHANNELS_LAST)))


def test_a_planted_wrong_weight_is_found(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    def rewrite_wrongly(model: nn.Module, layout: str) -> None:
        if layout != PLAIN:
            model[5].bias.data[7] += 1e-2  # type: ignore[index]

    monkeypatch.setattr("bench.models.doctor.proof.rewrite", rewrite_wrongly)
    assert tried(net(pooled), sample).layout == PLAIN


@pytest.mark.parametrize(("wrong_from", "layout"), [((0,), BLOCKED), ((0, 1), PLAIN), ((0, 2), PLAIN), ((1,), BLOCKED)])
def test_a_way_that_is_wrong_from_some_weights_alone_is_tried_from_others(
    wrong_from: tuple[int, ...], layout: str, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where two values of a window are equal but for rounding; the first weights that are right are enough."""
    wrong = [build_model(net(pooled), seed)[0].weight for seed in wrong_from]  # type: ignore[index]

    def rewrite_wrongly(model: nn.Module, layout: str) -> None:
        if layout != PLAIN and any(torch.equal(model[0].weight, each) for each in wrong):  # type: ignore[index]
            model[5].bias.data[7] += 1e-2  # type: ignore[index]
        rewrite(model, layout)

    monkeypatch.setattr("bench.models.doctor.proof.rewrite", rewrite_wrongly)
    assert tried(net(pooled), sample).layout == layout


@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"momentum": None}, {"track_running_stats": False}])
@pytest.mark.parametrize("order", ["norm first", "rectifier first"])
def test_every_kind_of_batch_norm_may_stand_beside_lanes(settings: dict[str, Any], order: str, sample: Sample) -> None:
    """What the kernels leave to torch included: its rounding, of a gradient that is 0, is no difference."""

    def block(channels: int, filters: int) -> list[nn.Module]:
        layers = [nn.BatchNorm2d(filters, **settings), nn.ReLU()]
        follow = layers if order == "norm first" else layers[::-1]
        return [nn.Conv2d(channels, filters, 3), *follow, nn.MaxPool2d(2)]

    def build() -> nn.Module:
        return nn.Sequential(*block(1, 8), *block(8, 16), nn.Flatten(), nn.Linear(400, 10))

    assert tried(net(build), sample, engine="lanes") == Proof(layout=LANES)


def test_one_gradient_that_is_off_where_rounding_is_coarse_is_found(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BatchNorm in blocks rounds, so the step is only roughly that of the printed net: each parameter's."""
    wrong_by = 1.0

    def build() -> nn.Module:
        body = [nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*body, nn.Flatten(), nn.Linear(16 * 13 * 13, 10))

    def rewrite_wrongly(model: nn.Module, layout: str) -> None:
        rewrite(model, layout)
        if layout != PLAIN:  # one of 16 + 16 values, which all others hide in the sum
            model[1].bias.register_hook(lambda grad: grad * (wrong_by if grad.dtype == torch.float32 else 1.0))  # type: ignore[index]

    monkeypatch.setattr("bench.models.doctor.proof.rewrite", rewrite_wrongly)
    assert tried(net(build), sample).layout == BLOCKED
    wrong_by = 1.1
    assert tried(net(build), sample).layout == PLAIN


class FunctionalNorm(nn.Module):
    """Batch norm as a function, of which no layer tells."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        """As in training."""
        return functional.batch_norm(maps, None, None, self.scale, self.shift, training=True)


@pytest.mark.parametrize(
    ("norm", "layout"),
    [
        (FunctionalNorm, PLAIN),
        (lambda channels: nn.GroupNorm(4, channels), CHANNELS_LAST),
        (lambda channels: nn.InstanceNorm2d(channels, affine=True), CHANNELS_LAST),
    ],
)
def test_batch_norm_is_never_run_in_channels_last(
    norm: Callable[[int], nn.Module], layout: str, sample: Sample
) -> None:
    """There it adds up in float32: gradients are 7.6e-3 off those in float64 at batch 128, as printed 1e-5."""

    def build() -> nn.Module:
        body = [nn.Conv2d(1, 16, 3), norm(16), nn.GELU(), nn.Conv2d(16, 16, 3), norm(16), nn.GELU()]
        return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))

    assert tried(net(build), sample).layout == layout


def test_batchnorm_in_channels_last_is_not_chosen_on_a_cpu() -> None:
    """Its statistics add up in float32 there: gradients at batch 128 were 1e-2 off those in float64, plain 1e-5."""
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    assert layouts(model, "cpu") == (PLAIN,)
    assert layouts(model, "cuda") == (CHANNELS_LAST, PLAIN)
