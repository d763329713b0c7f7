"""A net that fails in the quiet phase loses its own timing, by name; the others are measured."""

from __future__ import annotations

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from bench.core.events import Note, TimingFinished, TimingStarted
from bench.core.recipe import Recipe
from bench.execution.profiling import phase, speed
from bench.execution.profiling.speed import TimingRequest
from bench.spec import Architecture
from bench.store.store import open_store
from bench.system.environment import describe_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Fair(nn.Module):
    """A linear net."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(784, 10)

    def forward(self, images: torch.Tensor) -> Any:
        """Logits."""
        return self.out(images.flatten(1))


class Silent(Fair):
    """Its `train` returns nothing, so neither does its `eval`."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]  # noqa: FBT001, FBT002 - as torch has it
        """Change the mode."""
        super().train(mode)


class NoEval(Fair):
    """Cannot be put in eval mode."""

    def eval(self) -> Any:
        """Fail."""
        raise RuntimeError("no eval here")


class NoTraining(Fair):
    """Fails in training."""

    def forward(self, images: torch.Tensor) -> Any:
        """Logits, in eval mode."""
        if self.training:
            raise RuntimeError("no training here")
        return super().forward(images)


class Doubling(Fair):
    """Doubles its input in place."""

    def forward(self, images: torch.Tensor) -> Any:
        """Logits."""
        return super().forward(images.mul_(2))


def requests(*kinds: type[nn.Module]) -> list[TimingRequest]:
    return [
        TimingRequest(architecture=Architecture(name=kind.__name__, build=kind), device="cpu", recipe=Recipe())
        for kind in kinds
    ]


@pytest.fixture
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    @contextlib.contextmanager
    def here(**_limit: float) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(max_workers=1) as pool:
            yield pool

    monkeypatch.setattr(phase, "fresh_process", here)
    monkeypatch.setattr(phase, "_allow_turn", lambda: None)  # it would end this process, which is not fresh
    monkeypatch.setattr(speed, "SECONDS_PER_BLOCK", 0.001)
    monkeypatch.setattr(speed, "CALLS", 3)
    monkeypatch.setattr(speed, "CALL_SECONDS", 1e6)
    monkeypatch.setattr(speed, "CALL_ROUNDS", 1)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def test_what_cannot_be_timed_is_named() -> None:
    found = speed.find_unfit(requests(Fair, Silent, NoEval, NoTraining, Doubling))
    assert found == {"NoEval": "RuntimeError: no eval here"}


@pytest.mark.usefixtures("_in_this_process")
def test_a_net_that_fails_loses_its_own_timing(tmp_path: Path) -> None:
    wanted = requests(Silent, NoEval, NoTraining, Doubling)
    machine = str(describe_environment()["machine"])
    with open_store(f"sqlite:///{tmp_path}/bench.db") as store:
        started, *notes, finished = phase.run_timings(wanted, store, estimate_seconds=1.0)
        timings = {
            request.architecture.name: store.artifacts.timing(
                architecture_hash=request.architecture_hash, machine=machine, device="cpu"
            )
            for request in wanted
        }
    assert isinstance(started, TimingStarted)
    assert isinstance(finished, TimingFinished)
    assert (started.architectures, finished.architectures) == (4, 3)
    assert [note.text for note in notes if isinstance(note, Note)] == [
        "NoEval: its speed and memory could not be measured (RuntimeError: no eval here); its runs are stored.",
        "NoTraining: its memory could not be measured (RuntimeError: no training here); its runs are stored.",
    ]
    assert timings.pop("NoEval") is None
    assert all(found is not None and len(found.call_seconds[1]) == 3 for found in timings.values())
    memories = {name: found.peak_memory_bytes is not None for name, found in timings.items() if found is not None}
    assert memories == {"Silent": True, "NoTraining": False, "Doubling": True}


def test_each_block_has_images_of_its_own() -> None:
    (request,) = requests(Doubling)
    model, images = speed._prepare(request)
    before = images.clone()
    with torch.inference_mode():
        speed._time_block(model, images, 8)
        speed._time_calls(model, images, 1)
    assert torch.equal(images, before)


class Energy(Fair):
    """Takes gradients within its forward, as energy-based nets do."""

    def forward(self, images: torch.Tensor) -> Any:
        """Logits."""
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            (slope,) = torch.autograd.grad(images.square().sum(), images)
        return super().forward(slope)


def test_a_net_that_takes_gradients_in_its_forward_is_timed() -> None:
    wanted = requests(Fair, Energy)
    assert speed.find_unfit(wanted) == {}
    with speed._without_gradients(wanted):
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_grad_enabled()
    with speed._without_gradients(wanted[:1]):
        assert torch.is_inference_mode_enabled()


def test_a_process_that_hangs_ends_itself() -> None:
    with phase.fresh_process(limit_seconds=0.1) as pool, pytest.raises(BrokenProcessPool) as broken:
        pool.submit(signal.pause).result(timeout=120)
    assert phase._reason(broken.value).startswith("a net ended the process, or took longer than ")


class Reusing(Fair):
    """Gives one memory for all its answers, which it makes in the first pass."""

    def forward(self, images: torch.Tensor) -> Any:
        """Logits."""
        logits = super().forward(images)
        if torch.is_grad_enabled():
            return logits
        if not hasattr(self, "given"):
            self.given: dict[int, torch.Tensor] = {}
        return self.given.setdefault(len(logits), torch.empty_like(logits)).copy_(logits)


@pytest.mark.usefixtures("_in_this_process")
def test_what_a_net_keeps_from_being_tried_is_not_in_the_way_of_timing_it() -> None:
    faults: dict[str, str] = {}
    timings = phase.measure_timings(requests(Reusing, Energy), faults)
    assert ([found.architecture for found in timings], faults) == (["Reusing", "Energy"], {})
