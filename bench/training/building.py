"""From an architecture to a net: fresh, as its source prints it, from a seed of the run alone."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from bench.seeds import Stream, derive_seed
from bench.training.generators import kept_generators, seed_generators

if TYPE_CHECKING:
    from bench.spec import Architecture


def import_afresh(architecture: Architecture, seed: int) -> Architecture:
    """The architecture with its net's file run anew: what that file keeps at module level comes from nobody else.

    A net without a file, or in a package (`bench.nets.loading`), stays what it is. Generators are left seeded from the
    run's initialisation stream: a file may draw while it is imported.

    Args:
        architecture: The net.
        seed: Seed of the run.
    """
    seed_generators(derive_seed(seed, Stream.INITIALISATION, architecture=architecture.name))
    if architecture.file is None:
        return architecture
    afresh: Architecture = pickle.loads(pickle.dumps(architecture))  # noqa: S301 - what has just been pickled
    return afresh


def build_model(architecture: Architecture, seed: int) -> nn.Module:
    """A fresh net as its source prints it, from the run's initialisation stream; no generator is left moved.

    Lazy modules (`nn.LazyLinear` …) take their shapes from one forward pass of zeros, so that an optimizer that is made
    afterwards knows all their parameters.

    Args:
        architecture: The net.
        seed: Seed of the run.
    """
    with kept_generators():
        seed_generators(derive_seed(seed, Stream.INITIALISATION, architecture=architecture.name))
        model = architecture.build()
        is_module = isinstance(model, nn.Module)  # the type says so, a file may not: `bench.nets.doctor` refuses it
        if is_module and any(map(is_lazy, [*model.parameters(), *model.buffers()])):
            was_training = model.training
            model.eval()  # statistics stay as they are
            with torch.no_grad():
                model(torch.zeros(1, *architecture.input_shape))
            model.train(was_training)
        return model
