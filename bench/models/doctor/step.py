"""One training step of a net and what is seen of it, to be held against the same step of another."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from bench.models.build import take_logits
from bench.models.determinism import generator_states, seed_generators

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

_SEED = 20_251_128
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""How far two nets that are the same may be apart, as a share of the largest value: rounding in another order. Coarser
types must agree bit for bit."""
_FLOOR = 1e-3
"""Gradients smaller than this share of the net's largest one are rounding: a bias before BatchNorm has none at all."""

_ROUGH = 0.05
"""Norm of the difference of a parameter's gradients, as a share of theirs, that coarse rounding comes to: 0.011 was
seen."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """What a training step and a pass in eval mode after it gave.

    Attributes:
        logits: In training mode, (N, classes); `predictions` are those in eval mode.
        gradients: Of each parameter, by name; None where it has none.
        buffers: After the step, by name.
        generators: Where the random generators stood at the end.
        parameters: Each parameter after the step, by name: the objects themselves.
    """

    logits: Tensor
    gradients: Mapping[str, Tensor | None]
    buffers: Mapping[str, Tensor]
    predictions: Tensor
    generators: tuple[bytes, bytes, str]
    parameters: Mapping[str, Tensor]


def take_step(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Forward and backward in training mode, then forward in eval mode; parameters stay, generators are seeded.

    The net is given copies of the standardised images (N, C, H, W).
    """
    seed_generators(_SEED)
    model.train()
    model.zero_grad()
    logits = take_logits(model(images.clone()))
    functional.cross_entropy(logits, labels).backward()
    return Step(
        logits=logits.detach().clone(),
        gradients={name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        buffers={name: buffer.detach().clone() for name, buffer in model.named_buffers()},
        predictions=look(model, images),
        generators=generator_states(),
        parameters=dict(model.named_parameters()),
    )


def look(model: nn.Module, images: Tensor) -> Tensor:
    """Logits (N, classes) in eval mode, as evaluation takes them."""
    model.eval()
    with torch.no_grad():
        logits: Tensor = model(images.clone())
    return logits.clone()


def in_float32(step: Step) -> Step:
    """A step of float64, rounded; what is of another type stays."""

    def rounded(value: Tensor) -> Tensor:
        return value.float() if value.dtype == torch.float64 else value

    return dataclasses.replace(
        step,
        logits=rounded(step.logits),
        predictions=rounded(step.predictions),
        gradients={name: None if value is None else rounded(value) for name, value in step.gradients.items()},
        buffers={name: rounded(value) for name, value in step.buffers.items()},
    )


def find_difference(found: Step, wanted: Step, *, printed: Step | None = None) -> str:
    """What of a step differs from that of the printed net by more than rounding, in words; empty when nothing does.

    Args:
        found: The step.
        wanted: That of the printed net.
        printed: That of the printed net in float32 where `wanted` is of float64: a gradient may be as far from the
            exact one as the printed one is. What float32 gives for a bias before batch norm is nothing but rounding.
    """
    if found.buffers.keys() != wanted.buffers.keys() or found.gradients.keys() != wanted.gradients.keys():
        return "it has other parameters or buffers"
    for name, value, expected in _outputs(found, wanted):
        if not is_near(value, expected):
            return f"its {name} differ"
    largest = max((float(g.abs().max()) for g in wanted.gradients.values() if g is not None and g.numel()), default=0)
    for name, gradient in wanted.gradients.items():
        given = found.gradients[name]
        if (given is None) != (gradient is None):
            return f"the gradient of {name} is missing in one of them"
        if gradient is None or given is None or is_near(given, gradient, floor=_FLOOR * largest):
            continue
        known = None if printed is None else printed.gradients[name]
        if known is None or not float((given - gradient).abs().max()) <= float((known - gradient).abs().max()):
            return f"the gradient of {name} differs"
    return "" if found.generators == wanted.generators else "it draws other random numbers"


def is_roughly_near(found: Step, wanted: Step) -> bool:
    """Whether two steps may be the same but for kernels that round coarsely, as oneDNN's BatchNorm does.

    Where a rounded value crosses zero or ties in a pool, a part of a gradient goes another way: its single values tell
    nothing, so each parameter's are taken together.
    """
    if not all(is_near(value, expected, slack=10.0) for _, value, expected in _outputs(found, wanted)):
        return False
    gradients = {name: gradient for name, gradient in wanted.gradients.items() if gradient is not None}
    floor = _FLOOR * float(torch.stack([gradient.norm() for gradient in gradients.values()]).norm())
    given = {name: gradient for name, gradient in found.gradients.items() if gradient is not None}
    return given.keys() == gradients.keys() and all(
        float((given[name] - gradient).norm()) <= _ROUGH * max(float(gradient.norm()), floor)
        for name, gradient in gradients.items()
    )


def is_same(found: Step, wanted: Step) -> bool:
    """Whether two steps gave the same bits."""
    gradients = zip(found.gradients.values(), wanted.gradients.values(), strict=True)
    pairs = [(found.logits, wanted.logits), (found.predictions, wanted.predictions)]
    pairs += [pair for pair in gradients if None not in pair]  # type: ignore[misc]
    return all(torch.equal(value.nan_to_num(), expected.nan_to_num()) for value, expected in pairs)


def _outputs(found: Step, wanted: Step) -> list[tuple[str, Tensor, Tensor]]:
    outputs = [("logits", found.logits, wanted.logits), ("predictions", found.predictions, wanted.predictions)]
    return outputs + [(name, found.buffers[name], buffer) for name, buffer in wanted.buffers.items()]


def is_near(value: Tensor, expected: Tensor, *, floor: float = 0.0, slack: float = 1.0) -> bool:
    """Whether two tensors are the same but for rounding, `slack` times the usual, of what is at least `floor`."""
    if value.shape != expected.shape or value.dtype != expected.dtype:
        return False
    tolerance = _TOLERANCE.get(expected.dtype)
    if tolerance is None or not expected.numel():
        return torch.equal(value, expected)
    scale = max(float(expected.abs().max().nan_to_num(posinf=1.0)), floor)
    return torch.allclose(value, expected, rtol=0.0, atol=slack * tolerance * scale, equal_nan=True)
