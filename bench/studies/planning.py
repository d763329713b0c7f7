"""The fair plan: what is wanted, what is stored already, and how long the rest will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bench.core.errors import RecipeError
from bench.core.metadata import is_other_net
from bench.core.recipe import WHOLE_PIXELS
from bench.core.records import SETTLED
from bench.core.run import CountedRun, Plan, RunRequest, Task
from bench.core.work.claims.claim import AS_CLAIMED
from bench.models.fingerprint import architecture_hash
from bench.models.rewriting.kernels.library import VERSION as KERNELS_VERSION
from bench.training.loop import ENGINE_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureMetadata, DatasetMetadata
    from bench.core.recipe import Budget, Recipe
    from bench.store.store import Store
    from bench.studies.machine import Hardware

_COSTS = {"torch": (1.2e-4, 7.3e-11), "lanes": (4.0e-5, 6.4e-11)}
"""Training cost of an image on one core by engine, seconds and seconds a MAC: a first guess, until runs are stored.

That of torch was fitted to four nets on one machine; that of lanes is its share of it in another fit, both engines side
by side: a third of the first, 0.87 of the second.
"""
_TRIAL_COUNTS = 3.0
"""How many times that guess a net's trial step must have taken to be believed: an image of a step of 32 took up to 2.4
times as long as one of 128 in the nets that the guess was fitted to."""
_EVALUATION_SHARE = 1.2
LEAST_TIMEOUT_SECONDS = 3_600.0


def make_requests(
    architectures: Sequence[Architecture],
    *,
    training: Mapping[str, Sequence[tuple[Recipe, Budget]]],
    dataset: DatasetMetadata,
    seeds: Sequence[int],
    hardware: Hardware,
    protocol: str = "select",
    split_seed: int | None = None,
) -> list[RunRequest]:
    """Every architecture with every seed.

    Args:
        architectures: What is compared.
        training: Recipes and budgets of each architecture, by name.
        dataset: What is trained on.
        seeds: The shared seeds.
        hardware: What trains them.
        protocol: Who may look at what, one of `bench.core.run.PROTOCOLS`.
        split_seed: Seed of one split for all; None for a split of each run's own seed.

    Raises:
        RecipeError: A batch holds more images than there are to train on, or images are moved out of sight.
    """
    for architecture in architectures:
        for recipe, _ in training[architecture.name]:
            _check_fit(recipe, architecture, dataset, protocol)
    hashes = {architecture.name: architecture_hash(architecture) for architecture in architectures}  # 7 ms each
    return [
        RunRequest(
            architecture=architecture,
            architecture_hash=hashes[architecture.name],
            recipe=recipe,
            budget=budget,
            dataset=dataset.name,
            data_hash=dataset.data_hash,
            protocol=protocol,
            seed=seed,
            split_seed=seed if split_seed is None else split_seed,
            device=hardware.device,
            instruction_set=hardware.instruction_set,
            engine=hardware.engine,
            kernels_version=KERNELS_VERSION if hardware.engine == "lanes" else 0,
            torch_version=torch.__version__,
            engine_version=ENGINE_VERSION,
        )
        for architecture in architectures
        for recipe, budget in training[architecture.name]
        for seed in seeds
    ]


def epoch_images(dataset: DatasetMetadata, protocol: str) -> int:
    """Images of an epoch: those of the pool that are not for validation, of a claim's run all of them."""
    return dataset.pool_images - (0 if protocol == AS_CLAIMED else dataset.validation_images)


def _check_fit(recipe: Recipe, architecture: Architecture, dataset: DatasetMetadata, protocol: str) -> None:
    train_images = epoch_images(dataset, protocol)
    if recipe.batch_size > train_images:
        raise RecipeError(
            f"Batch size {recipe.batch_size:,} of {architecture.name} is more than the {train_images:,} training "
            f"images of {dataset.name}; choose a smaller --batch-size."
        )
    side = min(dataset.image_shape[1:])
    for name, strength in recipe.augmentation:
        if name in WHOLE_PIXELS and strength >= side:
            raise RecipeError(
                f"Augmentation '{name}:{strength:g}' of {architecture.name} moves images of "
                f"{'×'.join(map(str, dataset.image_shape[1:]))} pixels out of sight; choose {name}:{side - 1} or less."
            )


def make_plan(
    requests: Sequence[RunRequest],
    store: Store,
    *,
    metadata: Mapping[str, ArchitectureMetadata],
    name_recipe: Callable[[RunRequest], str],
    train_images: int,
    machine: str,
    fresh: bool = False,
    run_timeout_seconds: float | None = None,
) -> Plan:
    """Divide requests into what is stored and what must be trained; a run of another net does not count as stored.

    Args:
        requests: The runs that are wanted.
        store: Where runs are kept.
        metadata: What was counted of each architecture, by its name.
        name_recipe: Says what people call the recipe of a request.
        train_images: Images of an epoch.
        machine: This machine, as `bench.system.environment` names it.
        fresh: Train again what is stored.
        run_timeout_seconds: When one try at a run counts as hung; None for ten times its estimate, an hour at least.
    """
    ids = [request.id for request in requests]
    counted, attempts = store.runs.counted_for_plan(ids), store.runs.next_attempts(ids)
    of = {"device": requests[0].device, "engine": requests[0].engine} if requests else {}
    speeds = store.runs.training_speeds(machine, **of)
    tasks, seconds, reused = list[Task](), dict[str, float](), list[CountedRun]()
    for request in requests:
        stored, known = counted.get(request.id), metadata[request.architecture.name]
        if stored is not None and stored.status in SETTLED and not is_other_net(stored, known) and not fresh:
            reused.append(stored)
            continue
        estimate = estimate_seconds(request, known, speeds=speeds, train_images=train_images)
        task = Task(
            request=request,
            attempt=attempts.get(request.id, 1),
            recipe_name=name_recipe(request),
            params=known.params,
            macs=known.macs,
            initial_hash=known.initial_hash,
            proof=known.proof,
            timeout_seconds=run_timeout_seconds or max(LEAST_TIMEOUT_SECONDS, 10 * estimate),
        )
        tasks.append(task)
        seconds[task.run_id] = estimate
    return Plan(
        tasks=tuple(sorted(tasks, key=lambda task: -seconds[task.run_id])),
        seconds=seconds,
        reused=tuple(reused),
        measured=all(task.request.architecture_hash in speeds for task in tasks),
    )


def estimate_seconds(
    request: RunRequest, known: ArchitectureMetadata, *, speeds: Mapping[str, float], train_images: int
) -> float:
    """Seconds of a run on one worker from its start.

    By the images a second of nets that were trained here; before one was, by its MACs, which is right for small nets of
    few layers, or by its trial step where that took far longer: many layers and small maps cost more than arithmetic.
    """
    budget = request.budget
    if budget.seconds is not None:
        return budget.seconds * _EVALUATION_SHARE
    images = (budget.epochs or 0) * train_images
    speed = speeds.get(request.architecture_hash)
    return images * (1 / speed if speed else _guess(request, known)) * _EVALUATION_SHARE


def _guess(request: RunRequest, known: ArchitectureMetadata) -> float:
    """Seconds of a training image."""
    per_image, per_mac = _COSTS[request.engine]
    by_macs, tried = per_image + per_mac * known.macs, known.proof.step_seconds or 0.0
    return tried if tried > _TRIAL_COUNTS * by_macs else by_macs
