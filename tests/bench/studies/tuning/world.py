"""A made-up world to tune in: runs take no time, their accuracy is a formula, and they come back in any order."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import TYPE_CHECKING

import optuna
from torch import nn

from bench.core.events import TrialFinished
from bench.core.metadata import ArchitectureMetadata, Proof
from bench.core.recipe import Budget, Recipe
from bench.core.records import CurvePoint, RunRecord
from bench.core.run import Plan, RunRequest, Task
from bench.core.seeds import TUNING_SEEDS
from bench.spec import Architecture
from bench.studies.tuning.runs import TrialRuns
from bench.studies.tuning.search import Search, Tuner
from bench.studies.tuning.space import SHARED_SPACE, load_space
from bench.studies.tuning.storage import TrialBook
from bench.training.result import Outcome, make_record
from tests.factories import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bench.core.architecture import Knob
    from bench.core.events import Event
    from bench.core.options import TuneOptions
    from bench.core.work.tuning import Trial

IMAGES = 1_000
"""Training images of an epoch."""


def accuracy_of(recipe: Recipe, epoch: int) -> float:
    """Best at a rate of 0.01 and with AdamW, rising with the epochs."""
    distance = abs(math.log10(recipe.lr / (0.2 if recipe.optimizer == "sgd" else 0.01)))
    return 0.99 - 0.02 * distance - 0.005 * (recipe.optimizer != "adamw") - 0.1 / (1 + epoch)


class Killed(Exception):  # noqa: N818 - it is what happens, not an error of anybody's
    """The program was killed."""


class World(TrialRuns):
    """What a tuning needs of the house, without data, workers or a database of runs.

    Attributes:
        trained: Epochs that a run has behind it, by run id; what a kill leaves.
        epochs_trained: Epochs trained in all.
        storage: Where Optuna keeps trials.
        busy_at_latency: Runs under way at each measurement of a latency.
        statuses: How the n-th run handed out ends, by n from 1.
        lost_at: Epoch at which such a run is lost.
        handed_out: Run ids in the order in which tasks were taken.
        resumable: Whether a run that was paused goes on, or starts over.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tune_options: TuneOptions,
        epochs: int = 9,
        score: Callable[[Recipe, int], float] = accuracy_of,
    ) -> None:
        self.trained: dict[str, int] = {}
        self.epochs_trained = 0
        self.storage: optuna.storages.BaseStorage = optuna.storages.InMemoryStorage()
        self.records: dict[str, RunRecord] = {}
        self.handed_out: list[str] = []
        self.statuses: dict[int, str] = {}
        self.lost_at: float | None = None
        self.resumable = True
        self.busy_at_latency: list[int] = []
        self._events: list[Event] = []
        self._recipes: dict[str, Recipe] = {}
        self.results, self._tune_options, self.epochs, self._score = folder, tune_options, epochs, score
        self.train_images = IMAGES

    def tuner(self, names: Sequence[str] = ("net",), *, knobs: Mapping[str, Knob] | None = None) -> Tuner:
        """A tuner of these architectures as a new process would make it."""
        return Tuner([self._search(self.storage, name, knobs or {}) for name in names])

    def run(self, tuner: Tuner, *, jobs: int = 1, order: int = 0, kill_after: int | None = None) -> list[Trial]:
        """Let so many workers work; of what is under way any run may come back first."""
        shuffled, under_way, heard = random.Random(order), list[Task](), 0  # noqa: S311 - an order, not a secret
        while True:
            while len(under_way) < jobs and (task := tuner.take()):
                self.handed_out.append(task.run_id)
                under_way.append(task)
            self._events += tuner.news()
            if not under_way:
                return [event.trial for event in self._events if isinstance(event, TrialFinished)]
            task = under_way.pop(shuffled.randrange(len(under_way)))
            tuner.hear(self._train(task), None)
            self._events += tuner.news()
            heard += 1
            if heard == kill_after:
                raise Killed

    def _search(self, storage: optuna.storages.BaseStorage, name: str, knobs: Mapping[str, Knob]) -> Search:
        space = load_space(self._tune_options.space or SHARED_SPACE, base=Recipe(), fixed=set(), knobs=knobs)
        metadata = {"epochs": self.epochs, "study": "main", "order": 1}
        book = TrialBook(storage, name, space=space, tune_options=self._tune_options, metadata=metadata)
        return Search(Architecture(name=name, build=nn.Identity, knobs=knobs), book, self)

    def may_ask(self) -> bool:
        """Always."""
        return True

    def check(self, architecture: Architecture) -> ArchitectureMetadata:
        """Every net can be trained."""
        hidden = dict(architecture.values).get("hidden", 10)
        return ArchitectureMetadata(
            architecture=architecture.name, architecture_hash="h", summary="", source="", variant_of=None,
            input_shape=(1, 28, 28), params=1, trainable_params=1, macs=100 * hidden, uncounted_operations=(),
            layers=(), proof=Proof(resumable=self.resumable),
        )  # fmt: skip

    def latency(self, architecture: Architecture) -> float:
        """A millisecond for each hidden unit."""
        self.busy_at_latency.append(len(set(self.handed_out) - self.trained.keys()))
        return 0.001 * float(dict(architecture.values)["hidden"])

    def begin_trial(self, architecture: Architecture, recipe: Recipe) -> list[RunRequest]:
        """One run a seed."""
        seeds = range(TUNING_SEEDS, TUNING_SEEDS + self._tune_options.seeds)
        requests = [
            RunRequest(
                architecture=architecture, architecture_hash="h", recipe=recipe, budget=Budget(epochs=self.epochs),
                dataset="made up", data_hash="d", protocol="validation", seed=seed, split_seed=seed, device="cpu",
                torch_version="t", engine_version=1,
            )
            for seed in seeds
        ]  # fmt: skip
        self._recipes |= {request.id: recipe for request in requests}
        return requests

    def plan_trial(self, requests: Sequence[RunRequest]) -> Plan:
        """What ended well is stored."""
        done = [self.records[r.id] for r in requests if r.id in self.records and self.records[r.id].status == "ok"]
        known = {record.request_id for record in done}
        tasks = tuple(
            Task(request=request, attempt=1, recipe_name="trial", params=1, macs=1, timeout_seconds=1.0)
            for request in requests
            if request.id not in known
        )
        return Plan(tasks=tasks, seconds={}, reused=tuple(map(counted, done)), measured=False)

    def stored(self, plan: Plan) -> list[RunRecord]:
        """What ended well."""
        return [self.records[run.request_id] for run in plan.reused]

    def curve(self, run_id: str) -> list[CurvePoint]:
        """One point an epoch."""
        return [
            CurvePoint(step=epoch, images=epoch, epoch=float(epoch), train_seconds=1.0, evaluation_seconds=1.0,
                       probe=False, val_loss=1.0, val_accuracy=self._accuracy(run_id, epoch))
            for epoch in range(1, self.trained[run_id] + 1)
        ]  # fmt: skip

    def _accuracy(self, run_id: str, epoch: int) -> float:
        seed = next(record.seed for record in self.records.values() if record.run_id == run_id)
        return self._score(self._recipes[run_id], epoch) + 0.001 * (seed - TUNING_SEEDS)

    def _train(self, task: Task) -> RunRecord:
        pause, run_id = task.pause_after_epoch, task.run_id
        behind = self.trained.get(run_id, 0) if self.resumable else 0
        self.epochs_trained += max(0, (pause or self.epochs) - behind)
        status = self.statuses.get(len(self.handed_out), "ok" if pause is None else "interrupted")
        self.trained[run_id] = pause or self.epochs
        record = make_record(task, Outcome(status=status, error="planted"), jobs=1, environment={})
        epochs = self.lost_at if status in ("failed", "diverged") and self.lost_at else float(self.trained[run_id])
        self.records[run_id] = dataclasses.replace(record, epochs=epochs)
        final = self._accuracy(run_id, self.epochs) if status == "ok" else None
        self.records[run_id] = dataclasses.replace(self.records[run_id], val_accuracy=final)
        return self.records[run_id]
