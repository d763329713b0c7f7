"""The runs of the gate, references and checks alike: validation images only, one split for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.core.gate import SPLIT_SEED
from bench.core.recipe import Budget
from bench.execution import scheduler
from bench.studies.planning import make_requests

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from bench.core.events import Event
    from bench.core.recipe import Recipe
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest
    from bench.studies.experiment import Experiment


def make_gate_requests(
    experiment: Experiment, *, recipe: Recipe, epochs: int, seeds: Mapping[str, Sequence[int]]
) -> dict[str, list[RunRequest]]:
    """Runs that see validation images only, on one split for all.

    Args:
        experiment: What is trained, on what and where.
        recipe: How.
        epochs: How long.
        seeds: Which seeds of which architecture.

    Returns:
        The requests of each architecture, in the order of its seeds.
    """
    training = [(recipe, Budget(epochs=epochs))]
    return {
        net.name: make_requests(
            [net], training={net.name: training}, dataset=experiment.dataset, seeds=seeds[net.name],
            device=experiment.device, instruction_set=experiment.instruction_set, protocol="validation",
            split_seed=SPLIT_SEED,
        )
        for net in experiment.architectures
        if net.name in seeds
    }  # fmt: skip


def train(
    experiment: Experiment, requests: Mapping[str, Sequence[RunRequest]], *, role: str
) -> Generator[Event, None, dict[str, list[RunRecord]]]:
    """Train what is not stored of the requests.

    Args:
        experiment: What is trained, on what and where.
        requests: The runs, by architecture.
        role: "gate" or "reference".

    Returns:
        The runs of each architecture, in the order of its requests.
    """
    every = [request for of in requests.values() for request in of]
    names = {request.id: request.recipe.spelt for request in every}
    plan = experiment.begin(every, role=role, names=names)
    yield from scheduler.run(plan, experiment.workplace)
    found = {record.request_id: record for record in plan.reused}
    for task in plan.tasks:  # the attempt just made, though it failed: with --fresh an older one may have ended well
        record = experiment.store.runs.find(task.run_id)
        assert record is not None  # noqa: S101 - a run stores itself before it is announced
        found[task.request.id] = record
    return {name: [found[request.id] for request in of] for name, of in requests.items()}
