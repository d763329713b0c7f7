"""The fair plan and its execution: what is wanted, what is stored, and a stream of events while the rest is trained.

Prints nothing and asks nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from typing import TYPE_CHECKING

import torch

from bench.errors import BenchError, RecipeError, StoreError
from bench.events import Event, Note, Planned, RunFinished, RunProgress, RunStarted
from bench.nets.fingerprint import architecture_hash
from bench.records import SETTLED
from bench.spec import RunRequest
from bench.task import Task
from bench.training.loop import ENGINE_VERSION
from bench.worker import store_unfinished
from bench.workers import open_workers

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from bench.records import ArchitectureFacts, DatasetFacts, RunRecord
    from bench.spec import Architecture, Budget, Recipe
    from bench.store.store import Store
    from bench.task import Workplace
    from bench.workers import Workers

_SECONDS_PER_IMAGE = 1.2e-4
_SECONDS_PER_MAC = 7.3e-11
"""Training cost of an image on one core, fitted to four nets on one machine: a first guess, until runs are stored."""
_EVALUATION_SHARE = 1.2
_LEAST_TIMEOUT_SECONDS = 3_600.0
_START_SECONDS = 6.0
"""Until a worker process has imported torch and loaded its data."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What one command will do.

    Attributes:
        tasks: Runs to train, the longest first.
        seconds: Estimated seconds of each task, by run id.
        reused: Runs that are stored already.
        measured: True when every estimate comes from stored runs of this machine.
    """

    tasks: tuple[Task, ...]
    seconds: Mapping[str, float]
    reused: tuple[RunRecord, ...]
    measured: bool

    def wall_seconds(self, jobs: int) -> float:
        """Estimated duration on so many workers: their start, then the longest task or the sum shared among them."""
        if not self.tasks:
            return 0.0
        return _START_SECONDS + max(*self.seconds.values(), sum(self.seconds.values()) / jobs)


def make_requests(
    architectures: Sequence[Architecture],
    *,
    training: Mapping[str, tuple[Recipe, Budget]],
    dataset: DatasetFacts,
    seeds: Sequence[int],
    device: str,
) -> list[RunRequest]:
    """Every architecture with every seed, each with a split of its own seed.

    Args:
        architectures: What is compared.
        training: Recipe and budget of each architecture, by name.
        dataset: What is trained on.
        seeds: The shared seeds.
        device: Kind of device.

    Raises:
        RecipeError: A batch holds more images than there are to train on.
    """
    train_images = dataset.pool_images - dataset.validation_images
    for architecture in architectures:
        batch_size = training[architecture.name][0].batch_size
        if batch_size > train_images:
            raise RecipeError(
                f"Batch size {batch_size:,} of {architecture.name} is more than the {train_images:,} training images "
                f"of {dataset.name}; choose a smaller --batch-size."
            )
    return [
        RunRequest(
            architecture=architecture,
            architecture_hash=architecture_hash(architecture),
            recipe=training[architecture.name][0],
            budget=training[architecture.name][1],
            dataset=dataset.name,
            data_hash=dataset.data_hash,
            seed=seed,
            split_seed=seed,
            device=device,
            torch_version=torch.__version__,
            engine_version=ENGINE_VERSION,
        )
        for architecture in architectures
        for seed in seeds
    ]


def plan(
    requests: Sequence[RunRequest],
    store: Store,
    *,
    facts: Mapping[str, ArchitectureFacts],
    recipe_names: Mapping[str, str],
    train_images: int,
    machine: str,
    fresh: bool = False,
    run_timeout_seconds: float | None = None,
) -> Plan:
    """Divide requests into what is stored and what must be trained.

    Args:
        requests: The runs that are wanted.
        store: Where runs are kept.
        facts: What was counted of each architecture, by its name.
        recipe_names: What people call the recipe of each architecture, by its name.
        train_images: Images of an epoch.
        machine: This machine, as `bench.environment` names it.
        fresh: Train again what is stored.
        run_timeout_seconds: When one try at a run counts as hung; None for ten times its estimate, an hour at least.
    """
    ids = [request.id for request in requests]
    counted, attempts = store.counted_runs(ids), store.next_attempts(ids)
    speeds = store.training_speeds(machine, device=requests[0].device if requests else None)
    tasks, reused = [], []
    for request in requests:
        stored = counted.get(request.id)
        if stored is not None and not fresh and stored.status in SETTLED:
            reused.append(stored)
            continue
        known = facts[request.architecture.name]
        task = Task(
            request=request,
            attempt=attempts.get(request.id, 1),
            recipe_name=recipe_names[request.architecture.name],
            params=known.params,
            macs=known.macs,
        )
        timeout = run_timeout_seconds or max(_LEAST_TIMEOUT_SECONDS, 10 * _estimate(task, speeds, train_images))
        tasks.append(dataclasses.replace(task, timeout_seconds=timeout))
    seconds = {task.run_id: _estimate(task, speeds, train_images) for task in tasks}
    return Plan(
        tasks=tuple(sorted(tasks, key=lambda task: -seconds[task.run_id])),
        seconds=seconds,
        reused=tuple(reused),
        measured=all(task.request.architecture_hash in speeds for task in tasks),
    )


def run(plan: Plan, workplace: Workplace) -> Generator[Event, None, None]:
    """Train what the plan lacks. Every run has stored itself before it is announced.

    Args:
        plan: The plan.
        workplace: Where to find data and leave results, and how many may train at once.

    Yields:
        Events in the order in which they happen.

    Raises:
        StoreError: A run could not be stored.
    """
    yield Planned(
        to_train=len(plan.tasks),
        reused=len(plan.reused),
        estimate_seconds=plan.wall_seconds(workplace.jobs) if plan.tasks else None,
    )
    if not plan.tasks:
        return
    under_way: dict[Future[RunRecord], Task] = {}
    try:
        with open_workers(workplace, most=len(plan.tasks)) as workers:
            yield from _train(plan, workplace, workers, under_way)
    except (KeyboardInterrupt, GeneratorExit):
        reason = "It was interrupted; the same command goes on from its last whole epoch."
        for task in under_way.values():
            store_unfinished(task, workplace, status="interrupted", reason=reason)
        raise


def _train(
    plan: Plan, workplace: Workplace, workers: Workers, under_way: dict[Future[RunRecord], Task]
) -> Iterator[Event]:
    """Hand out the tasks, as many as can train at once: a worker that dies then takes no waiting run with it."""
    remaining, started = Remaining(plan.seconds, workplace.jobs), set[str]()
    todo = iter(plan.tasks)
    under_way |= {workers.submit(task): task for task in itertools.islice(todo, workplace.jobs)}
    while under_way:
        message = workers.messages.get()
        if isinstance(message, Note):
            yield message
        elif isinstance(message, RunProgress):
            if message.run_id not in started:
                started.add(message.run_id)
                yield RunStarted(run_id=message.run_id, architecture=message.architecture, seed=message.seed)
            yield message
        else:
            record = _outcome(message, under_way.pop(message), workplace)
            under_way |= {workers.submit(task): task for task in itertools.islice(todo, 1)}
            remaining.finish(record.run_id, record.wall_seconds or 0.0)
            yield RunFinished(
                record=record, done=remaining.done, total=len(plan.tasks), seconds_left=remaining.seconds()
            )


class Remaining:
    """How long the rest of a plan takes, as the estimates say, corrected by the runs that have ended.

    Attributes:
        done: Runs that have ended.
    """

    def __init__(self, seconds: Mapping[str, float], jobs: int) -> None:
        self.done = 0
        self._estimates, self._jobs = seconds, jobs
        self._estimated = self._taken = 0.0
        self._started = time.perf_counter()

    def finish(self, run_id: str, wall_seconds: float) -> None:
        """Hear how long a run took."""
        self.done += 1
        self._estimated += self._estimates[run_id]
        self._taken += wall_seconds

    def seconds(self) -> float:
        """Estimated seconds to the end: the whole plan at the pace of the ended runs, less what has passed."""
        whole = sum(self._estimates.values()) * self._taken / max(self._estimated, 1e-9) / self._jobs
        passed = time.perf_counter() - self._started
        return max(0.0, whole - passed) if self.done < len(self._estimates) else 0.0


def _outcome(future: Future[RunRecord], task: Task, workplace: Workplace) -> RunRecord:
    """The record of a finished future; a worker that died leaves one that says so."""
    try:
        return future.result()
    except StoreError:
        raise
    except BenchError as fault:
        return store_unfinished(task, workplace, status="failed", reason=str(fault))
    except Exception as death:  # noqa: BLE001 - whatever killed the worker, the others go on
        reason = (
            f"The worker process died while it trained this run, three times in a row ({type(death).__name__}): out of "
            "memory, or a fault in native code."
        )
        return store_unfinished(task, workplace, status="failed", reason=reason)


def _estimate(task: Task, speeds: Mapping[str, float], train_images: int) -> float:
    budget = task.request.budget
    if budget.seconds is not None:
        return budget.seconds * _EVALUATION_SHARE
    images = (budget.epochs or 0) * train_images
    speed = speeds.get(task.request.architecture_hash)
    seconds_per_image = 1 / speed if speed else _SECONDS_PER_IMAGE + _SECONDS_PER_MAC * task.macs
    return images * seconds_per_image * _EVALUATION_SHARE
