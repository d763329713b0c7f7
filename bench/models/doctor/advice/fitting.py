"""A short honest try: can the net learn a few images by heart?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from bench.models.build import take_logits
from bench.models.counts import count_macs
from bench.models.determinism import seed_generators

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.metadata import Finding
    from bench.models.doctor.subject import Subject

MOST_MACS = 1_100_000
"""Of nets that are tried: larger ones take seconds."""
_MOST_OPERATIONS = 500
"""Of nets that are tried: what walks pixel by pixel has few MACs and takes minutes."""
_SECONDS = 20.0
"""How long a try may take, of this thread; a usual one takes a tenth of a second to two."""
_clock = time.thread_time
"""Of this process: nets are shown another one."""
_STEPS = 200
_LOOKS = 10
_RATES = (3e-3, 1e-2)
"""Of Adam; a net that one blows up, or that learns slowly by it, gets another chance."""
_ENOUGH = 0.9
_POOR = 0.6
"""Share of the images that is right in the end; between the two a longer try may do."""


def advise_fit(subject: Subject) -> Iterator[Finding]:
    """A net that does not even learn the images of one batch."""
    with subject.alone():
        count = count_macs(subject.settled, torch.zeros(1, *subject.architecture.input_shape))
    if count.total > MOST_MACS or count.operations > _MOST_OPERATIONS:
        return
    best, until = 0.0, _clock() + _SECONDS
    for rate in _RATES:
        best = max(best, _fit(subject, rate, until))
        if best >= _POOR or _clock() > until:
            return
    images = len(subject.images)
    yield subject.advise(
        "overfit",
        f"after {_STEPS} steps on {images} images, the same ones, it has {round(best * images)} of them right: a sound "
        "net learns them by heart; look for what stops the gradients, and at the scale of its first and last layer",
    )


def _fit(subject: Subject, rate: float, until: float) -> float:
    """Share of the images that a fresh net has right, in eval mode, when it was trained on them alone or time is up."""
    model = subject.build(seed=2)
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=rate)
    right = 0.0
    for step in range(1, _STEPS + 1):
        with subject.alone():
            seed_generators(step)
            model.train()
            optimizer.zero_grad()
            loss = functional.cross_entropy(take_logits(model(subject.images.clone())), subject.labels)
            loss.backward()
            optimizer.step()
        if step % _LOOKS == 0:
            found = subject.evaluate(model, subject.images).argmax(1) == subject.labels
            right = max(right, float(found.float().mean()))
            if right >= _ENOUGH:
                break
        if _clock() > until:
            break
    return right
