"""One training step of a net as the engine will run it, beside the same step of the net as printed.

What is found is refused (nets whose runs would share weights, parameters that no optimizer would know), avoided (a
faster way of running a net that changes what it computes), or named.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from bench.core.errors import first_line
from bench.core.metadata import LANES, PLAIN, Proof
from bench.data.tensors import standardise
from bench.models.build import build_model, import_afresh
from bench.models.determinism import fixed_arithmetic
from bench.models.doctor.isolation import refuse_new_parameters, refuse_sharing
from bench.models.doctor.step import Step, find_difference, in_float32, is_roughly_near, is_same, take_step
from bench.models.rewriting.rewrite import layouts, rewrite
from bench.models.state import fingerprints, read_plain, read_state, write_state
from bench.system.device import has_device

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bench.core.architecture import Architecture
    from bench.data.datasets import Sample

    Blamed = Callable[[str], AbstractContextManager[None]]

_OTHER_SEEDS = (1, 2)
"""Of the weights from which a step is tried again that was not the printed one."""


def prove(architecture: Architecture, sample: Sample, *, device: str, engine: str = "torch", blamed: Blamed) -> Proof:
    """Choose how a net is run and find what would make its numbers wrong. Nothing of the process is left changed.

    Args:
        architecture: The net.
        sample: Images to try it on.
        device: Kind of device that it will train on; where this process has none, a CPU tries it.
        engine: What trains it, "torch" or "lanes".
        blamed: Makes a context for what the printed net does, told in words what that is.

    Raises:
        UnfitError: The net cannot be trained as it is.
    """
    with fixed_arithmetic(device):
        return _Trial(architecture, sample, device, blamed, engine=engine).prove()


@dataclasses.dataclass
class _Tried:
    """A net that has taken one step, its plain attributes before, and what it changed that cannot be saved."""

    model: nn.Module
    step: Step
    start: dict[str, Any]
    lost: tuple[str, ...]


class _NormWatch(TorchFunctionMode):
    """Notes whether anything calls batch norm, as a layer or as a function."""

    called = False

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.called |= "batch_norm" in getattr(func, "__name__", "")
        return func(*args, **(kwargs or {}))


class _Trial:
    """The steps of one proof."""

    def __init__(self, architecture: Architecture, sample: Sample, device: str, blamed: Blamed, *, engine: str) -> None:
        self._architecture, self._kind, self._engine, self._blamed = architecture, device, engine, blamed
        self._device = torch.device(device if has_device(device) else "cpu")
        self._images = standardise(sample.images, sample.metadata).to(self._device)
        self._labels = torch.from_numpy(sample.labels).to(self._device)
        self._warnings: list[str] = []

    def prove(self) -> Proof:
        with self._blamed("building the net"):
            together = import_afresh(self._architecture, 0)
            model, twin = self._build(together), self._build(together)
        names = dict(model.named_parameters())
        with refuse_sharing(model, twin):
            with self._blamed("a training step"):
                printed = self._take(model)
            refuse_new_parameters(names, printed.step.parameters)
        with self._blamed("a second training step"), _NormWatch() as watch:
            again = self._take(self._build())
        layout, rejected, chosen = self._choose(again, printed.step, normalises=watch.called)
        resumable = self._can_resume(chosen, layout)
        return Proof(
            layout=layout,
            rejected=tuple(rejected),
            resumable=resumable,
            warnings=tuple(self._warnings),
            step_seconds=self._time(chosen.model),
        )

    def _build(
        self, net: Architecture | None = None, *, layout: str = PLAIN, dtype: Any = None, seed: int = 0
    ) -> nn.Module:
        """A net of its own, as a run has it: from a fresh import unless one is given."""
        with fixed_arithmetic(self._kind):  # a step before may have set another type for the whole process
            model = build_model(net or import_afresh(self._architecture, seed), seed)
            rewrite(model, layout)
            return model.to(self._device, dtype)

    def _take(self, model: nn.Module) -> _Tried:
        start, before = read_plain(model), fingerprints(model)
        step = self._step(model)
        after = fingerprints(model)  # before its file is imported again, which makes its classes those of a lost module
        lost = sorted(name for name, value in after.items() if value != before.get(name))
        return _Tried(model=model, step=step, start=start, lost=tuple(lost))

    def _step(self, model: nn.Module) -> Step:
        with fixed_arithmetic(self._kind):
            return take_step(model, self._images, self._labels)

    def _choose(self, second: _Tried, wanted: Step, *, normalises: bool) -> tuple[str, list[str], _Tried]:
        """The first way of running the net that gives the printed net's step, and why not those before it."""
        rejected: list[str] = []
        ways = layouts(second.model, self._kind, normalises=normalises, engine=self._engine)
        for layout in ways[:-1]:
            try:
                tried = self._take(self._build(layout=layout))
                fault = self._find_fault(layout, tried.step, wanted)
                if not fault or self._is_chance(layout):
                    return layout, rejected, tried
            except Exception as error:  # noqa: BLE001 - whatever it is, this way is not for this net
                fault = first_line(error)
            rejected.append(f"{layout}: {fault}")
        return PLAIN, rejected, second

    def _find_fault(self, layout: str, found: Step, wanted: Step, *, seed: int = 0) -> str:
        """What a step has that the printed one has not; empty where they differ by rounding alone."""
        fault = find_difference(found, wanted)
        return "" if fault and self._is_rounding(layout, found, wanted, seed=seed) else fault

    def _is_chance(self, layout: str) -> bool:
        """Whether steps from other weights are the printed ones.

        Where the largest of a window's values are equal but for rounding, another of them is taken, and the gradient
        goes there: a net of thousands of windows has such a step now and then. A way that is wrong is wrong again.
        """
        for seed in _OTHER_SEEDS:
            printed, tried = (self._take(self._build(layout=each, seed=seed)).step for each in (PLAIN, layout))
            if self._find_fault(layout, tried, printed, seed=seed):
                return False
        return True

    def _is_rounding(self, layout: str, found: Step, wanted: Step, *, seed: int) -> bool:
        """Whether steps that differ in float32 are one in float64, and differ by no more than kernels may round.

        The kernels of lanes know no float64: their step is held against the printed one of that type.
        """
        if not is_roughly_near(found, wanted):
            return False
        images, dtype = self._images.double(), torch.float64
        printed = take_step(self._build(dtype=dtype, seed=seed), images, self._labels)
        if layout == LANES:
            return not find_difference(found, in_float32(printed), printed=wanted)
        tried = take_step(self._build(layout=layout, dtype=dtype, seed=seed), images, self._labels)
        return not find_difference(tried, printed)

    def _can_resume(self, tried: _Tried, layout: str) -> bool:
        """Whether a fresh net with a saved state takes the same next step."""
        fault = f"{', '.join(map(repr, tried.lost))} cannot be saved"
        if not tried.lost:
            try:
                restored = self._build(layout=layout)
                write_state(restored, read_state(tried.model, tried.start))
                next_steps = [self._step(model) for model in (tried.model, restored)]
                # An accelerator may add up in another order each time.
                if is_same(*next_steps) or (self._device.type != "cpu" and not find_difference(*next_steps)):
                    return True
                fault = "it keeps state where nothing can save it"
            except Exception as error:  # noqa: BLE001 - then it cannot
                fault = first_line(error)
        self._warn(f"its runs cannot be resumed and start over when they are cut short ({fault})")
        return False

    def _time(self, model: nn.Module) -> float | None:
        """Seconds of this thread that an image takes forward and backward; what else the machine does is not in it."""
        if self._device.type != "cpu":  # which computes behind the thread's back
            return None
        try:
            with fixed_arithmetic(self._kind):
                model.train()
                started = time.thread_time()
                functional.cross_entropy(model(self._images.clone()), self._labels).backward()
                return (time.thread_time() - started) / len(self._images)
        except Exception:  # noqa: BLE001 - it took steps before, and a forecast is worth no fault
            return None

    def _warn(self, text: str) -> None:
        self._warnings.append(f"{self._architecture.name}: {text}.")
