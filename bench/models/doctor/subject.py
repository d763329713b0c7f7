"""A net that is examined: fresh builds of it, images to try it on, and where its layers stand in its file."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.core.errors import UnfitError
from bench.core.metadata import Finding
from bench.data.tensors import standardise
from bench.models.build import build_model, import_afresh, take_logits
from bench.models.determinism import fixed_arithmetic, read_settings, seed_generators
from bench.models.doctor.clock import shifted_clock
from bench.models.doctor.isolation import refuse_sharing
from bench.models.doctor.trace import call_layer, find_module, find_tensors
from bench.system.python_file import import_file, line_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.architecture import Architecture
    from bench.data.datasets import Sample
    from bench.models.doctor.clock import Clock

_FEW = 8
"""Images of a step that is only looked at: a ResNet-18 takes a third of a second for them."""
_SEED = 20_251_129
_AWAKE = 0.05
"""Deviation of weights in place of 0."""
NEAR = 1e-4
"""How far outputs of the same images in batches of one size may be apart, as a share of the largest: they come from the
same kernels, which give the same bits, so that whatever is seen is the net's."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """What one forward and backward pass in training mode gave.

    Attributes:
        logits: (N, classes), with its graph.
        others: What it returned behind them, as auxiliary heads do.
        loss: Cross-entropy of the logits.
        images: Those that it was given, as it left them.
        new: Names of parameters that the forward made.
    """

    logits: Tensor
    others: tuple[Tensor, ...]
    loss: float
    images: Tensor
    new: tuple[str, ...]


class Subject:
    """A net under examination. Whatever it sets for the whole process ends with each pass.

    Attributes:
        images: Images of the dataset, standardised, (N, C, H, W), and their classes, `labels` (N,).
        noise: As many other ones, louder.
        settings: What it set for the whole process, by name.
        sharing: What two builds share, in words; empty for nothing, or before `step`.
        few: How many images a step is taken with; more where the net takes no fewer, as with ghost batch norms.
    """

    def __init__(self, architecture: Architecture, sample: Sample, clock: Clock | None = None) -> None:
        """Take a net, images, and the clock that the net was imported under, where there is one."""
        self.architecture, self._clock = architecture, clock
        self.images = standardise(sample.images, sample.metadata)
        self.labels = torch.from_numpy(sample.labels)
        generator = torch.Generator().manual_seed(_SEED)
        self.noise = 2 * torch.randn(self.images.shape, generator=generator)
        self.settings: dict[str, Any] = {}
        self.sharing = ""
        self.few = _FEW

    @functools.cached_property
    def together(self) -> Architecture:
        """The architecture of a fresh import, to build twice of one import."""
        return import_afresh(self.architecture, 0)

    @functools.cached_property
    def model(self) -> nn.Module:
        """The net of seed 0, which `step` and whoever evaluates it has used."""
        return self.build(net=self.together)

    @functools.cached_property
    def other(self) -> nn.Module:
        """The net of another seed, untouched until it is loaded with the state of the first."""
        return self.build(seed=1)

    @functools.cached_property
    def step(self) -> TrainingStep:
        """The first step of the net on a few images, while it is seen whether that reaches another build."""
        try:
            return self._take_first_step()
        except Exception:  # noqa: BLE001 - what it raises on all of them is said
            self.few = len(self.images)
            self.__dict__.pop("model", None)  # it may be half changed
            return self._take_first_step()

    def _take_first_step(self) -> TrainingStep:
        model, twin = self.model, self.build(net=self.together)
        try:
            with refuse_sharing(model, twin):
                return self.take_step(model, *self.batch)
        except UnfitError as fault:
            self.sharing = str(fault)
            return self.take_step(model, *self.batch)

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """The images of a step that is only looked at, and their classes."""
        return self.images[: self.few], self.labels[: self.few]

    @functools.cached_property
    def settled(self) -> nn.Module:
        """The net after two steps, its batch norms having the statistics of these images: else deep nets give noise.

        Nothing of it is 0 any more: a last layer that begins so would hide all that happens before it.
        """
        _ = self.step
        with _fast_norms(self.model):
            self.take_step(self.model, *self.batch, seed=2)
        _wake(self.model)
        return self.model

    @property
    def shown(self) -> Tensor:
        """The images that most passes in eval mode are made with, (4, C, H, W)."""
        return self.images[:4]

    @functools.cached_property
    def answers(self) -> tuple[Tensor, ...]:
        """Logits of the settled net in eval mode: of images, of noise, of loud noise and of nothing."""
        inputs = (self.shown, self.noise[:4], 20 * self.noise[:4], torch.zeros_like(self.shown))
        return tuple(self.evaluate(self.settled, images) for images in inputs)

    @functools.cached_property
    def is_steady(self) -> bool:
        """Whether the settled net says the same of the same images again, with other ones between."""
        again = self.evaluate(self.settled, self.shown, seed=2)
        return same(again, self.evaluate(self.settled, self.shown)) and same(again, self.answers[0])

    @property
    def file(self) -> Path | None:
        """The file that its code stands in, as far as that is known."""
        if self.architecture.file is not None:
            return self.architecture.file
        if is_of_library(type(self.model)):
            return None
        with contextlib.suppress(TypeError, OSError):
            return Path(inspect.getsourcefile(type(self.model)) or "")
        return None

    def build(self, *, seed: int = 0, net: Architecture | None = None) -> nn.Module:
        """A net of its own, as a run has it: from a fresh import unless one is given."""
        with self.alone():
            return build_model(net or import_afresh(self.architecture, seed), seed)

    def evaluate(self, model: nn.Module, images: Tensor, *, seed: int = 1) -> Tensor:
        """Logits in eval mode of a copy of images (N, C, H, W), the generators seeded."""
        with self.alone(), torch.no_grad():
            seed_generators(seed)
            model.eval()
            logits: Tensor = model(images.clone())
            return logits.clone()

    def train(self, model: nn.Module, images: Tensor, *, seed: int = 1) -> Any:
        """What the net returns in training mode of a copy of images (N, C, H, W), the generators seeded."""
        with self.alone():
            seed_generators(seed)
            model.train()
            return model(images.clone())

    def take_step(self, model: nn.Module, images: Tensor, labels: Tensor, *, seed: int = 1) -> TrainingStep:
        """Forward and backward; parameters stay as they are and have gradients."""
        before, given = dict(model.named_parameters()), images.clone()
        model.zero_grad()
        with self.alone():
            seed_generators(seed)
            model.train()
            output = model(given)
            logits: Tensor = take_logits(output)
            loss = functional.cross_entropy(logits, labels)
            loss.backward()
        others = tuple(find_tensors(output[1:])) if isinstance(output, tuple | list) else ()
        new = tuple(name for name, value in model.named_parameters() if value is not before.get(name))
        return TrainingStep(logits=logits, others=others, loss=float(loss.detach()), images=given.detach(), new=new)

    def hear_import(self) -> None:
        """Note what importing the net's file sets for the whole process, which whoever loads it puts back."""
        if self.architecture.file is not None:
            with contextlib.suppress(Exception), self.alone():  # it has been loaded before
                import_file(self.architecture.file, prefix="heard")

    @contextlib.contextmanager
    def later(self, seconds: float) -> Iterator[None]:
        """Let the net see a clock that is so far ahead."""
        with shifted_clock() if self._clock is None else contextlib.nullcontext(self._clock) as clock:
            clock.seconds = seconds
            try:
                yield
            finally:
                clock.seconds = 0.0

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """What the net sets for the whole process in here is noted and put back."""
        with fixed_arithmetic("cpu"):
            before = read_settings()
            try:
                yield
            finally:
                now = read_settings()
                self.settings |= {name: value for name, value in now.items() if value != before[name]}

    def error(self, check: str, message: str, *, layer: str = "", place: str = "") -> Finding:
        """An error, with the line of its layer unless another place is given."""
        return Finding(level="error", check=check, layer=layer, message=message, place=place or self.locate(layer))

    def advise(self, check: str, message: str, *, layer: str = "", place: str = "") -> Finding:
        """Advice, likewise."""
        return Finding(level="advice", check=check, layer=layer, message=message, place=place or self.locate(layer))

    def line_of(self, error: BaseException) -> str:
        """`net.py:12`: the innermost line of the net's file that an error came through; empty for none."""
        line = line_in(self.file, error) if self.file is not None else ""
        return f"{self.file.name}:{line.rpartition(' ')[2]}" if self.file is not None and line else ""

    def call(self, layer: str) -> str:
        """What to call a layer in a sentence."""
        return call_layer(self.model, layer)

    def locate(self, layer: str) -> str:
        """`net.py:12`: the line of the net's own code that makes a module, by its path; empty where none is found."""
        parts = layer.split(".") if layer else []
        for depth in range(len(parts) - 1, -1, -1):
            with contextlib.suppress(KeyError):
                holder = type(find_module(self.model, ".".join(parts[:depth])))
                own = [kind for kind in holder.__mro__ if kind is not object and not is_of_library(kind)]
                if found := next(filter(None, (_find_line(kind, parts[depth]) for kind in own)), ""):
                    return found
        return ""


def same(one: Tensor, other: Tensor, *, near: float = NEAR) -> bool:
    """Whether two outputs are one but for what no arithmetic promises, as a share of the largest; NaN is NaN."""
    if one.shape != other.shape:
        return False
    one, other = one.nan_to_num(), other.nan_to_num()
    return float((one - other).abs().max()) <= near * float(one.abs().max())


def is_of_library(kind: type) -> bool:
    """Whether a class is torch's or torchvision's, not somebody's own."""
    return kind.__module__.partition(".")[0] in ("torch", "torchvision")


def _find_line(kind: type, attribute: str) -> str:
    """The line of a class in which an attribute is set."""
    with contextlib.suppress(OSError, TypeError):
        lines, start = inspect.getsourcelines(kind)
        sets = re.compile(rf"\bself\.{re.escape(attribute)}\b[^=(]*=(?!=)")
        at = next((number for number, line in enumerate(lines) if sets.search(line)), None)
        if at is not None:
            return f"{Path(inspect.getsourcefile(kind) or '').name}:{start + at}"
    return ""


def _wake(model: nn.Module) -> None:
    """Give weights that are all 0 small values; biases hide nothing."""
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for name, value in model.named_parameters():
            is_plain = value.requires_grad and value.is_floating_point() and value.layout == torch.strided
            if is_plain and not name.endswith("bias") and not bool(value.any()):
                value.add_(_AWAKE * torch.randn(value.shape, generator=generator).to(value.dtype))


@contextlib.contextmanager
def _fast_norms(model: nn.Module) -> Iterator[None]:
    """Let batch norms take over the statistics of a batch as they are."""
    kind = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the common base has no other name
    norms = {module: module.momentum for module in model.modules() if isinstance(module, kind)}
    for norm in norms:
        norm.momentum = 1.0
    try:
        yield
    finally:
        for norm, momentum in norms.items():
            norm.momentum = momentum
