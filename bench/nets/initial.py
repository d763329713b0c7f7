"""What a net is before it trains, as one hash, to hear what its source does not show.

A net's file may build another net though neither it nor what it imports has changed (`bench.nets.fingerprint`): a
helper found through `sys.path` or `importlib`, a data file, a variable of the environment. So the net is built from one
seed, and its weights are hashed with what it says of two images in training and in eval mode, which hears another
activation or dropout too. What only shows later (a change after some steps, say) is not heard.
"""

from __future__ import annotations

import hashlib
import json
import platform
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from bench.device import instruction_set
from bench.environment import cpu_model
from bench.facts import is_other_hash
from bench.training.arithmetic import fixed_arithmetic
from bench.training.building import build_model, import_afresh
from bench.training.generators import seed_generators
from bench.training.model_state import read_bits

if TYPE_CHECKING:
    from torch import nn

    from bench.spec import Architecture

_SEED = 0
_IMAGES = 2
_DIGITS = 12


def hash_initial(architecture: Architecture) -> str:
    """Hash of the net that the architecture builds now, on a CPU. No random stream of the caller moves.

    Returns:
        `where:what`, hexadecimal. Bits of the same net may differ between processors and versions, so two hashes tell
        nets apart only where they share the first part (`bench.facts.is_other_net`). Empty for a net whose weights
        differ from build to build though the seed is the same.
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
    return ":".join(hashlib.sha256(part).hexdigest()[:_DIGITS] for part in (json.dumps(here).encode(), content))


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
    images = torch.randn(_IMAGES, *shape, generator=torch.Generator().manual_seed(_SEED))
    digest = hashlib.sha256()
    for training in (True, False):
        model.train(training)
        seed_generators(_SEED)  # for dropout
        with torch.compiler.set_stance("force_eager"):  # compiling takes seconds
            digest.update(read_bits(model(images.clone())))
    return digest.digest()
