"""The runs of the gate, references and checks alike: validation images only, one split for all; and fresh seeds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from bench.core.recipe import Budget
from bench.core.seeds import FRESH_SEEDS as LOWEST_FRESH_SEED
from bench.core.work.gate import SPLIT_SEED
from bench.execution import scheduler
from bench.models.fingerprint import architecture_hash
from bench.studies.gate.rule import FRESH_SEEDS
from bench.system.environment import find_checkout

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.recipe import Recipe
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest
    from bench.core.work.gate import Thresholds
    from bench.studies.experiment import Experiment


def make_gate_requests(
    experiment: Experiment, *, recipe: Recipe, epochs: int, seeds: Mapping[str, Sequence[int]]
) -> dict[str, list[RunRequest]]:
    """Runs that see validation images only, on one split for all: of each architecture in the order of its seeds."""
    training = [(recipe, Budget(epochs=epochs))]
    return {
        net.name: experiment.requests(
            [net], {net.name: training}, seeds=seeds[net.name], protocol="validation", split_seed=SPLIT_SEED
        )
        for net in experiment.architectures
        if net.name in seeds
    }


def train(
    experiment: Experiment, requests: Mapping[str, Sequence[RunRequest]], *, role: str
) -> Generator[Event, None, dict[str, list[RunRecord]]]:
    """Train what is not stored of the requests, whose role is "gate" or "reference".

    Returns:
        The runs of each architecture, in the order of its requests.
    """
    flat = [request for by_seed in requests.values() for request in by_seed]
    plan = experiment.begin(flat, role=role, names={request.id: request.recipe.spelt for request in flat})
    yield from scheduler.run(plan, experiment.workplace)
    records = experiment.store.runs.counted(run.request_id for run in plan.reused)
    for task in plan.tasks:  # the attempt just made, though it failed: with --fresh an older one may have ended well
        record = experiment.store.runs.find(task.run_id)
        assert record is not None  # noqa: S101 - a run stores itself before it is announced
        records[task.request.id] = record
    return {name: [records[request.id] for request in of] for name, of in requests.items()}


def draw_fresh_seeds(source: str) -> tuple[int, ...]:
    """Seeds of the second stage: the same for the same commit, others for the next.

    Whoever checks one commit again and again gets no other seeds until one of them passes.

    Args:
        source: The commit, or what else tells one check from another.
    """
    generator = np.random.default_rng(list(hashlib.sha256(source.encode()).digest()))
    drawn = generator.choice(2**31 - LOWEST_FRESH_SEED, size=FRESH_SEEDS, replace=False, shuffle=False)
    return tuple(LOWEST_FRESH_SEED + int(seed) for seed in drawn)


def find_source(file: Path, thresholds: Thresholds, nets: Iterable[Architecture]) -> str:
    """What tells one check from another: the commit, or where there is none all that is asked."""
    asked = [dataclasses.asdict(thresholds), *(architecture_hash(net) for net in nets)]
    return find_commit(file) or json.dumps(asked, sort_keys=True, default=str)


def find_commit(file: Path) -> str:
    """The commit of the checkout that holds the thresholds file; empty without one."""
    checkout = find_checkout(file)
    return (checkout and checkout.commit) or ""
