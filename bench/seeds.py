"""One seed gives five independent random streams, each without state: any epoch's draws can be made on their own.

Split, data order and augmentation come from the seed alone and are shared by all architectures. Initialisation and
dropout come from the seed and the architecture's name, so that one net under two names is a true A/A test.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum

import numpy as np


COMPARISON_SEEDS = 10_000
"""Seeds below this are for comparisons; tuning, gate and references have ranges above it."""
TUNING_SEEDS = 10_000
"""First seed of tuning."""
MOST_TUNING_SEEDS = 10_000
GATE_SEEDS = 20_000
"""First seed of the gate's first stage."""
REFERENCE_SEEDS = 30_000
"""First seed of the references that the gate holds changes against."""
MOST_REFERENCE_SEEDS = 10_000
FRESH_SEEDS = 40_000
"""Lowest seed of the gate's second stage, which draws them anew for every commit."""


class Stream(IntEnum):
    """What a stream of random numbers is for; the value is part of every derived seed and never changes."""

    SPLIT = 0
    ORDER = 1
    AUGMENTATION = 2
    INITIALISATION = 3
    DROPOUT = 4


_NAMED = (Stream.INITIALISATION, Stream.DROPOUT)


def derive_seed(seed: int, stream: Stream, *, architecture: str = "", epoch: int = 0) -> int:
    """The 63-bit seed of one stream in one epoch (`numpy.random.SeedSequence`).

    Args:
        seed: Seed of the run, from 0.
        stream: What the numbers are for.
        architecture: Name of the architecture; heard by initialisation and dropout only.
        epoch: Epoch, from 0.

    Returns:
        A seed from 0 to 2**63 - 1, for a `torch.Generator` or `numpy.random.default_rng`.
    """
    name = hashlib.sha256(architecture.encode()).digest()[:8] if stream in _NAMED else b""
    spawn_key = (int(stream), epoch, int.from_bytes(name, "little"))
    return int(np.random.SeedSequence(seed, spawn_key=spawn_key).generate_state(1, np.uint64)[0] >> 1)


def derive_sklearn_seed(seed: int, stream: Stream) -> int:
    """The same, cut to the 32 bits that scikit-learn takes."""
    return derive_seed(seed, stream) & 0xFFFF_FFFF
