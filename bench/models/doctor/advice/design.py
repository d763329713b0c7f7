"""What the layers of a net say of it before any image: where they stand, and how many parameters they have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn

from bench.models.doctor.trace import find_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.metadata import Finding
    from bench.models.doctor.advice.propagation import Propagation
    from bench.models.doctor.subject import Subject

_LARGE_SHARE = 0.8
_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)([km])(?![a-z\d])", re.IGNORECASE)
_IN_SUMMARY = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s?([km])\s+(?:trainable\s+)?param", re.IGNORECASE)
_PROMISE = 0.15
"""By how much a promised size may be off: names round."""


def advise_bias(subject: Subject, seen: Propagation) -> Iterator[Finding]:
    """A bias that the batch norm behind it takes out again."""
    if layers := seen.biased:
        more = f", and so on in {len(layers)} layers" if len(layers) > 1 else ""
        text = "has a bias, which the batch norm behind it takes out again: bias=False saves it"
        yield subject.advise("bias-before-norm", f"{subject.call(layers[0])} {text}{more}", layer=layers[0])


def advise_end_norm(subject: Subject, seen: Propagation) -> Iterator[Finding]:
    """A batch norm on the logits."""
    if seen.last_norm is not None:
        yield subject.advise(
            "norm-at-end",
            "the logits come out of a batch norm, which fixes how large they are: let a linear layer be the last",
            layer=seen.last_norm,
        )


def advise_large_layer(subject: Subject) -> Iterator[Finding]:
    """One layer that holds nearly all parameters, of several."""
    sizes = {
        name: sum(parameter.numel() for parameter in module._parameters.values() if parameter is not None)  # noqa: SLF001
        for name, module in subject.model.named_modules()
    }
    sizes = {name: size for name, size in sizes.items() if size}
    total = sum(parameter.numel() for parameter in subject.model.parameters())
    has_maps = any(isinstance(each, nn.Conv2d) for each in subject.model.modules())
    if not has_maps or len([size for size in sizes.values() if size > total / 1000]) < 2:
        return  # without maps the first layer has as many as there are pixels
    name, most = max(sizes.items(), key=lambda item: item[1])
    if most > _LARGE_SHARE * total:
        is_linear = isinstance(find_module(subject.model, name), nn.Linear)
        fix = " (pool once more before it, or average over the map)" if is_linear else ""
        yield subject.advise(
            "one-layer",
            f"{subject.call(name) or 'the net itself'} holds {100 * most / total:.0f} % of all {total:,} parameters: "
            f"what the others do decides little of the size{fix}",
            layer=name,
        )


def advise_size(subject: Subject) -> Iterator[Finding]:
    """A name or a summary that promises another number of parameters than there is."""
    net = subject.architecture
    params = sum(parameter.numel() for parameter in subject.model.parameters())
    name = net.declared_name.rpartition(":")[2]
    promises = [("name", found) for found in _SIZE.finditer(name)]
    promises += [("summary", found) for found in _IN_SUMMARY.finditer(net.summary)]
    for where, found in promises:
        promised = float(found[1]) * (1e3 if found[2].lower() == "k" else 1e6)
        if abs(params - promised) > _PROMISE * promised and net.fitted_from is None and not net.values:
            yield subject.advise(
                "promised-size",
                f"its {where} promises {found[1]}{found[2]} parameters, and it has {params:,}: give it another "
                "name, or other widths",
            )
            return
