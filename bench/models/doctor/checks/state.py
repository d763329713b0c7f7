"""What decides a net, and what keeps it: a seed, a state dict, nothing that two builds share, its images untouched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.core.errors import first_line
from bench.core.seeds import Stream, derive_seed
from bench.models.determinism import seed_generators
from bench.models.doctor.subject import FEW, same
from bench.models.state import read_plain
from bench.models.state import same as same_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject


def check_sharing(subject: Subject) -> Iterator[Finding]:
    """Two builds that share what is trained, or what a step changes."""
    if subject.sharing:
        yield subject.error("shared-weights", subject.sharing)


def check_seed(subject: Subject) -> Iterator[Finding]:
    """Nets that a seed does not decide, and seeds that all begin alike."""
    if fault := _find_difference(subject, subject.build()):
        yield subject.error(
            "seed",
            f"two builds from one seed {fault}: it draws random numbers that the run's seed does not decide, or keeps "
            "state outside itself; draw by torch, numpy or random, without a generator or seed of its own",
        )
        return
    trained, others = ([p for p in net.parameters() if p.requires_grad] for net in (subject.model, subject.other))
    if not all(a.shape == b.shape and torch.equal(a, b) for a, b in zip(trained, others, strict=False)):
        return
    if _ends_alike(subject):
        yield subject.error(
            "seed",
            "building it sets the seed of torch's generator, so that all seeds start from the same weights: take "
            "torch.manual_seed out of its file",
        )
    else:
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
    given = subject.images[:FEW]
    in_training = not torch.equal(subject.step.images, given)
    mine = given.clone()
    with subject.alone(), torch.no_grad():
        subject.settled.eval()
        subject.settled(mine)
    if in_training or not torch.equal(mine, given):
        mode = "both modes" if not torch.equal(mine, given) else "training mode"
        first = next((name for name, module in subject.model.named_modules() if getattr(module, "inplace", False)), "")
        yield subject.error(
            "input",
            f"it changes the images that it is given, in {mode}: let the first operation not be in place "
            "(nn.ReLU(), x = x - mean), or clone them",
            layer=first,
        )


def _find_difference(subject: Subject, again: nn.Module) -> str:
    """In what another net of the seed differs, in words; empty where it does not."""
    first, second = (dict(net.named_parameters()) for net in (subject.model, again))
    if first.keys() != second.keys():
        return "have other layers"
    for name, value in first.items():
        theirs = second[name]
        if value.shape != theirs.shape or not torch.equal(_values(value), _values(theirs)):
            return f"have other weights ({name})"
    step = subject.take_step(again, subject.images[:FEW], subject.labels[:FEW])
    return "" if same(subject.step.logits.detach(), step.logits.detach()) else "take different steps"


def _values(value: Tensor) -> Tensor:
    dense = value.detach().to_dense() if value.layout != torch.strided else value.detach()
    return torch.view_as_real(dense).nan_to_num() if dense.is_complex() else dense.nan_to_num()


def _ends_alike(subject: Subject) -> bool:
    """Whether torch's generator stands where it stood, whatever it was seeded with before the build."""
    states = []
    for seed in (0, 1):
        with subject.alone():
            seed_generators(derive_seed(seed, Stream.INITIALISATION, architecture=subject.architecture.name))
            subject.together.build()
            states.append(torch.get_rng_state())
    return torch.equal(*states)
