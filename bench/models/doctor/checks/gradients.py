"""What is trained: parameters that no gradient reaches, and layers that the optimizer does not know."""

from __future__ import annotations

import ast
import collections
import contextlib
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.models.build import take_logits
from bench.models.determinism import seed_generators
from bench.models.doctor.isolation import say_new_parameters
from bench.models.doctor.subject import is_of_library
from bench.models.doctor.trace import find_module, find_tensors, hooked
from bench.system.text import first_ones, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject

_STEPS = 4
"""Further steps, each with other images and other random numbers, before a parameter counts as never reached: a block
that is dropped half of the time is then seldom missed."""
_BUILDS = 3
"""Seeds whose nets must all leave it out: which of its experts a net with a router asks is decided by its weights."""
_PATIENCE = 40
"""Still further ones of what eval mode uses: a block may be dropped nine times out of ten."""
_MOST = 5
"""Findings of one kind; a net whose gradients all end somewhere would have one for each layer."""


def check_unused(subject: Subject) -> Iterator[Finding]:
    """Trainable parameters that never get a gradient: declared and unused, or behind detach, .data or no_grad."""
    model, step = subject.model, subject.step
    missing = _without_gradient(model)
    if not missing:
        return
    missing = _never_reached(subject, missing)
    in_eval = _find_in_eval(subject) & missing
    if in_eval:
        in_eval = _never_reached(subject, in_eval, steps=_PATIENCE, builds=1)
    if in_eval:
        yield _say_untrained(subject, in_eval)
        return
    missing -= _reached(model, step.others)
    called = _find_called(subject)
    by_layer: dict[str, list[str]] = collections.defaultdict(list)
    for name in sorted(missing):
        by_layer[name.rpartition(".")[0]].append(name)
    found = [_say_unused(subject, layer, names, is_called=layer in called) for layer, names in sorted(by_layer.items())]
    found.sort(key=lambda finding: finding.level != "error")
    yield from found[:_MOST]
    if rest := found[_MOST:]:
        say = subject.error if rest[0].level == "error" else subject.advise
        yield say("unused-parameters", f"{len(rest)} more layers get no gradient either")


def _say_unused(subject: Subject, layer: str, names: Sequence[str], *, is_called: bool) -> Finding:
    """An error, unless there may be a reason why none of these parameters got a gradient."""
    sizes = {name: value.numel() for name, value in subject.model.named_parameters()}
    say, why = subject.error, _ENDS if is_called and layer else _NEVER_CALLED
    # Beside others of its layer that are trained, one may have no influence and be no mistake: a last bias of an energy
    # whose gradient is taken, the bias of a layer of which only the weight is used.
    if layer and any(name.rpartition(".")[0] == layer and name not in names for name in sizes) and is_called:
        say = subject.advise
    elif not is_called and _is_mentioned(subject.model, layer):
        say, why = subject.advise, _NOT_YET
    count = sum(sizes[name] for name in names)
    return say(
        "unused-parameters",
        f"{listing(first_ones(list(names)))}: {count:,} trainable parameters never get a gradient; {why}",
        layer=layer,
        place=subject.locate(layer) or subject.locate(names[0]),
    )


def _say_untrained(subject: Subject, names: set[str]) -> Finding:
    sizes = {name: value.numel() for name, value in subject.model.named_parameters()}
    layers = sorted({name.rpartition(".")[0] for name in names})
    count = sum(sizes[name] for name in names)
    return subject.error(
        "unused-parameters",
        f"eval mode uses {listing(first_ones(sorted(names)))}, and no training step reaches them: {count:,} parameters "
        "that decide what is judged stay as they began; let both modes go the same way (of several outputs in training "
        "mode the first is trained)",
        layer=layers[0],
        place=subject.locate(layers[0]),
    )


_ENDS = (
    "it is used where gradients end (no_grad, detach or .data): take that out, or set requires_grad_(False) where it "
    "shall stay as it is"
)
_NEVER_CALLED = "nothing of the forward calls it (reading its .data trains nothing): call it, or take it out"
_NOT_YET = (
    "none of some hundred images came to it: it is no mistake where a router, or a number of steps, decides when it is "
    "used"
)


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
        yield subject.error("new-layers", say_new_parameters(names), layer=names[0].rpartition(".")[0])


def check_unregistered(subject: Subject) -> Iterator[Finding]:
    """What is trained, takes part and is not the net's: in a plain list, or of layers made in forward."""
    first = _find_hidden(subject)
    if not first:
        return
    again = _find_hidden(subject)
    kept = {key: leaf for key, leaf in first.items() if key in again}
    made = [leaf for key, leaf in first.items() if key not in again and isinstance(leaf, nn.Parameter)]
    if kept:
        yield _say_hidden(subject, kept)
    elif made:  # other tensors that are made in a pass may be what gradients of images are taken by
        count = sum(value.numel() for value in made)
        shapes = ", ".join("×".join(map(str, value.shape)) for value in made[:2])
        yield subject.error(
            "new-layers",
            f"its forward makes {count:,} parameters anew at every step ({shapes} …), which are lost after it and "
            "never trained: make these layers in __init__",
        )


def _say_hidden(subject: Subject, kept: Mapping[int, Tensor]) -> Finding:
    count = sum(value.numel() for value in kept.values())
    holder, attribute, value = _find_holder(subject.model, set(kept))
    where = f" in {attribute}" if attribute else ""
    if isinstance(value, list | tuple | dict):
        fix = "hold layers in nn.ModuleList or nn.ModuleDict instead of a list or dict"
    else:
        fix = "make each an attribute of a module in its __init__, a tensor as nn.Parameter, and use it from there"
    return subject.error(
        "unregistered-layers",
        f"{count:,} parameters{where} take part and are not registered, so that they are neither trained nor saved: "
        f"{fix}",
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


def _never_reached(subject: Subject, missing: set[str], *, steps: int = _STEPS, builds: int = _BUILDS) -> set[str]:
    """Those of them that no other step in training mode, images or seed reaches either."""
    generator = torch.Generator().manual_seed(0)
    for seed in range(builds):
        model = subject.model if seed == 0 else subject.build(seed=seed)
        for number in range(steps):
            images, loud = subject.images, 3.0 ** (number % _STEPS - _STEPS // 2)
            if number:
                images = loud * torch.randn(images.shape, generator=generator)
            with contextlib.suppress(Exception):  # a net may refuse noise
                subject.take_step(model, images, subject.labels, seed=10 * seed + number)
                missing = missing & _without_gradient(model)
            if not missing:
                return missing
    return missing


def _find_in_eval(subject: Subject) -> set[str]:
    """Names of parameters that decide the logits in eval mode."""
    model = subject.settled
    with contextlib.suppress(Exception), subject.alone():
        seed_generators(1)
        model.eval()
        return _reached(model, [take_logits(model(subject.shown.clone()))])
    return set()


def _is_mentioned(model: nn.Module, layer: str) -> bool:
    """Whether code beside `__init__` speaks of a layer, or of the list that it stands in; or nobody can say."""
    parts = layer.split(".")
    for depth in range(len(parts) - 1, -1, -1):
        kinds = type(find_module(model, ".".join(parts[:depth]))).__mro__
        own = [kind for kind in kinds if kind is not object and not is_of_library(kind)]
        if own:
            return any(_mentions(kind, parts[depth]) for kind in own)
    return False


def _mentions(kind: type, attribute: str) -> bool:
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    except (OSError, TypeError, SyntaxError, ValueError):  # typed at a prompt
        return True
    methods = [node for node in ast.walk(body) if isinstance(node, ast.FunctionDef) and node.name != "__init__"]
    words = [node for method in methods for node in ast.walk(method)]
    return any(
        (isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.Name) and node.id in ("getattr", "vars"))
        or (isinstance(node, ast.Attribute) and node.attr in ("children", "modules", "named_children", "_modules"))
        for node in words
    )


def _find_called(subject: Subject) -> set[str]:
    """Paths of modules that are called in a forward pass."""
    called: set[str] = set()
    with hooked(subject.model, before=lambda name, _inputs: called.add(name)):
        subject.train(subject.model, subject.batch[0])
    return called


def _find_hidden(subject: Subject) -> Mapping[int, Tensor]:
    """What a training pass begins with and is not registered, by an identity that stays its own."""
    model = subject.model
    registered = {id(value) for value in [*model.parameters(), *model.buffers()]}
    outputs = list(find_tensors([subject.train(model, subject.batch[0])]))
    return {id(leaf): leaf for leaf in _find_leaves(outputs) if id(leaf) not in registered}


def _find_holder(model: nn.Module, hidden: set[int]) -> tuple[str, str, Any]:
    """Path of the module, its attribute, and what that is, in which parameters are kept that are not registered."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_") and hidden & {id(parameter) for parameter in _parameters_in(value, depth=3)}:
                return path, name, value
    return "", "", None


def _parameters_in(value: Any, *, depth: int) -> Iterator[Tensor]:
    if isinstance(value, nn.Module):
        yield from value.parameters()
    elif isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict) and depth:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _parameters_in(item, depth=depth - 1)
