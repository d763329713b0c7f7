"""One training step of a net as the engine will run it, beside the same step of the net as printed.

What is found is refused (nets whose runs would share weights, parameters that no optimizer would know), avoided (a
faster way of running a net that changes what it computes), or named.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bench.core.errors import first_line
from bench.core.metadata import LANES, PLAIN, Proof
from bench.data.tensors import standardise
from bench.models.build import build_model, import_afresh
from bench.models.determinism import fixed_arithmetic
from bench.models.doctor.isolation import find_hidden, refuse_new_parameters, refuse_sharing
from bench.models.doctor.step import Step, find_difference, in_float32, is_roughly_near, is_same, look, take_step
from bench.models.rewriting.rewrite import layouts, rewrite
from bench.models.state import fingerprints, read_plain, read_state, write_state
from bench.system.device import has_device

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from torch import Tensor

    from bench.core.architecture import Architecture
    from bench.data.datasets import Sample

    Blamed = Callable[[str], AbstractContextManager[None]]


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
            other = self._build(seed=1)
        names = dict(model.named_parameters())
        with refuse_sharing(model, twin):
            with self._blamed("a training step"):
                printed = self._take(model)
            refuse_new_parameters(names, printed.step.parameters)
        with self._blamed("a second training step"), _NormWatch() as watch:
            again = self._take(self._build())
        if find_difference(again.step, printed.step):
            self._warn(
                "two builds from one seed take different steps: it draws random numbers that the run's seed does not "
                "decide, or keeps state outside itself; the same request will not give the same numbers"
            )
        with self._blamed("a training step of another seed"):
            self._look_around(model, other)
        layout, rejected, chosen = self._choose(again, printed.step, normalises=watch.called)
        resumable = self._can_resume(chosen, layout)
        return Proof(layout=layout, rejected=tuple(rejected), resumable=resumable, warnings=tuple(self._warnings))

    def _build(
        self, net: Architecture | None = None, *, layout: str = PLAIN, seed: int = 0, dtype: Any = None
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

    def _look_around(self, model: nn.Module, other: nn.Module) -> None:
        """What is no fault of the engine, and what a reader of the numbers must know."""
        trained, others = ([p for p in net.parameters() if p.requires_grad] for net in (model, other))
        if all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(trained, others, strict=True)):
            self._warn("all seeds start from the same weights; take torch.manual_seed out of its file, if it is there")
        seen = look(model, self._images)
        if not torch.equal(seen.nan_to_num(), look(model, self._images).nan_to_num()):
            self._warn("its predictions are random in eval mode too, as with functional.dropout that is always on")
        if end := find_end(seen):
            self._warn(
                f"{end}, but loss and calibration take its outputs for logits; leave that end out, or the net learns "
                "slowly and its log loss says nothing"
            )
        if hidden := find_hidden(other, self._images):
            self._warn(
                f"{hidden} parameters take part and are not registered, so they are never trained; hold layers in "
                "nn.ModuleList or nn.ModuleDict instead of a list or dict"
            )

    def _choose(self, second: _Tried, wanted: Step, *, normalises: bool) -> tuple[str, list[str], _Tried]:
        """The first way of running the net that gives the printed net's step, and why not those before it."""
        rejected: list[str] = []
        ways = layouts(second.model, self._kind, normalises=normalises, engine=self._engine)
        for layout in ways[:-1]:
            try:
                tried = self._take(self._build(layout=layout))
                fault = find_difference(tried.step, wanted)
                if not fault or self._is_rounding(layout, tried.step, wanted):
                    return layout, rejected, tried
            except Exception as error:  # noqa: BLE001 - whatever it is, this way is not for this net
                fault = first_line(error)
            rejected.append(f"{layout}: {fault}")
        return PLAIN, rejected, second

    def _is_rounding(self, layout: str, found: Step, wanted: Step) -> bool:
        """Whether steps that differ in float32 are one in float64, and differ by no more than kernels may round.

        The kernels of lanes know no float64: their step is held against the printed one of that type.
        """
        if not is_roughly_near(found, wanted):
            return False
        images, dtype = self._images.double(), torch.float64
        printed = take_step(self._build(dtype=dtype), images, self._labels)
        if layout == LANES:
            return not find_difference(found, in_float32(printed))
        return not find_difference(take_step(self._build(layout=layout, dtype=dtype), images, self._labels), printed)

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

    def _warn(self, text: str) -> None:
        self._warnings.append(f"{self._architecture.name}: {text}.")


def find_end(outputs: Tensor) -> str:
    """What stands at the end of a net that gives no logits, (N, classes), in words; empty where they may be logits."""
    if bool((outputs < 0).any()) or not bool(outputs.isfinite().all()):
        return ""
    if torch.allclose(outputs.sum(1), torch.ones_like(outputs[:, 0]), atol=1e-3):
        return "its outputs add up to 1, as after a softmax"
    return "its outputs are never negative, as after a ReLU or a sigmoid"
