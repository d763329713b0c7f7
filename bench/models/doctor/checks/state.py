"""What decides a net, and what keeps it: a seed, a state dict, nothing that two builds share, its images untouched."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bench.core.errors import first_line
from bench.core.seeds import Stream, derive_seed
from bench.models.determinism import seed_generators
from bench.models.doctor.subject import same
from bench.models.doctor.trace import find_tensors, hooked
from bench.models.state import read_plain
from bench.models.state import same as same_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject


_DAY = 86_400.0
"""How far the clock is put forward, in seconds, for a net that seeds itself by it."""


def check_sharing(subject: Subject) -> Iterator[Finding]:
    """Two builds that share what is trained, or what a step changes."""
    if subject.sharing:
        yield subject.error("shared-weights", subject.sharing)


def check_seed(subject: Subject) -> Iterator[Finding]:
    """Nets that a seed does not decide, and seeds that all begin alike."""
    first = subject.build()  # untouched: a net may change its weights in a pass
    with subject.later(_DAY):
        second = subject.build()
    if fault := _find_difference(subject, first, second):
        yield subject.error(
            "seed",
            f"two builds from one seed {fault}: it draws random numbers that the run's seed does not decide, asks the "
            "clock, or keeps state outside itself; draw by torch, numpy or random, without a seed of its own",
        )
        return
    if _ends_alike(subject):
        yield subject.error(
            "seed",
            "building it sets the seed of torch's generator, so that seeds start from the same weights: take "
            "torch.manual_seed out of its file",
        )
    elif _draws_alike(subject):
        yield subject.error(
            "seed",
            "its forward sets the seed of torch's generator, so that every step draws the same: take torch.manual_seed "
            "out of it",
        )
    elif _start_alike(first, subject.other):
        yield subject.advise("same-start", "all seeds start from the same weights; they differ in the images' order")


def check_state_dict(subject: Subject) -> Iterator[Finding]:
    """A fresh net that is another one although it was given all of the state dict."""
    if not subject.is_steady:
        return  # said already
    settled, fresh = subject.settled, subject.other
    wanted = subject.evaluate(settled, subject.shown)
    try:
        fresh.load_state_dict(settled.state_dict())
    except Exception as error:  # noqa: BLE001 - whatever it is, the state dict does not come back
        text = f"a fresh net does not take its state dict ({first_line(error)})"
        yield subject.error("state-dict", f"{text}: let the same layers be made at every build, in __init__")
        return
    found = subject.evaluate(fresh, subject.shown)
    if same(wanted, found):
        return
    plain, theirs = read_plain(settled), read_plain(fresh)
    lost = [name for name, value in plain.items() if name not in theirs or not same_value(value, theirs[name])]
    what = f": {', '.join(lost[:3])} {'are' if lost[1:] else 'is'} not in it" if lost else ""
    yield subject.error(
        "state-dict",
        f"a fresh net with its state dict gives other outputs{what}; keep what decides the outputs in parameters and "
        "buffers (register_buffer), or saved weights are not the net",
        layer=lost[0].rpartition(".")[0] if lost else "",
        place=subject.locate(lost[0]) if lost else "",
    )


def check_input(subject: Subject) -> Iterator[Finding]:
    """Images that the net changes in place."""
    given = subject.batch[0]
    mine = given.clone()
    model, layers = subject.settled, list[str]()  # those that work in place and are given these very images
    in_place = {name for name, module in model.named_modules() if getattr(module, "inplace", False)}

    def look(name: str, inputs: Any) -> None:
        if name in in_place:
            with contextlib.suppress(RuntimeError):  # torch.func's tensors lie nowhere
                layers.extend(name for value in find_tensors(inputs) if value.data_ptr() == mine.data_ptr())

    with hooked(model, before=look), subject.alone(), torch.no_grad():
        model.eval()
        model(mine)
    changed = {"training": not torch.equal(subject.step.images, given), "eval": not torch.equal(mine, given)}
    if modes := [mode for mode, is_so in changed.items() if is_so]:
        yield subject.error(
            "input",
            f"it changes the images that it is given, in {' and '.join(modes)} mode: let the first operation not be in "
            "place (nn.ReLU(), x = x - mean), or clone them",
            layer=layers[0] if layers else "",
        )


def _find_difference(subject: Subject, one: nn.Module, again: nn.Module) -> str:
    """In what two nets of a seed differ, in words; empty where they do not."""
    first, second = (dict(net.named_parameters()) for net in (one, again))
    if first.keys() != second.keys():
        return "have other layers"
    for name, value in first.items():
        theirs = second[name]
        if value.shape != theirs.shape or not torch.equal(_values(value), _values(theirs)):
            return f"have other weights ({name})"
    steps = [subject.take_step(net, *subject.batch) for net in (one, again)]
    return "" if same(*(step.logits.detach() for step in steps)) else "take different steps"


def _values(value: Tensor) -> Tensor:
    dense = value.detach().to_dense() if value.layout != torch.strided else value.detach()
    return torch.view_as_real(dense).nan_to_num() if dense.is_complex() else dense.nan_to_num()


def _start_alike(one: nn.Module, other: nn.Module) -> bool:
    trained, others = ([p for p in net.parameters() if p.requires_grad] for net in (one, other))
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(trained, others, strict=False))


def _draws_alike(subject: Subject) -> bool:
    """Whether torch's generator stands where it stood after a step, whatever it was seeded with before."""
    states = []
    for seed in (0, 1):
        with subject.alone():
            seed_generators(seed)
            subject.model.train()
            subject.model(subject.batch[0].clone())
            states.append(torch.get_rng_state())
    return torch.equal(*states)


def _ends_alike(subject: Subject) -> bool:
    """Whether torch's generator stands where it stood, whatever it was seeded with before the build."""
    states = []
    for seed in (0, 1):
        with subject.alone():
            seed_generators(derive_seed(seed, Stream.INITIALISATION, architecture=subject.architecture.name))
            subject.together.build()
            states.append(torch.get_rng_state())
    return torch.equal(*states)
