"""What a worker does with one run: data, training, evaluation, storing. A run stores itself, then is announced."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import time
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench.data.datasets import load_dataset
from bench.data.splits import probe_of, split
from bench.device import accelerator_name
from bench.environment import describe_environment
from bench.errors import ArchitectureError, BenchError
from bench.events import RunProgress
from bench.nets.fingerprint import architecture_hash
from bench.records import TARGETS, CurvePoint, Predictions, RunRecord, time_to_target
from bench.store.store import open_store
from bench.training.checkpoint import Weights, keep_weights
from bench.training.evaluate import predict, score_predictions
from bench.training.loop import DivergedError, Training
from bench.training.tensors import DeviceData, to_device, training_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.spec import RunRequest


THREADS = 1
"""Threads of a run: with one, its bits do not depend on the number of cores."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where workers find data and leave results.

    Attributes:
        results: The results directory.
        store_url: SQLAlchemy URL of the store.
        data_dir: Where datasets lie.
        jobs: Runs that may train on this machine at once.
    """

    results: Path
    store_url: str
    data_dir: Path
    jobs: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One run as it is handed to a worker.

    Attributes:
        request: The run that is wanted.
        attempt: 1 for the first try.
        recipe_name: What people call its recipe.
        params: Parameters of the net.
        macs: Multiply-accumulates per image.
    """

    request: RunRequest
    attempt: int
    recipe_name: str
    params: int
    macs: int

    @property
    def run_id(self) -> str:
        """The request's id, with the attempt appended from the second on."""
        return self.request.id if self.attempt == 1 else f"{self.request.id}-{self.attempt}"


def train_run(task: Task, workplace: Workplace, report: Callable[[RunProgress], None]) -> RunRecord:
    """Train, evaluate and store one run; whatever goes wrong in it becomes its record.

    Args:
        task: The run.
        workplace: Where to find data and leave results.
        report: Hears of progress a few times an epoch; what it raises ends the run unstored.

    Returns:
        The record as stored.

    Raises:
        StoreError: The run could not be stored.
        InterruptedError: `report` said that the run shall end.
    """
    run = _Run(task, workplace)
    with _one_thread():
        try:
            run.train(report)
            run.evaluate()
        except InterruptedError:
            raise
        except DivergedError as divergence:
            run.status, run.error = "diverged", str(divergence)
        except (Exception, SystemExit) as failure:  # noqa: BLE001 - a failed run is data: the others go on
            run.status, run.error, run.traceback = "failed", _reason(failure), traceback.format_exc()
    record = run.record()
    with open_store(workplace.store_url) as store:
        store.add_run(record, run.curve, run.predictions)
    return record


def lose_run(task: Task, workplace: Workplace, reason: str) -> RunRecord:
    """Store a run whose worker died as failed, in its place.

    Args:
        task: The run.
        workplace: Where to leave results.
        reason: Why it was lost, one line.
    """
    run = _Run(task, workplace)
    run.status, run.error = "failed", reason
    record = run.record()
    with open_store(workplace.store_url) as store:
        store.add_run(record, [], [])
    return record


class _Run:
    """One run under way.

    Attributes:
        status: How it stands: "ok" unless something went wrong.
        error: Why it went wrong, one line.
        traceback: Where it went wrong.
        training: The training, once it began.
        epoch_kept: Epoch whose weights were kept, at the end.
        weights: Where the final weights lie.
        environment: Versions, hardware and commit of the process that trains.
        predictions: What the final model said of validation and test images.
    """

    def __init__(self, task: Task, workplace: Workplace) -> None:
        self.task, self.workplace = task, workplace
        self.status, self.error, self.traceback = "ok", "", ""
        # Taken before training: the code that trains is what was there when it was loaded.
        self.environment = _environment(task.request.device)
        self.predictions: list[Predictions] = []
        self.training: Training | None = None
        self.epoch_kept: int | None = None
        self.weights = Weights()
        self._started_at, self._started = _now(), time.perf_counter()

    @property
    def curve(self) -> list[CurvePoint]:
        """Evaluations so far."""
        return self.training.curve if self.training else []

    def train(self, report: Callable[[RunProgress], None]) -> None:
        """Train to the end of the budget."""
        request = self.task.request
        if architecture_hash(request.architecture) != request.architecture_hash:
            raise ArchitectureError(
                f"The file of '{request.architecture.name}' was edited while the study ran; run the command again."
            )
        self._data = _load(request.dataset, self.workplace.data_dir, request.data_hash, request.device)
        self._split = split(
            self._data.dataset.pool_labels,
            validation_images=self._data.dataset.facts.validation_images,
            split_seed=request.split_seed,
        )
        probe = probe_of(self._split, self._data.dataset.pool_labels, request.split_seed)
        self.training = Training(request, training_data(self._data, self._split, probe))
        for _ in self.training.run():
            report(_progress(self.task, self.training))

    def evaluate(self) -> None:
        """Keep the final weights as a file and look at the test set, once."""
        training, data = self.training, self._data
        assert training is not None  # noqa: S101 - evaluate follows train
        self.epoch_kept = training.finish()
        self.weights = keep_weights(training.model, self.workplace.results, f"checkpoints/{self.task.run_id}.pt")
        with training.evaluation_clock.running():
            self.predictions = [
                predict(
                    training.model,
                    training.data.validation_images,
                    training.data.validation_labels,
                    split="validation",
                    indices=self._split.validation,
                ),
                predict(training.model, data.test, data.test_labels, split="test", indices=np.arange(len(data.test))),
            ]

    def record(self) -> RunRecord:
        """The run as it ended."""
        task, request, training = self.task, self.task.request, self.training
        last = next((point for point in reversed(self.curve) if not point.probe), None)
        scores = {found.split: score_predictions(found) for found in self.predictions}
        validation, test = scores.get("validation"), scores.get("test")
        return RunRecord(
            run_id=task.run_id,
            request_id=request.id,
            cohort=request.cohort,
            attempt=task.attempt,
            architecture=request.architecture.name,
            architecture_hash=request.architecture_hash,
            recipe_name=task.recipe_name,
            recipe=request.recipe.to_json(),
            budget=dataclasses.asdict(request.budget),
            dataset=request.dataset,
            data_hash=request.data_hash,
            protocol=request.protocol,
            seed=request.seed,
            split_seed=request.split_seed,
            device=request.device,
            torch_version=request.torch_version,
            engine_version=request.engine_version,
            status=self.status,
            error=self.error,
            traceback=self.traceback,
            params=task.params,
            macs=task.macs,
            epochs=training.steps / training.steps_per_epoch if training else None,
            epoch_kept=self.epoch_kept,
            steps=training.steps if training else None,
            train_loss=last.train_loss if last else None,
            train_accuracy=last.train_accuracy if last else None,
            val_loss=validation.loss if validation else None,
            val_accuracy=validation.accuracy if validation else None,
            test_loss=test.loss if test else None,
            test_accuracy=test.accuracy if test else None,
            test_looks=int(test is not None),
            time_to_targets=tuple(time_to_target(self.curve, target) for target in TARGETS),
            train_seconds=training.training_clock.seconds if training else None,
            evaluation_seconds=training.evaluation_clock.seconds if training else None,
            wall_seconds=time.perf_counter() - self._started,
            train_images_per_second=training.images / training.training_clock.seconds
            if training and training.steps
            else None,
            threads=THREADS,
            jobs=self.workplace.jobs,
            layout=training.layout if training else "",
            checkpoint=self.weights.path,
            checkpoint_bytes=self.weights.size_bytes,
            checkpoint_hash=self.weights.file_hash,
            weights_hash=self.weights.values_hash,
            deterministic=request.device == "cpu" and request.budget.kind == "samples",
            environment=self.environment,
            started_at=self._started_at,
            finished_at=_now(),
        )


@functools.cache
def _environment(device: str) -> dict[str, Any]:
    """The environment as it was when this process began its first run: later commits are not what it runs."""
    return describe_environment(accelerator=accelerator_name(device))


@functools.lru_cache(maxsize=1)
def _load(name: str, data_dir: Path, data_hash: str, device: str) -> DeviceData:
    """The dataset on the device; a worker keeps the last one it used."""
    return to_device(load_dataset(name, data_dir, expected_hash=data_hash), torch.device(device))


def _progress(task: Task, training: Training) -> RunProgress:
    budget = task.request.budget
    done = training.steps / training.steps_per_epoch
    return RunProgress(
        run_id=task.run_id,
        architecture=task.request.architecture.name,
        seed=task.request.seed,
        epoch=done,
        epochs=float(budget.epochs) if budget.epochs is not None else done / max(training.progress, 1e-9),
        val_accuracy=training.curve[-1].val_accuracy if training.curve else None,
        images_per_second=training.images / max(training.training_clock.seconds, 1e-9),
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One thread and flushed denormals, as every run has them, whatever the process had before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)  # late in training Adam's moments become denormal and slow
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _reason(failure: BaseException) -> str:
    """One line for people: our own messages as they are, others with the name of their kind."""
    first = str(failure).strip().splitlines()[0] if str(failure).strip() else ""
    if isinstance(failure, BenchError):
        return first
    if isinstance(failure, MemoryError | torch.OutOfMemoryError) or "not enough memory" in str(failure):
        return f"Out of memory ({first or type(failure).__name__}); try a smaller --batch-size or fewer --jobs."
    return f"{type(failure).__name__}: {first}"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
