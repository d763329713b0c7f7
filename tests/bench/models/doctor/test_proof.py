"""The proof before training: nets of many kinds, planted wrong ways of running them, and what is refused or named."""

from __future__ import annotations

import contextlib
import functools
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.core.errors import UnfitError
from bench.core.metadata import BLOCKED, CHANNELS_LAST, PLAIN, Proof
from bench.data.datasets import Sample, find_dataset, take_sample
from bench.data.tensors import standardise
from bench.models import rewrite as rewriting
from bench.models.build import build_model
from bench.models.determinism import generator_states
from bench.models.doctor.proof import prove
from bench.models.fingerprint import architecture_hash
from bench.models.registry import load_file
from bench.models.rewrite import layouts, rewrite
from bench.spec import Architecture
from tests import ROOT
from tests.bench.runs import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

FIELD = ROOT / "tests" / "field"

# torch says that a hook's view of a module's input is a copy, that an even kernel costs one, and the like.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


def load(*files: str) -> list[Architecture]:
    return [architecture for file in files for architecture in load_file(FIELD / f"{file}.py")]


OTHERS = load(
    "preact", "relu_inplace_skip", "viewnet", "softmax", "capsule5d", "lazylinear", "hooks", "backhook",
    "tuple_between", "inputgrad", "bf16", "train_override", "first_relu", "pools", "npdepth", "plain_state",
)  # fmt: skip
NETS = {net.name: net for net in [*load("kinds"), *OTHERS]}


@pytest.fixture(scope="module")
def sample() -> Sample:
    return take_sample(find_dataset("mnist5k", NOWHERE))


def tried(architecture: Architecture, sample: Sample) -> Proof:
    return prove(architecture, sample, device="cpu", blamed=lambda _: contextlib.nullcontext())


@functools.cache
def proof_of(name: str) -> Proof:
    """Of a net in a file, which does not change between tests."""
    return tried(NETS[name], take_sample(find_dataset("mnist5k", NOWHERE)))


def net(build: Callable[[], nn.Module], name: str = "net") -> Architecture:
    return Architecture(name=name, build=build)


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


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """Some of these nets change what holds for the whole process, in the plain loop here too."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(mode=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", NETS)
def test_a_net_is_trained_as_it_is_printed(name: str, dtype: torch.dtype, sample: Sample) -> None:
    layout = proof_of(name).layout
    images, labels = standardise(sample.images, sample.facts), torch.from_numpy(sample.labels)
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


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("lazy_in_forward", r"its forward makes fc1\.weight, fc1\.bias, which would never be trained.*nn\.LazyLinear"),
        (
            "shared_default",
            r"its builds share b1\.norm\.weight, b1\.norm\.bias, b1\.act\.weight: seeds would go on",
        ),
        ("singleton", r"its builds share 1\.weight, 1\.bias, 3\.weight and 1 more: .*make what it is built of inside"),
    ],
)
def test_a_net_whose_runs_would_go_wrong_is_refused(file: str, said: str, sample: Sample) -> None:
    with pytest.raises(UnfitError, match=said):
        tried(load(file)[0], sample)


def test_what_is_shared_and_never_changes_is_no_fault(sample: Sample) -> None:
    kernel, relu = torch.ones(1, 1, 3, 3), nn.ReLU()

    class Blurred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kernel", kernel)
            self.stages = nn.Sequential(relu, nn.Flatten(), nn.Linear(676, 10))

        def forward(self, images: Tensor) -> Any:
            """Logits."""
            return self.stages(functional.conv2d(images, self.kernel))  # type: ignore[arg-type]

    assert tried(net(Blurred), sample).warnings == ()
    norm = nn.BatchNorm1d(784, affine=False)
    with pytest.raises(UnfitError, match=r"its builds share 1\.running_mean, 1\.running_var, 1\.num_batches_tracked"):
        tried(net(lambda: nn.Sequential(nn.Flatten(), norm, nn.Linear(784, 10))), sample)


class Counting(nn.Module):
    """Counts its steps in an object that nothing can save."""

    def __init__(self, make: Callable[[], Any], draw: Callable[[Any], float]) -> None:
        super().__init__()
        self.out, self.source, self.draw = nn.Linear(784, 10), make(), draw

    def forward(self, images: Tensor) -> Any:
        """Logits."""
        return self.out(images.flatten(1)) * (self.draw(self.source) if self.training else 1.0)


DRAWN_FROM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("build", "said", "resumable"),
    [
        (lambda: (torch.manual_seed(42), nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))[1], "all seeds start", True),
        (
            lambda: Counting(lambda: np.random.default_rng(0), lambda source: source.random()),
            "cannot be resumed and start over when they are cut short ('source' cannot be saved)",
            False,
        ),
        (lambda: Counting(lambda: DRAWN_FROM, lambda source: source.random()), "two builds from one seed", False),
        (
            lambda: Counting(lambda: None, lambda _: float(np.random.default_rng().random())),
            "random numbers that the run's seed does not decide",
            False,
        ),
        (lambda: Counting(lambda: None, lambda _: np.random.rand() + random.random()), "", True),  # noqa: NPY002, S311
    ],
)
def test_what_makes_numbers_odd_is_named(
    build: Callable[[], nn.Module],
    said: str,
    resumable: bool,  # noqa: FBT001 - a parameter of the test
    sample: Sample,
) -> None:
    proof = tried(net(build), sample)
    assert proof.resumable is resumable
    assert (said in " ".join(proof.warnings)) if said else proof.warnings == ()
    assert all(warning.startswith("net: ") for warning in proof.warnings)


def test_layers_in_a_plain_list_are_counted(sample: Sample) -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.out = [nn.Linear(784, 64)], nn.Linear(64, 10)

        def forward(self, images: Tensor) -> Any:
            """Logits."""
            return self.out(self.layers[0](images.flatten(1)))

    (warning,) = tried(net(Listed), sample).warnings
    assert warning.startswith(f"net: {784 * 64 + 64} parameters take part and are not registered")


class Reading(nn.Module):
    """One layer, which forwards use in ways of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(784, 10)


def test_predictions_that_are_no_numbers_are_not_random(sample: Sample) -> None:
    class Empty(Reading):
        def forward(self, images: Tensor) -> Any:
            """Logits."""
            return self.out(images.flatten(1)) * (1.0 if self.training else float("nan"))

    assert not tried(net(Empty), sample).warnings


def test_predictions_that_are_random_in_eval_mode_are_named(sample: Sample) -> None:
    class Dropping(Reading):
        def forward(self, images: Tensor) -> Any:
            """Logits."""
            return self.out(functional.dropout(images.flatten(1), 0.5))

    assert "random in eval mode" in tried(net(Dropping), sample).warnings[0]


BESIDE = """
from torch import nn
from bench.spec import Architecture
COUNT = [0]
class Memory:
    n = 0
STATE = Memory()
class Net(nn.Module):
    steps = 0
    def __init__(self):
        super().__init__()
        self.out, self.memory = nn.Linear(784, 10), Memory()
    def forward(self, images):
        {statement}
        return self.out(images.flatten(1))
ARCHITECTURES = [Architecture(name=f"beside-{{size}}", build=Net) for size in "ab"]
"""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "COUNT[0] += 1",
            "its runs cannot be resumed and start over when they are cut short ('net.COUNT' cannot be",
        ),
        (
            "Net.steps += 1",
            "its runs cannot be resumed and start over when they are cut short ('net.Net.steps' cannot be",
        ),
        ("STATE.n += 1", "its runs cannot be resumed and start over when they are cut short ('net.STATE' cannot be"),
        ("self.memory.n += 1", "its runs cannot be resumed and start over when they are cut short ('memory' cannot be"),
        ("pass", ""),
    ],
)
def test_what_a_file_keeps_beside_the_net_is_named_and_begins_anew_with_every_run(
    statement: str, said: str, sample: Sample, tmp_path: Path
) -> None:
    path = tmp_path / "net.py"
    path.write_text(BESIDE.format(statement=statement))
    first, second = load_file(path)
    assert architecture_hash(first) != architecture_hash(second), "a loop declares them, their names tell them apart"
    warnings = tried(first, sample).warnings
    assert len(warnings) == bool(said), "two builds from one seed are alike, each having a fresh import"
    assert all(said in warning for warning in warnings)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (nn.Softmax(1), "its outputs add up to 1, as after a softmax"),
        (nn.Sigmoid(), "its outputs are never negative, as after a ReLU or a sigmoid"),
        (nn.ReLU(), "its outputs are never negative, as after a ReLU or a sigmoid"),
        (nn.LogSoftmax(1), ""),  # logits too: their softmax is the same
        (nn.Identity(), ""),
    ],
)
def test_a_net_that_ends_in_no_logits_is_named(end: nn.Module, said: str, sample: Sample) -> None:
    warnings = tried(net(lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10), end)), sample).warnings
    assert len(warnings) == bool(said)
    assert all(
        warning.startswith(f"net: {said}, but loss and calibration take its outputs for logits;")
        for warning in warnings
    )


def test_the_process_is_left_as_it_was(sample: Sample) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - as above
    random.seed(5)
    before = *generator_states(), torch.get_num_threads()
    tried(NETS["SetsWhatHoldsForAll"], sample)
    tried(load("npdepth")[0], sample)
    assert (*generator_states(), torch.get_num_threads()) == before
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.is_grad_enabled()


def test_batchnorm_in_channels_last_is_not_chosen_on_a_cpu() -> None:
    """Its statistics add up in float32 there: gradients at batch 128 were 1e-2 off those in float64, plain 1e-5."""
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    assert layouts(model, "cpu") == (PLAIN,)
    assert layouts(model, "cuda") == (CHANNELS_LAST, PLAIN)
