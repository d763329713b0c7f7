"""What the proof before training refuses, and which nets it says cannot be resumed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.core.errors import UnfitError
from bench.models.determinism import generator_states
from bench.models.fingerprint import architecture_hash
from bench.models.registry import load_file
from tests.bench.models.doctor.proving import NETS, load, net, tried

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from bench.data.datasets import Sample

# torch says that a hook's view of a module's input is a copy, that an even kernel costs one, and the like.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("lazy_in_forward", r"its forward makes fc1\.weight and fc1\.bias, which are never trained.*nn\.LazyLinear"),
        (
            "shared_default",
            r"its builds share b1\.norm\.weight, b1\.norm\.bias and b1\.act\.weight: seeds would go on",
        ),
        ("singleton", r"its builds share 1\.weight, 1\.bias, 3\.weight and 3\.bias: .*make what it is built of inside"),
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
    with pytest.raises(
        UnfitError, match=r"its builds share 1\.running_mean, 1\.running_var and 1\.num_batches_tracked"
    ):
        tried(net(lambda: nn.Sequential(nn.Flatten(), norm, nn.Linear(784, 10))), sample)


class Counting(nn.Module):
    """Counts its steps in an object that nothing can save."""

    def __init__(self, make: Callable[[], Any], draw: Callable[[Any], float]) -> None:
        super().__init__()
        self.out, self.source, self.draw = nn.Linear(784, 10), make(), draw

    def forward(self, images: Tensor) -> Any:
        """Logits."""
        return self.out(images.flatten(1)) * (self.draw(self.source) if self.training else 1.0)


@pytest.mark.parametrize(
    ("build", "said", "resumable"),
    [
        (
            lambda: Counting(lambda: np.random.default_rng(0), lambda source: source.random()),
            "cannot be resumed and start over when they are cut short ('source' cannot be saved)",
            False,
        ),
        (
            lambda: Counting(lambda: None, lambda _: float(np.random.default_rng().random())),
            "it keeps state where nothing can save it",
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
