"""The seeds of the second stage: the same for the same commit, others for the next."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from bench.core.seeds import FRESH_SEEDS as LOWEST_SEED
from bench.models.fingerprint import architecture_hash
from bench.studies.gate.rule import FRESH_SEEDS
from bench.system.environment import find_checkout

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.core.architecture import Architecture
    from bench.core.gate import Thresholds

_HIGHEST_SEED = 2**31


def draw_fresh_seeds(source: str) -> tuple[int, ...]:
    """Seeds of the second stage: the same for the same commit, others for the next.

    Whoever checks one commit again and again gets no other seeds until one of them passes.

    Args:
        source: The commit, or what else tells one check from another.
    """
    digest = hashlib.sha256(source.encode()).digest()
    generator = np.random.default_rng(list(digest))
    drawn = generator.choice(_HIGHEST_SEED - LOWEST_SEED, size=FRESH_SEEDS, replace=False, shuffle=False)
    return tuple(LOWEST_SEED + int(seed) for seed in drawn)


def find_source(file: Path, thresholds: Thresholds, nets: Iterable[Architecture]) -> str:
    """What tells one check from another: the commit, or where there is none all that is asked.

    Args:
        file: The thresholds file.
        thresholds: What it holds.
        nets: What is checked.
    """
    asked = [dataclasses.asdict(thresholds), *(architecture_hash(net) for net in nets)]
    return find_commit(file) or json.dumps(asked, sort_keys=True, default=str)


def find_commit(file: Path) -> str:
    """The commit of the checkout that holds the thresholds file; empty without one."""
    checkout = find_checkout(file)
    return (checkout and checkout.commit) or ""
