"""From an architecture to a fresh net, from a seed of the run alone; and the hash of what it is before it trains.

A net's file may build another net though neither it nor what it imports has changed (`bench.models.fingerprint`): a
helper found through `sys.path` or `importlib`, a data file, a variable of the environment. So the net is built from one
seed, and its weights are hashed with what it says of two images in training and in eval mode, which another activation
or dropout changes too. What only shows later (a change after some steps, say) is not found.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from bench.core.metadata import is_other_hash
from bench.core.seeds import Stream, derive_seed
from bench.models.determinism import fixed_arithmetic, kept_generators, seed_generators
from bench.models.state import read_bits
from bench.system.device import instruction_set
from bench.system.environment import cpu_model

if TYPE_CHECKING:
    from bench.core.architecture import Architecture


def import_afresh(architecture: Architecture, seed: int) -> Architecture:
    """The architecture with its net's file run anew: what that file keeps at module level comes from nobody else.

    A net without a file, or in a package (`bench.models.loading`), stays what it is. Generators are left seeded from
    the run's initialisation stream: a file may draw while it is imported.
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
    """
    with kept_generators():
        seed_generators(derive_seed(seed, Stream.INITIALISATION, architecture=architecture.name))
        model = architecture.build()
        # The type says that it is a module, a file may not: `bench.models.doctor.check` refuses it.
        if isinstance(model, nn.Module) and any(map(is_lazy, [*model.parameters(), *model.buffers()])):
            was_training = model.training
            model.eval()  # statistics stay as they are
            with torch.no_grad():
                model(torch.zeros(1, *architecture.input_shape))
            model.train(was_training)
        return model


def take_logits(output: Any) -> Any:
    """The logits of what a net returns in training mode: the first of several, those of auxiliary heads being behind.

    torchvision's GoogLeNet gives logits and two heads' more; the net is trained on the first.
    """
    return output[0] if isinstance(output, tuple | list) and output else output


_SEED = 0


def hash_initial(architecture: Architecture) -> str:
    """Hash of the net that the architecture builds now, on a CPU. No random stream of the caller moves.

    `where:what`, hexadecimal. Bits of the same net may differ between processors and versions, so two hashes tell nets
    apart only where they share the first part (`bench.core.metadata.is_other_net`). Empty for a net whose
    weights differ from build to build though the seed is the same.
    """
    (weights, answers), again = (_describe(architecture) for _ in range(2))
    if weights != again[0]:
        return ""
    return _name(weights + answers if answers == again[1] else weights)


def builds_other_net(architecture: Architecture, known: str) -> bool:
    """Whether the architecture builds another net now than the one whose hash is known; one build tells."""
    if not known:
        return False
    weights, answers = _describe(architecture)
    return all(is_other_hash(known, _name(content)) for content in (weights + answers, weights))


def _name(content: bytes) -> str:
    here = [torch.__version__, np.__version__, platform.machine(), cpu_model(), instruction_set("cpu")]
    return ":".join(hashlib.sha256(part).hexdigest()[:12] for part in (json.dumps(here).encode(), content))


def _describe(architecture: Architecture) -> tuple[bytes, bytes]:
    """Digests of the weights of a fresh net and of its answers."""
    with fixed_arithmetic("cpu"):
        model = build_model(import_afresh(architecture, _SEED), _SEED).cpu()
        return _digest(model), _digest_answers(model, architecture.input_shape)


def _digest(model: nn.Module) -> bytes:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if isinstance(value, torch.Tensor) and not is_lazy(value):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\0".encode() + read_bits(value))
    return digest.digest()


def _digest_answers(model: nn.Module, shape: tuple[int, int, int]) -> bytes:
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(_SEED))
    digest = hashlib.sha256()
    for training in (True, False):
        model.train(training)
        seed_generators(_SEED)  # for dropout
        with torch.compiler.set_stance("force_eager"):  # compiling takes seconds
            digest.update(read_bits(take_logits(model(images.clone()))))
    return digest.digest()
