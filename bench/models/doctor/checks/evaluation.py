"""What holds in eval mode: an image's logits depend on that image alone, and nothing of the net changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bench.core.errors import first_line
from bench.models.doctor.subject import same
from bench.models.doctor.trace import hooked, trace
from bench.models.state import read_bits
from bench.system.python_file import is_own_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject

_SIZES = (1, 2, 3, 7)
_MANY, _SMALL_IMAGE = 129, 3 * 32 * 32
"""A batch as large as those of training, for images of so many values at most: larger ones take seconds."""
_SEEDS = 6
"""Seeds of the generators under which eval mode must say the same: a coin falls alike twice."""
_DRAWING = ("dropout", "dropout2d", "alpha_dropout", "rand_like", "randn_like", "bernoulli", "multinomial", "rrelu")
_DAYS = 86_400.0 * 31.7
"""How far the clock is put forward: another second, hour, day and month."""
_LEAK = 0.05
"""How far logits may be apart beside other images, as a share of the largest, in batches of one size: the same kernels
give the same bits, but a solver that chooses its steps by the whole batch has been seen 0.026 off, which is no harm."""
_APART = 0.2
"""How far logits of one image in batches of two sizes may be apart, as a share of the largest: other kernels round in
another way, and where a net takes signs or spikes, a rounded value may turn some of them."""


def check_leak(subject: Subject) -> Iterator[Finding]:
    """Images of a batch that change what is said of the others."""
    shown, model = subject.shown, subject.settled
    mixed = torch.cat([subject.noise[:1], shown[1:3], subject.noise[1:2]])
    plain, beside = subject.evaluate(model, shown), subject.evaluate(model, mixed)
    if not same(plain, subject.answers[0]):
        return  # it changes by itself, which is said by another check
    turned = subject.evaluate(model, shown.flip(0)).flip(0)
    for other, mine, when in (
        (beside[1:3], plain[1:3], "when other images stand beside it"),
        (turned, plain, "when it stands elsewhere in the batch"),
    ):
        if not same(mine, other, near=_LEAK):
            yield subject.error(
                "leak",
                f"in eval mode the logits of an image change by {_apart(mine, other)} {when}: take means and norms "
                "over channels, rows and columns, not over the batch, and let no reshape, recurrent layer or attention "
                f"(batch_first=True) mix images{_norm_of(subject, model)}",
                layer=_find_batch_norm(model),
            )
            return


def check_batch_sizes(subject: Subject) -> Iterator[Finding]:
    """Batches of other sizes that it fails on."""
    model, images, file = subject.settled, subject.images, subject.file
    many = (_MANY,) if images[0].numel() <= _SMALL_IMAGE else ()
    for size in (*_SIZES, *many):
        try:
            logits = subject.evaluate(model, images[torch.arange(size) % len(images)])
        except BaseException as error:
            if not is_own_fault(file, error):
                raise
            text = (
                f"in eval mode it fails on a batch of {size} ({first_line(error)}): write nothing of the batch's size"
            )
            yield subject.error("batch-size", f"{text} into the net, x.shape[0] instead", place=subject.line_of(error))
            return
        wanted = (size, subject.architecture.classes)
        if tuple(logits.shape) != wanted:
            yield subject.error(
                "batch-size", f"in eval mode a batch of {size} gives {tuple(logits.shape)} in place of {wanted}"
            )
            return


def check_batch_dependence(subject: Subject) -> Iterator[Finding]:
    """Logits of an image that depend on how many images there are."""
    rows = subject.evaluate(subject.settled, subject.images[: _SIZES[-1]])
    alone = subject.evaluate(subject.settled, subject.images[:1])
    if subject.is_steady and _differ(alone, rows[:1]) and _is_so_for_all(subject, rows):
        yield subject.error(
            "leak",
            f"in eval mode the logits of an image alone and in a batch of {_SIZES[-1]} are apart by "
            f"{_apart(rows[:1], alone)}: let nothing depend on how many images there are",
        )


def check_state(subject: Subject) -> Iterator[Finding]:
    """Parameters and buffers that a pass in eval mode changes."""
    model = subject.settled
    subject.evaluate(model, subject.shown)  # the first may fill what is kept from then on
    before = {name: read_bits(value) for name, value in _registered(model)}
    subject.evaluate(model, subject.noise[:4])
    changed = [name for name, value in _registered(model) if read_bits(value) != before.get(name)]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        yield subject.error(
            "eval-state",
            f"a pass in eval mode changes {changed[0]}{more}: change state only if self.training, or evaluating the "
            "net changes it (observers of quantization: apply(torch.ao.quantization.disable_observer))",
            layer=changed[0].rpartition(".")[0],
            place=subject.locate(changed[0]),
        )


def check_randomness(subject: Subject) -> Iterator[Finding]:
    """Outputs in eval mode that depend on the generators, on earlier calls or on the clock."""
    model, shown, seed = subject.settled, subject.shown, 3
    subject.evaluate(model, shown, seed=seed)  # the first may fill what is kept from then on
    first, next_one = (subject.evaluate(model, shown, seed=seed) for _ in range(2))  # behind the same images
    subject.evaluate(model, subject.noise[:4], seed=seed)
    again = subject.evaluate(model, shown, seed=seed)
    if same(first, next_one) and same(first, again):
        drawn = (subject.evaluate(model, shown, seed=seed + more) for more in range(1, _SEEDS))
        other_seed = next((logits for logits in drawn if not same(again, logits)), None)
        if other_seed is not None:
            yield subject.error(
                "eval-random",
                f"in eval mode its outputs are random, by {_apart(again, other_seed)}, as with functional.dropout "
                "without training=self.training: draw only if self.training",
                layer=_find_drawing(subject),
                place=_find_draw(subject),
            )
        elif clock := _ask_clock(subject, first):
            yield clock
        return
    why = (
        "it depends on the images that it saw before"
        if same(first, next_one)
        else "each call gives others, as with a counter or a generator of its own"
    )
    other = again if same(first, next_one) else next_one
    yield subject.error(
        "call-order",
        f"in eval mode the same images give other outputs later, by {_apart(first, other)}; {why}: let the outputs "
        "depend on the images and the weights alone",
    )


def _ask_clock(subject: Subject, first: Tensor) -> Finding | None:
    with subject.later(_DAYS):
        later = subject.evaluate(subject.settled, subject.shown, seed=3)
    if same(first, later):
        return None
    text = f"in eval mode its outputs depend on the clock: a month later they are apart by {_apart(first, later)}"
    return subject.error("call-order", f"{text}; leave the time out")


def _registered(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _differ(one: Tensor, other: Tensor) -> bool:
    return not same(one, other, near=_APART)


def _is_so_for_all(subject: Subject, rows: Tensor) -> bool:
    """Whether most images alone are unlike themselves in the batch: one of them may be a matter of rounding."""
    alone = [subject.evaluate(subject.settled, subject.images[n : n + 1]) for n in range(len(rows))]
    return sum(_differ(logits, rows[n : n + 1]) for n, logits in enumerate(alone)) > len(rows) / 2


def _apart(one: Tensor, other: Tensor) -> str:
    """`12 %` of the largest logit."""
    largest = float(one.abs().nan_to_num().max())
    share = float((one - other).abs().nan_to_num().max()) / largest if largest else 1.0
    if share >= 10:
        return f"{share:,.0f} times the largest"
    return f"{100 * share:.0f} % of the largest" if share >= 0.1 else f"{100 * share:.2g} % of the largest"


def _find_batch_norm(model: nn.Module) -> str:
    """Path of the first batch norm without running statistics, or in training mode, in a net in eval mode."""
    kind = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the common base has no other name
    norms = ((name, module) for name, module in model.named_modules() if isinstance(module, kind))
    return next((name for name, norm in norms if norm.training or not norm.track_running_stats), "")


def _norm_of(subject: Subject, model: nn.Module) -> str:
    name = _find_batch_norm(model)
    return f"; {subject.call(name)} does, as it keeps no running statistics or is left in training mode" if name else ""


def _find_draw(subject: Subject) -> str:
    """The line of a function that draws, in eval mode; empty where a module of torch does, or nobody can say."""
    seen = trace(subject.settled, subject.images[:1], training=False, file=subject.file)
    return next((each.place for each in seen.operations if each.name in _DRAWING), "")


def _find_drawing(subject: Subject) -> str:
    """Path of the first module that draws from torch's generator itself, in eval mode."""
    found: list[str] = []
    states: list[Tensor] = []

    def compare(name: str) -> None:
        if not torch.equal(states.pop(), torch.get_rng_state()):
            found.append(name)

    with hooked(subject.settled, before=lambda _name, _inputs: states.append(torch.get_rng_state()), after=compare):
        subject.evaluate(subject.settled, subject.shown)
    return found[0] if found else ""
