"""What is trained: parameters that no gradient reaches, and layers that the optimizer does not know."""

from __future__ import annotations

import collections
import contextlib
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn import functional

from bench.models.build import take_logits
from bench.models.doctor.subject import FEW
from bench.models.doctor.trace import find_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject

_STEPS = 4
"""Further steps, each with other images and other random numbers, before a parameter counts as never reached: a block
that is dropped half of the time is then seldom missed, and eval mode, which drops none, is tried as well."""
_BUILDS = 3
"""Seeds whose nets must all leave it out: which of its experts a net with a router asks is decided by its weights."""
_MOST = 5
"""Findings of one kind; a net whose gradients all end somewhere would have one for each layer."""


def check_unused(subject: Subject) -> Iterator[Finding]:
    """Trainable parameters that never get a gradient: declared and unused, or behind detach, .data or no_grad."""
    model, step = subject.model, subject.step
    missing = _without_gradient(model)
    if missing and step.others:
        heads = missing & _reached(model, step.others)
        missing -= heads
    if missing:
        missing = _never_reached(subject, missing)
    if not missing:
        return
    called = _find_called(subject)
    by_layer: dict[str, list[str]] = collections.defaultdict(list)
    for name in missing:
        by_layer[name.rpartition(".")[0]].append(name)
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    for layer in sorted(by_layer)[:_MOST]:
        names = sorted(by_layer[layer])
        count = sum(sizes[name] for name in names)
        why = _ENDS if layer in called and layer else _NEVER_CALLED
        # Beside others of its layer that are trained, one may have no influence and be no mistake: a last bias of an
        # energy whose gradient is taken, the bias of a layer of which only the weight is used.
        others = [name for name in sizes if name.rpartition(".")[0] == layer and name not in missing]
        say = subject.advise if layer and others else subject.error
        yield say(
            "unused-parameters",
            f"{_listed(names)}: {count:,} trainable parameters never get a gradient; {why}",
            layer=layer,
            place=subject.locate(layer) or subject.locate(names[0]),
        )
    if len(by_layer) > _MOST:
        yield subject.error("unused-parameters", f"{len(by_layer) - _MOST} more layers get no gradient either")


_ENDS = (
    "it is used where gradients end (no_grad, detach or .data): take that out, or set requires_grad_(False) where it "
    "shall stay as it is"
)
_NEVER_CALLED = "nothing of the forward calls it (reading its .data trains nothing): call it, or take it out"


def advise_heads(subject: Subject) -> Iterator[Finding]:
    """Auxiliary heads in training mode, which are not trained."""
    step = subject.step
    if not step.others:
        return
    heads = _without_gradient(subject.model) & _reached(subject.model, step.others)
    sizes = {name: value.numel() for name, value in subject.model.named_parameters()}
    count = sum(sizes[name] for name in heads)
    alone = f", so that {count:,} parameters of the others are not" if count else ""
    outputs = 1 + len(step.others)
    yield subject.advise(
        "auxiliary-heads",
        f"in training mode it returns {outputs} outputs, as with auxiliary heads: it is trained on the first{alone}",
        layer=min((name.rpartition(".")[0] for name in heads), default=""),
    )


def check_new_layers(subject: Subject) -> Iterator[Finding]:
    """Layers that are made and registered in forward, after the optimizer has been."""
    if names := subject.step.new:
        yield subject.error(
            "new-layers",
            f"its forward makes {_listed(names)}, which are never trained, as the optimizer is made before: make "
            "layers in __init__, or use torch's lazy ones (nn.LazyLinear, nn.LazyConv2d)",
            layer=names[0].rpartition(".")[0],
        )


def check_unregistered(subject: Subject) -> Iterator[Finding]:
    """Trainable parameters that take part and are not the net's: in a plain list, or of layers made in forward."""
    hidden = _find_hidden(subject)
    if not hidden:
        return
    again = _find_hidden(subject)
    count = sum(value.numel() for value in hidden.values())
    if hidden.keys().isdisjoint(again):
        shapes = ", ".join("×".join(map(str, value.shape)) for value in list(hidden.values())[:2])
        yield subject.error(
            "new-layers",
            f"its forward makes {count:,} parameters anew at every step ({shapes} …), which are lost after it and "
            "never trained: make these layers in __init__",
        )
        return
    holder, attribute = _find_holder(subject.model, set(hidden))
    where = f" in {attribute}" if attribute else ""
    yield subject.error(
        "unregistered-layers",
        f"{count:,} parameters{where} take part and are not registered, so that they are neither trained nor saved: "
        "hold layers in nn.ModuleList or nn.ModuleDict instead of a list or dict",
        layer=holder,
        place=subject.locate(f"{holder}.{attribute}".lstrip(".")),
    )


def _without_gradient(model: nn.Module) -> set[str]:
    return {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None and parameter.numel()
    }


def _reached(model: nn.Module, outputs: Sequence[Tensor]) -> set[str]:
    """Names of parameters that outputs depend on; those that a graph was freed of are found by it all the same."""
    leaves = {id(leaf) for leaf in _find_leaves(outputs)}
    return {name for name, parameter in model.named_parameters() if id(parameter) in leaves}


def _find_leaves(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Tensors that a graph begins with."""
    waiting: list[Any] = [output.grad_fn for output in outputs]
    seen, found = set[Any](), []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(leaf := getattr(node, "variable", None), Tensor):
            found.append(leaf)
        waiting += [following for following, _ in node.next_functions]
    return found


def _never_reached(subject: Subject, missing: set[str]) -> set[str]:
    """Those of them that no other step, image, mode or seed reaches either."""
    for seed in range(_BUILDS):
        model = subject.model if seed == 0 else subject.build(seed=seed)
        for number in range(_STEPS):
            loud = 3.0 ** (number - _STEPS // 2)
            images = subject.noise[:FEW].roll(number, 0) * loud if number else subject.images[FEW : 2 * FEW]
            with contextlib.suppress(Exception):  # a net may refuse noise
                subject.take_step(model, images, subject.labels[: len(images)], seed=10 * seed + number)
                missing &= _without_gradient(model)
            if not missing:
                return missing
        with contextlib.suppress(Exception), subject.alone():
            model.eval()
            model.zero_grad()
            logits = take_logits(model(subject.images[:FEW].clone()))
            functional.cross_entropy(logits, subject.labels[:FEW]).backward()
            missing &= _without_gradient(model)
    return missing


def _find_called(subject: Subject) -> set[str]:
    """Paths of modules that are called in a forward pass."""
    called: set[str] = set()
    handles = []
    for name, module in subject.model.named_modules():
        with contextlib.suppress(RuntimeError):  # some scripted ones take no hooks
            handles.append(module.register_forward_pre_hook(lambda _m, _i, name=name: called.add(name)))
    try:
        subject.train(subject.model, subject.images[:FEW])
    finally:
        for handle in handles:
            handle.remove()
    return called


def _find_hidden(subject: Subject) -> Mapping[int, Tensor]:
    """Trainable parameters of a training pass that are not registered, by an identity that stays theirs."""
    registered = {id(parameter) for parameter in subject.model.parameters()}
    outputs = list(find_tensors([subject.train(subject.model, subject.images[:FEW])]))
    leaves = _find_leaves(outputs)
    return {id(leaf): leaf for leaf in leaves if isinstance(leaf, nn.Parameter) and id(leaf) not in registered}


def _find_holder(model: nn.Module, hidden: set[int]) -> tuple[str, str]:
    """Path of the module, and its attribute, in which parameters are kept that are not registered."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_") and hidden & {id(parameter) for parameter in _parameters_in(value, depth=3)}:
                return path, name
    return "", ""


def _parameters_in(value: Any, *, depth: int) -> Iterator[Tensor]:
    if isinstance(value, nn.Module):
        yield from value.parameters()
    elif isinstance(value, nn.Parameter):
        yield value
    elif isinstance(value, list | tuple | dict) and depth:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _parameters_in(item, depth=depth - 1)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
