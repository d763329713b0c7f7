"""What a net gives: logits or probabilities, told by what they are on several inputs, and numbers that are finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.models.build import take_logits
from bench.models.doctor.trace import find_module, hooked, trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject

_EXACT = 1e-4
"""How far sums of probabilities may be off in float32. Logits would have to be this near on every image of every input,
where they are free in as many directions as there are classes."""
_OTHER = 0.2
"""By how much other weights are larger, at most, as a share."""
_SHAPING = ("View", "Reshape", "Squeeze", "Alias", "Clone", "Transpose", "Permute", "ToCopy")
"""What changes no value, by the names of its nodes in a graph."""
_AT_BOUND = 0.99
"""How near to 1 the largest output comes then, where 1 is the bound."""
_LARGE = 1e3
"""What the last layer is multiplied by: whatever stays within 1 then would for any weights."""


def find_end(outputs: Tensor) -> str:
    """What outputs (N, classes) come out of, "softmax" or "log_softmax", told by what they are; empty of logits."""
    within = bool(((outputs >= 0) & (outputs <= 1)).all())
    if within and bool((outputs.sum(1) - 1).abs().max() < _EXACT):
        return "softmax"
    return "log_softmax" if bool(outputs.logsumexp(1).abs().max() < _EXACT) else ""


def check_probabilities(subject: Subject) -> Iterator[Finding]:
    """Outputs that are probabilities, or their logarithms by log_softmax, before a loss that wants logits."""
    outputs = subject.answers
    if any(not bool(output.isfinite().all()) for output in outputs):
        return
    every = torch.cat(list(outputs)).double()
    trained, judged = find_end(subject.step.logits.detach().double()), find_end(every)
    end, modes = trained or judged, f"on {len(outputs)} batches of unlike images"
    if trained and not judged:
        modes = "in training mode"
    layer, place = _find_last(subject)
    if end == "softmax" and trained and _is_so_for_other_weights(subject):
        yield subject.error(
            "probabilities",
            f"its outputs add up to 1 {modes}, as after a softmax: return what goes into it, as cross-entropy takes "
            "logits and would learn slowly and never be sure",
            layer=layer,
            place=place,
        )
    elif end and not trained:
        yield subject.advise(
            "probabilities-in-eval",
            f"in eval mode alone its outputs are as after a {end}: loss and calibration take them for logits; return "
            "the same in both modes",
            layer=layer,
            place=place,
        )
    elif end == "log_softmax" and _ends_in(subject, "LogSoftmax"):
        yield subject.error(
            "probabilities",
            f"the exponentials of its outputs add up to 1 {modes}, as after a log_softmax: return what goes into it, "
            "as cross-entropy takes logits and applies log_softmax itself",
            layer=layer,
            place=place,
        )
    elif bool(((every >= 0) & (every <= 1)).all()) and _is_logistic(subject, outputs[0]):
        yield subject.error(
            "probabilities",
            f"its outputs lie between 0 and 1 {modes}, as after a sigmoid: return what goes into it, as cross-entropy "
            "takes logits and could not get low",
            layer=layer,
            place=place,
        )


def check_finite(subject: Subject) -> Iterator[Finding]:
    """Outputs, losses and gradients at the start that are no numbers."""
    step = subject.step
    if not bool(step.logits.isfinite().all()):
        yield subject.error("finite", f"{_share(step.logits)} in training mode, before anything is trained: {_ROOTS}")
        return
    bad = [
        name
        for name, parameter in subject.model.named_parameters()
        if parameter.grad is not None and not parameter.grad.is_sparse and not bool(parameter.grad.isfinite().all())
    ]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        text = f"the gradient of {bad[0]}{more} is not finite on the first step: {_ROOTS}"
        yield subject.error("finite", text, layer=bad[0].rpartition(".")[0])
        return
    outputs = subject.answers
    if outputs and not bool(outputs[0].isfinite().all()):
        yield subject.error("finite", f"{_share(outputs[0])} in eval mode, where training mode gives numbers: {_ROOTS}")


_ROOTS = "look for a division by zero, a logarithm or a root of what may be 0 or less"


def advise_end(subject: Subject) -> Iterator[Finding]:
    """Outputs that are never negative, or that stay small however large the last layer's weights are."""
    outputs = subject.answers
    if any(not bool(output.isfinite().all()) for output in outputs):
        return
    every, (layer, place) = torch.cat(list(outputs)), _find_last(subject)
    if not bool(every.any()):
        return
    if bool((every >= 0).all()):
        zeros = float((every == 0).float().mean())
        text = "its outputs are never negative, as after a ReLU or a norm: a linear end has more to say"
        dead = f"; {100 * zeros:.0f} % of them are 0, and no gradient comes back there" if zeros else ""
        yield subject.advise("last-layer", f"{text}{dead}", layer=layer, place=place)
        return
    large = _scaled(subject, _LARGE) if bool((every.abs() <= 1).all()) else None
    if large is not None and _AT_BOUND < float(large.abs().max()) <= 1 + _EXACT:
        text = "its outputs stay within −1 and 1 however large the last layer's weights are, as after a tanh"
        end = f"{text}: cross-entropy cannot get low; leave that end out, or multiply by a scale that is learned"
        yield subject.advise("last-layer", end, layer=layer, place=place)


def _is_so_for_other_weights(subject: Subject) -> bool:
    """Whether training outputs add up to 1 whatever the weights are: a scale that is learned may begin at 1."""
    model = subject.settled
    parameters = [value for value in model.parameters() if value.is_floating_point()]
    kept = [value.detach().clone() for value in parameters]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        try:
            for value in parameters:
                value.mul_(1 + _OTHER * torch.rand(value.shape, generator=generator).to(value.dtype))
            return find_end(take_logits(subject.train(model, subject.batch[0])).detach().double()) == "softmax"
        finally:
            for value, before in zip(parameters, kept, strict=True):
                value.copy_(before)


def _ends_in(subject: Subject, function: str) -> bool:
    """Whether a function of torch is the last of a training pass, but for what changes no value."""
    node = subject.step.logits.grad_fn
    while node is not None and any(word in type(node).__name__ for word in _SHAPING):
        node = node.next_functions[0][0]
    return node is not None and type(node).__name__.startswith(function)


def _is_logistic(subject: Subject, plain: Tensor) -> bool:
    """Whether outputs come from a sigmoid: σ(x) + σ(−x) = 1 where the last layer's weights change their sign.

    Lengths of capsules lie between 0 and 1 as well, and stay as they are.
    """
    turned = _scaled(subject, -1.0)
    by_value = turned is not None and bool((plain + turned - 1).abs().max() < _EXACT)
    return by_value or _ends_in(subject, "Sigmoid")


def _scaled(subject: Subject, factor: float) -> Tensor | None:
    """The outputs of images where the parameters of the last layer are multiplied; None where it has none."""
    model, images = subject.settled, subject.shown
    last = find_module(model, _find_last_weights(subject, model)) if list(model.parameters()) else model
    parameters = list(last._parameters.values())  # noqa: SLF001 - its own, without those of its children
    mine = [parameter for parameter in parameters if parameter is not None]
    kept = [parameter.detach().clone() for parameter in mine]
    if not mine:
        return None
    with torch.no_grad():
        try:
            for parameter in mine:
                parameter.mul_(factor)
            return subject.evaluate(model, images)
        finally:
            for parameter, value in zip(mine, kept, strict=True):
                parameter.copy_(value)


def _find_last_weights(subject: Subject, model: nn.Module) -> str:
    """Path of the last module with parameters of its own that ends in a forward pass."""
    return _last_of(subject, {name for name, module in model.named_modules() if any(module._parameters)})  # noqa: SLF001


def _find_last(subject: Subject) -> tuple[str, str]:
    """Path of the module whose function of torch is the last of a pass, empty for the net itself; and its line."""
    seen = trace(subject.settled, subject.images[:1], training=False, file=subject.file)
    if not seen.operations:  # a scripted net does not tell
        return _last_of(subject, {name for name, _ in subject.settled.named_modules()}), ""
    last = seen.operations[-1]
    return last.layer, subject.locate(last.layer) or last.place


def _last_of(subject: Subject, names: set[str]) -> str:
    """Which of these modules, the net itself apart, ends last in a pass."""
    ended: list[str] = []
    with hooked(subject.settled, after=ended.append):
        subject.evaluate(subject.settled, subject.images[:1])
    return next((name for name in reversed(ended) if name and name in names), "")


def _share(values: Tensor) -> str:
    bad = 1 - float(values.isfinite().float().mean())
    return f"{100 * bad:.0f} % of its logits for {len(values)} images are not finite"
