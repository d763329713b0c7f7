"""One forward pass in training mode, watched: how large values are from layer to layer, and which units are dead."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from bench.models.determinism import seed_generators
from bench.models.doctor.trace import Watch, find_module, find_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject
    from bench.models.doctor.trace import Operation

_WEIGHTED = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d")
_NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm")
_RELUS = ("relu", "relu_", "relu6")
_IMAGES = 16
_DEAD = 0.5
"""Share of a layer's units that give 0 for all images: half of a layer is more than a common start leaves."""
_GROWTH = 10.0
_LOSS = 1.0
"""How far the first loss may be from that of guessing, in nats: nets that start as torch starts them are within half of
it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Propagation:
    """What was seen on the way of a batch.

    Attributes:
        growth: Layer, deviation of what went in, and of what came out, of each weighted layer.
        dead: Layer and share of units that gave 0 for every image, of each ReLU; the place of it.
        biased: Layers whose bias a batch norm takes out again.
        last_norm: Path of a batch norm that gives the logits; None where none does.
    """

    growth: tuple[tuple[str, float, float], ...]
    dead: tuple[tuple[str, float, str], ...]
    biased: tuple[str, ...]
    last_norm: str | None


class _Listener(Watch):
    """Measures what weighted layers, ReLUs and batch norms give."""

    def __init__(self, model: nn.Module, subject: Subject) -> None:
        super().__init__(model, subject.file)
        self._model = model
        self._made: tuple[str, Any] | None = None  # by the last operation, kept so that its identity stays its own
        self.growth: list[tuple[str, float, float]] = []
        self._last: Any = None  # what the last weighted layer gave
        self.dead: list[tuple[str, float, str]] = []
        self.biased: list[str] = []
        self.normed: tuple[str, Any] | None = None

    def ends_in(self, output: Tensor | None) -> bool:
        """Whether a net's output is what its last weighted layer gave."""
        return output is self._last

    def look(self, operation: Operation, given: list[Any], output: Any) -> None:
        """Note what an operation gave."""
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return
        first = next(find_tensors(given))
        if operation.name in _WEIGHTED:
            self.growth.append((operation.layer, _deviation(first), _deviation(output)))
            self._last = output
            bias = getattr(find_module(self._model, operation.layer), "bias", None)
            self._made = operation.layer if isinstance(bias, nn.Parameter) else "", output
        elif operation.name in _NORMS:
            is_behind = self._made is not None and self._made[1] is first
            if is_behind:
                self.growth.pop()  # how large it was is taken out again
            if operation.name == "batch_norm":
                is_behind = is_behind and find_module(self._model, operation.layer).training  # else it is fixed
                if is_behind and self._made is not None and self._made[0]:
                    self.biased.append(self._made[0])
                self.normed = operation.layer, output
        elif operation.name in _RELUS and output.dim() > 1 and len(output) == _IMAGES:  # an expert sees few
            units = output.dim() - 1 if output.dim() == 3 else 1
            rest = [dim for dim in range(output.dim()) if dim != units]
            share = float((output.amax(rest) <= 0).float().mean())
            self.dead.append((operation.layer, share, operation.place))


def listen(subject: Subject) -> Propagation:
    """Watch a batch of the dataset go through the net in training mode; statistics of batch norms move."""
    model = subject.settled
    listener = _Listener(model, subject)
    with subject.alone():
        seed_generators(1)
        model.train()
        with listener:
            output = next(find_tensors([model(subject.images[:_IMAGES].clone())]), None)
    normed = listener.normed
    if listener.growth and listener.ends_in(output):
        listener.growth.pop()  # logits begin as small as one likes
    return Propagation(
        growth=tuple(listener.growth),
        dead=tuple(listener.dead),
        biased=tuple(dict.fromkeys(listener.biased)),
        last_norm=normed[0] if normed is not None and normed[1] is output else None,
    )


def advise_dead(subject: Subject, seen: Propagation) -> Iterator[Finding]:
    """ReLUs of which most units give nothing for any image."""
    layer, share, place = max(seen.dead, key=lambda found: found[1], default=("", 0.0, ""))
    if share > _DEAD:
        yield subject.advise(
            "dead-relus",
            f"{100 * share:.0f} % of the units of {subject.call(layer) or 'a ReLU'} give 0 for all of {_IMAGES} images "
            "before anything is trained, and no gradient comes back through them: look at the bias and the scale of "
            "the layer before it",
            layer=layer,
            place=subject.locate(layer) or place,
        )


def advise_growth(subject: Subject, seen: Propagation) -> Iterator[Finding]:
    """A layer that makes values ten times as large, or as small."""
    ratios = [(layer, came / went) for layer, went, came in seen.growth if went > 0 and came > 0]
    layer, ratio = max(ratios, key=lambda found: abs(math.log(found[1])), default=("", 1.0))
    if max(ratio, 1 / ratio) > _GROWTH:
        does = f"grow {ratio:.3g} times" if ratio > 1 else f"shrink to 1/{1 / ratio:.3g}"
        yield subject.advise(
            "signal",
            f"values {does} in {subject.call(layer) or 'a layer'}, from one layer to the next: start its weights so "
            "that their deviation stays (nn.init.kaiming_normal_), or norm what goes in",
            layer=layer,
        )


def advise_loss(subject: Subject) -> Iterator[Finding]:
    """A first loss far from that of guessing."""
    classes, loss = subject.architecture.classes, subject.step.loss
    guess = math.log(classes)
    if math.isfinite(loss) and abs(loss - guess) > _LOSS:
        yield subject.advise(
            "initial-loss",
            f"the loss is {loss:.3g} before anything is trained, where guessing has ln({classes}) = {guess:.2f}: "
            "logits that begin far from 0 waste the first steps; start the last layer smaller",
        )


def _deviation(values: Tensor) -> float:
    return float(values.detach().float().std()) if values.numel() > 1 else 0.0
