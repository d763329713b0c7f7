"""What a worker does with one run: data, training, evaluation, storing. A run stores itself, then is announced.

While a run is under way its state is saved at the end of every epoch, so that whatever ends the process costs the epoch
under way and nothing else: the next try goes on from there and ends with the same bits.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import time
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench.core.errors import (
    ArchitectureError,
    BenchError,
    BusyError,
    DamagedStateError,
    DivergedError,
    PausedError,
    StoreError,
    blames_machine,
    first_line,
    reason,
)
from bench.core.events import Note, RunProgress
from bench.core.metadata import is_other_hash
from bench.core.run import RunFiles
from bench.data.datasets import load_dataset
from bench.data.splits import probe_of, split
from bench.data.tensors import DeviceData, TrainingData, to_device, training_data
from bench.models.build import builds_other_net, import_afresh
from bench.models.determinism import fixed_arithmetic
from bench.models.fingerprint import architecture_hash
from bench.store.postgres import PATIENCE_SECONDS
from bench.store.store import open_store
from bench.system.device import accelerator_name
from bench.system.environment import describe_environment
from bench.system.files import cannot_write
from bench.training.checkpoint import keep_weights, load_state, save_state
from bench.training.evaluate import predict
from bench.training.loop import Training
from bench.training.result import Outcome, make_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bench.core.records import RunRecord
    from bench.core.run import RunRequest, Task, Workplace
    from bench.data.splits import Split


def train_run(
    task: Task,
    workplace: Workplace,
    report: Callable[[RunProgress | Note], None],
    *,
    wait: bool = True,
    guard: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> RunRecord:
    """Train, evaluate and store one run, from where an earlier try was cut short; what goes wrong becomes its record.

    Args:
        task: The run.
        workplace: Where to find data and leave results.
        report: Hears of progress a few times an epoch; what it raises ends the run unstored.
        wait: Wait for another runner that trains the run.
        guard: Makes a context to train in, such as one that ends a process which hangs.

    Returns:
        The record as stored; that of another runner, when it trained the run meanwhile.

    Raises:
        BusyError: Another runner trains the run, and it is not waited for.
        StoreError: The run could not be stored.
        InterruptedError: `report` said that the run shall end.
    """

    def waiting() -> None:
        if not wait:
            raise BusyError
        report(_progress(task, None))

    with (
        open_store(workplace.store_url, patience_seconds=PATIENCE_SECONDS) as store,
        store.hold(task.run_id, waiting=waiting),
    ):
        stored = store.runs.find(task.run_id)
        if stored is not None and stored.status != "interrupted":
            RunFiles(task.run_id, workplace.results).clean_up()  # a try may have been killed between storing and this
            return stored
        run = _Run(task, workplace, report)
        importlib.import_module("torch._dynamo")  # a first optimizer does so: seconds on a busy machine, no hang
        with guard(), fixed_arithmetic(task.request.device):
            run.live()
        record = run.record()
        if not store.runs.add(record, run.outcome.curve, run.outcome.predictions):
            record = store.runs.find(task.run_id) or record
        if record.status != "interrupted":  # a paused one goes on from its saved state
            RunFiles(task.run_id, workplace.results).clean_up()
    return record


def store_unfinished(
    task: Task,
    workplace: Workplace,
    *,
    status: str,
    reason: str,
    traceback: str = "",
    fault: str = "machine",
    waiting: Callable[[], None] = lambda: None,
) -> RunRecord:
    """Store, in its place, a run that a dead or stopped worker left behind; one that is stored already stays.

    Args:
        task: The run.
        workplace: Where to leave results.
        status: "failed" or "interrupted".
        reason: Why it did not end, one line.
        traceback: Where it went wrong.
        fault: Whose it is that it failed, "net" or "machine".
        waiting: Called twice a second while another runner trains the run; what it raises ends the waiting.
    """
    files = RunFiles(task.run_id, workplace.results)
    outcome = Outcome(status=status, error=reason, traceback=traceback, fault=fault if status == "failed" else "")
    with contextlib.suppress(OSError, BenchError):
        state = load_state(files.state, run_id=task.run_id)
        outcome.saved, outcome.started_at = state["training"], state["started_at"]
        outcome.wall_seconds = state["wall_seconds"]
    record = make_record(task, outcome, jobs=workplace.jobs, environment=_environment(task.request.device))
    with (
        open_store(workplace.store_url, patience_seconds=PATIENCE_SECONDS) as store,
        store.hold(task.run_id, waiting=waiting),
    ):
        store.runs.add(record, outcome.curve)
        record = store.runs.find(task.run_id) or record
        if record.status != "interrupted":
            files.clean_up()
    return record


class _Run:
    """One run under way.

    Attributes:
        outcome: How it stands.
    """

    def __init__(self, task: Task, workplace: Workplace, report: Callable[[RunProgress | Note], None]) -> None:
        self.outcome = Outcome()
        self._task, self._workplace, self._listener = task, workplace, report
        self._ended_by: BaseException | None = None
        self._files = RunFiles(task.run_id, workplace.results)
        # Taken before training: the code that trains is what was there when it was loaded.
        self._environment = _environment(task.request.device)
        self._started = time.perf_counter()

    def live(self) -> None:
        """From the start, or where it was cut short, to the end; whatever goes wrong becomes the outcome."""
        outcome = self.outcome
        try:
            data, parts = self._divide()
            self._train(self._begin(data, parts))
            self._evaluate(data, parts)
        except StoreError:
            raise
        except DivergedError as divergence:
            outcome.status, outcome.error = "diverged", str(divergence)
        except PausedError as pause:
            outcome.status, outcome.error = "interrupted", str(pause)
        except BaseException as failure:  # a failed run is data, be it a net's KeyboardInterrupt: the others go on
            if failure is self._ended_by:
                raise
            outcome.status, outcome.error, outcome.traceback = "failed", _reason(failure), traceback.format_exc()
            outcome.fault = "machine" if is_out_of_memory(failure) or blames_machine(failure) else "net"

    def _report(self, message: RunProgress | Note) -> None:
        """Say something; what the listener raises ends the run unstored, and nothing else does."""
        try:
            self._listener(message)
        except BaseException as end:
            self._ended_by = end
            raise

    def record(self) -> RunRecord:
        """The run as it ended."""
        self.outcome.wall_seconds += time.perf_counter() - self._started
        return make_record(self._task, self.outcome, jobs=self._workplace.jobs, environment=self._environment)

    def _divide(self) -> tuple[DeviceData, Split]:
        """The data on the device and this run's split of its pool."""
        request = self._task.request
        if architecture_hash(request.architecture) != request.architecture_hash:
            raise ArchitectureError(
                f"The file of '{request.architecture.name}' was edited while the study ran; run the command again."
            )
        if builds_other_net(request.architecture, self._task.initial_hash):
            raise ArchitectureError(
                f"The file of '{request.architecture.name}' builds another net than when the study began (a helper, "
                "data or the environment changed); run the command again."
            )
        data = _load(
            request.dataset,
            self._workplace.data_dir,
            request.data_hash,
            request.device,
            with_test=request.protocol == "select",
        )
        parts = split(
            data.classes,
            validation_images=data.facts.validation_images,
            split_seed=request.split_seed,
        )
        return data, parts

    def _begin(self, data: DeviceData, parts: Split) -> Training:
        """A training, from its saved state when there is a good one."""
        request = self._task.request
        seen = training_data(data, parts, probe_of(parts, data.classes, request.split_seed))
        self.outcome.training = training = self._make_training(seen)
        if not self._task.proof.resumable:
            return training
        try:
            state = load_state(self._files.state, run_id=self._task.run_id)
            if state["machine"] != self._environment["machine"]:
                return self._start_over(seen, DamagedStateError("it is of another machine or other versions"))
            if is_other_hash(state.get("initial_hash", ""), self._task.initial_hash):
                return self._start_over(seen, DamagedStateError("it is of another net of the same source"))
            training.load_state_dict(state["training"])
        except FileNotFoundError:
            return training
        except OSError as fault:
            raise StoreError(f"{self._files.state} cannot be read ({reason(fault)}); fix that, then go on.") from fault
        except torch.OutOfMemoryError:  # a RuntimeError too, but the state is good
            raise
        except (DamagedStateError, LookupError, ValueError, TypeError, RuntimeError) as fault:
            return self._start_over(seen, fault)
        self.outcome.started_at = state["started_at"]
        self.outcome.wall_seconds = state["wall_seconds"]
        budget = f" of {request.budget.epochs}" if request.budget.epochs is not None else ""
        if not self._task.goes_on:
            self._report(Note(text=f"{_title(self._task)}: goes on from epoch {training.epoch}{budget}."))
        return training

    def _start_over(self, seen: TrainingData, fault: Exception) -> Training:
        aside = self._files.set_aside()
        self._report(
            Note(
                text=f"{_title(self._task)}: its saved state cannot be used ({first_line(fault)}); "
                f"set aside as {aside.name}, the run starts over."
            )
        )
        self.outcome.training = self._make_training(seen)
        return self.outcome.training

    def _make_training(self, seen: TrainingData) -> Training:
        return Training(_fresh(self._task.request), seen, layout=self._task.proof.layout)

    def _train(self, training: Training) -> None:
        """To the end of the budget or to where the task pauses, the state saved at the end of every epoch."""
        self._pause(training)
        for epoch_ended in training.run():
            if epoch_ended:
                self._save(training)
                self._pause(training)
            self._report(_progress(self._task, training))

    def _pause(self, training: Training) -> None:
        pause = self._task.pause_after_epoch
        if pause is not None and pause <= training.epoch and training.progress < 1:
            raise PausedError(f"Paused after epoch {training.epoch}, as its trial says.")

    def _save(self, training: Training) -> None:
        if not self._task.proof.resumable:
            return
        state = {
            "machine": self._environment["machine"],
            "initial_hash": self._task.initial_hash,
            "started_at": self.outcome.started_at,
            "wall_seconds": self.outcome.wall_seconds + time.perf_counter() - self._started,
            "training": training.state_dict(),
        }
        try:
            save_state(state, self._files.state, run_id=self._task.run_id)
        except OSError as fault:  # the run can still end well; only an interruption would now cost more
            self._report(
                Note(
                    text=f"{_title(self._task)}: its state could not be saved after epoch {training.epoch} "
                    f"({reason(fault)}); it goes on, but an interruption would lose the run."
                )
            )

    def _evaluate(self, data: DeviceData, parts: Split) -> None:
        """Keep the final weights as a file and look at the test set, once."""
        training, outcome = self.outcome.training, self.outcome
        assert training is not None  # noqa: S101 - evaluation follows training
        outcome.epoch_kept = training.finish()
        try:
            outcome.weights = keep_weights(training.model, self._workplace.results, self._task.weights)
        except OSError as fault:  # the disk's fault, not the net's: the runs to come would only be lost as well
            raise cannot_write(self._workplace.results, fault) from fault
        seen = training.data
        with training.evaluation_clock.running():
            images, labels = seen.validation_images, seen.validation_labels
            of_validation = predict(training.model, images, labels, split="validation", indices=parts.validation)
            outcome.predictions = [of_validation]
            if self._task.request.protocol == "select":
                images, labels = data.test
                of_test = predict(training.model, images, labels, split="test", indices=np.arange(len(images)))
                outcome.predictions = [of_validation, of_test]


def _fresh(request: RunRequest) -> RunRequest:
    """The request with its net's file run anew, so that nothing that file keeps at module level comes from other runs.

    A worker process gets its tasks in this way anyhow; whoever calls `train_run` in a program would otherwise differ.
    """
    return dataclasses.replace(request, architecture=import_afresh(request.architecture, request.seed))


@functools.cache
def _environment(device: str) -> dict[str, Any]:
    """The environment as it was when this process began its first run: later commits are not what it runs."""
    return describe_environment(accelerator=accelerator_name(device))


@functools.lru_cache(maxsize=1)
def _load(name: str, data_dir: Path, data_hash: str, device: str, *, with_test: bool) -> DeviceData:
    """The dataset on the device; a worker keeps the last one it used."""
    dataset = load_dataset(name, data_dir, expected_hash=data_hash)
    return to_device(dataset, torch.device(device), with_test=with_test)


def _title(task: Task) -> str:
    return f"{task.request.architecture.name}, seed {task.request.seed}"


def _progress(task: Task, training: Training | None) -> RunProgress:
    """How far a run is; at its very beginning while it waits or loads."""
    epochs = task.request.budget.epochs
    start = RunProgress(
        run_id=task.run_id,
        architecture=task.request.architecture.name,
        seed=task.request.seed,
        epoch=0.0,
        epochs=float(epochs or 0),
        val_accuracy=None,
        images_per_second=0.0,
    )
    if training is None:
        return start
    done = training.steps / training.steps_per_epoch
    return dataclasses.replace(
        start,
        epoch=done,
        epochs=float(epochs) if epochs is not None else done / max(training.progress, 1e-9),
        val_accuracy=training.curve[-1].val_accuracy if training.curve else None,
        images_per_second=training.images / max(training.training_clock.seconds, 1e-9),
    )


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether memory ran out; on a CPU torch says so in words only."""
    said = str(failure)
    return isinstance(failure, MemoryError | torch.OutOfMemoryError) or any(words in said for words in _NO_MEMORY)


_NO_MEMORY = ("not enough memory", "can't allocate memory", "Cannot allocate memory")


def _reason(failure: BaseException) -> str:
    """One line for people, with the way out where we know one."""
    said = first_line(failure)
    if is_out_of_memory(failure):
        return f"Out of memory ({said}); try a smaller --batch-size or fewer --jobs."
    return said
