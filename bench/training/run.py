"""One run, from its data to final weights and what they say of the images; whatever goes wrong becomes its outcome.

Its state is saved at the end of every epoch, so that whatever ends the process costs the epoch under way and nothing
else: the next try goes on from there and ends with the same bits.
"""

from __future__ import annotations

import dataclasses
import time
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench.core.errors import (
    ArchitectureError,
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
from bench.core.work.claims.claim import AS_CLAIMED
from bench.data.datasets import load_decoded
from bench.data.splits import probe_of, probe_of_test, split
from bench.data.tensors import DeviceData, TrainingData, claimed_data, to_device, training_data
from bench.models.build import builds_other_net, import_afresh
from bench.models.fingerprint import architecture_hash
from bench.system.files import writing
from bench.system.python_file import line_in
from bench.training.checkpoint import keep_weights, load_state, save_state
from bench.training.engine import describe_surroundings
from bench.training.evaluate import predict
from bench.training.loop import Training
from bench.training.result import Outcome, make_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.core.records import RunRecord
    from bench.core.run import RunRequest, Task, Workplace
    from bench.data.splits import Split

    Report = Callable[[RunProgress | Note], None]


class ProcessState:
    """What a process that trains keeps between runs: its environment, and the last dataset on its device."""

    def __init__(self) -> None:
        self._environments: dict[tuple[str, str], dict[str, Any]] = {}
        self._data: tuple[object, DeviceData] | None = None

    def environment(self, request: RunRequest) -> dict[str, Any]:
        """The environment as it was when the first run began: later commits are not what this process runs."""
        place = (request.device, request.engine)
        if place not in self._environments:
            self._environments[place] = describe_surroundings(*place)
        return self._environments[place]

    def data(self, request: RunRequest, data_dir: Path) -> DeviceData:
        """The dataset of a run on its device, with the test set where the run may look at it."""
        with_test = request.protocol in ("select", AS_CLAIMED)
        key = (request.dataset, request.data_hash, data_dir, request.device, with_test)
        if self._data is None or self._data[0] != key:
            self._data = None  # two of them may not fit into memory
            dataset = load_decoded(request.dataset, data_dir, expected_hash=request.data_hash)
            self._data = key, to_device(dataset, torch.device(request.device), with_test=with_test)
        return self._data[1]


class Run:
    """One run under way; `outcome` says how it stands."""

    def __init__(self, task: Task, workplace: Workplace, report: Report, state: ProcessState) -> None:
        """Make it; what `report` raises, which is called a few times an epoch, ends the run without an outcome."""
        self.outcome = Outcome()
        self._task, self._request, self._workplace, self._listener = task, task.request, workplace, report
        self._ended_by: BaseException | None = None
        self._files = RunFiles(task.run_id, workplace.results)
        self._state = state
        self._environment = state.environment(task.request)  # as it is before training: that code is loaded
        self._started = time.perf_counter()

    def train(self) -> None:
        """From the start, or where it was cut short, to the end.

        Raises:
            StoreError: Files of the run cannot be read or written.
        """
        outcome = self.outcome
        try:
            data = self._load()
            parts = None if self._request.protocol == AS_CLAIMED else self._divide(data)
            training = self._begin(self._show(data, parts))
            self._fit(training)
            self._evaluate(training, data, parts)
        except StoreError:
            raise
        except DivergedError as divergence:
            outcome.status, outcome.error = "diverged", str(divergence)
        except PausedError as pause:
            outcome.status, outcome.error = "interrupted", str(pause)
        except BaseException as failure:  # a failed run is data, be it a net's KeyboardInterrupt: the others go on
            if failure is self._ended_by:
                raise
            outcome.status, outcome.error, outcome.traceback = (
                "failed",
                _reason(failure, self._request.architecture.file),
                traceback.format_exc(),
            )
            outcome.fault = "machine" if is_out_of_memory(failure) or blames_machine(failure) else "net"

    def record(self) -> RunRecord:
        """The run as it ended."""
        self.outcome.wall_seconds += time.perf_counter() - self._started
        return make_record(self._task, self.outcome, jobs=self._workplace.jobs, environment=self._environment)

    def _report(self, message: RunProgress | Note) -> None:
        try:
            self._listener(message)
        except BaseException as end:
            self._ended_by = end
            raise

    def _note(self, text: str) -> None:
        self._report(Note(text=f"{self._request.architecture.name}, seed {self._request.seed}: {text}"))

    def _load(self) -> DeviceData:
        request, net = self._request, self._request.architecture
        if architecture_hash(net) != request.architecture_hash:
            raise ArchitectureError(f"The file of '{net.name}' was edited while the study ran; run the command again.")
        if builds_other_net(net, self._task.initial_hash):
            raise ArchitectureError(
                f"The file of '{net.name}' builds another net than when the study began (a helper, "
                "data or the environment changed); run the command again."
            )
        return self._state.data(request, self._workplace.data_dir)

    def _divide(self, data: DeviceData) -> Split:
        return split(
            data.classes,
            validation_images=data.metadata.validation_images,
            split_seed=self._request.split_seed,
            groups=data.groups,
            validation=data.validation,
        )

    def _show(self, data: DeviceData, parts: Split | None) -> TrainingData:
        """What the run sees while it trains; without a split, the test set in the place of validation images."""
        seed = self._request.split_seed
        if parts is None:
            return claimed_data(data, probe_of_test(data.test[1].cpu().numpy(), seed))
        return training_data(data, parts, probe_of(parts, data.classes, seed))

    def _begin(self, seen: TrainingData) -> Training:
        """A training, from its saved state when there is a good one."""
        training = self._start(seen)
        if not self._task.proof.resumable:
            return training
        try:
            state = self._load_state()
            training.load_state_dict(state["training"])
        except FileNotFoundError:
            return training
        except OSError as fault:
            raise StoreError(f"{self._files.state} cannot be read ({reason(fault)}); fix that, then go on.") from fault
        except torch.OutOfMemoryError:  # a RuntimeError too, but the state is good
            raise
        except (DamagedStateError, LookupError, ValueError, TypeError, RuntimeError) as fault:
            aside = f"set aside as {self._files.set_aside().name}"
            self._note(f"its saved state cannot be used ({first_line(fault)}); {aside}, the run starts over.")
            return self._start(seen)
        self.outcome.started_at, self.outcome.wall_seconds = state["started_at"], state["wall_seconds"]
        epochs = self._request.budget.epochs
        if not self._task.goes_on:
            self._note(f"goes on from epoch {training.epoch}{f' of {epochs}' if epochs is not None else ''}.")
        return training

    def _start(self, seen: TrainingData) -> Training:
        """A training from the start, its net's file run anew: nothing that it keeps at module level is of other runs.

        A worker process gets its tasks in this way anyhow; whoever trains in a program of his own would else differ.
        """
        net = import_afresh(self._request.architecture, self._request.seed)
        request = dataclasses.replace(self._request, architecture=net)
        self.outcome.training = Training(request, seen, layout=self._task.proof.layout)
        return self.outcome.training

    def _load_state(self) -> dict[str, Any]:
        state = load_state(self._files.state, run_id=self._task.run_id)
        if state["machine"] != self._environment["machine"]:
            raise DamagedStateError("it is of another machine or other versions")
        if state.get("kernels", "") != self._environment.get("kernels", ""):
            raise DamagedStateError("it is of other kernels")
        if is_other_hash(state.get("initial_hash", ""), self._task.initial_hash):
            raise DamagedStateError("it is of another net of the same source")
        return state

    def _fit(self, training: Training) -> None:
        """To the end of the budget or to where the task pauses, the state saved at the end of every epoch."""
        self._pause(training)
        for epoch_ended in training.run():
            if epoch_ended:
                self._save(training)
                self._pause(training)
            self._report(progress_of(self._task, training))

    def _pause(self, training: Training) -> None:
        pause = self._task.pause_after_epoch
        if pause is not None and pause <= training.epoch and training.progress < 1:
            raise PausedError(f"Paused after epoch {training.epoch}, as its trial says.")

    def _save(self, training: Training) -> None:
        if not self._task.proof.resumable:
            return
        state = {
            "machine": self._environment["machine"],
            "kernels": self._environment.get("kernels", ""),
            "initial_hash": self._task.initial_hash,
            "started_at": self.outcome.started_at,
            "wall_seconds": self.outcome.wall_seconds + time.perf_counter() - self._started,
            "training": training.state_dict(),
        }
        try:
            save_state(state, self._files.state, run_id=self._task.run_id)
        except OSError as fault:  # the run can still end well; only an interruption would now cost more
            self._note(
                f"its state could not be saved after epoch {training.epoch} "
                f"({reason(fault)}); it goes on, but an interruption would lose the run."
            )

    def _evaluate(self, training: Training, data: DeviceData, parts: Split | None) -> None:
        """Keep the final weights as a file and look at the test set: once, unless the run watched it anyhow."""
        outcome, seen = self.outcome, training.data
        outcome.epoch_kept = training.finish()
        with writing(self._workplace.results):  # the disk's fault, not the net's: runs to come would be lost as well
            outcome.weights = keep_weights(training.model, self._workplace.results, self._task.weights)
        with training.evaluation_clock.running():
            if parts is not None:
                images, labels = seen.validation_images, seen.validation_labels
                of_validation = predict(training.model, images, labels, split="validation", indices=parts.validation)
                outcome.predictions.append(of_validation)
            if self._request.protocol in ("select", AS_CLAIMED):
                images, labels = data.test
                of_test = predict(training.model, images, labels, split="test", indices=np.arange(len(images)))
                outcome.predictions.append(of_test)


def progress_of(task: Task, training: Training | None = None) -> RunProgress:
    """How far a run is; at its very beginning while it waits or loads."""
    request = task.request
    epochs = None if request.budget.epochs is None else float(request.budget.epochs)
    done = training.steps / training.steps_per_epoch if training else 0.0
    if epochs is None:
        epochs = done / max(training.progress, 1e-9) if training else 0.0
    return RunProgress(
        run_id=task.run_id,
        architecture=request.architecture.name,
        seed=request.seed,
        epoch=done,
        epochs=epochs,
        val_accuracy=training.curve[-1].val_accuracy if training and training.curve else None,
        images_per_second=training.images / max(training.training_clock.seconds, 1e-9) if training else 0.0,
    )


_NO_MEMORY = ("not enough memory", "can't allocate memory", "Cannot allocate memory")


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether memory ran out; on a CPU torch says so in words only."""
    text = str(failure)
    return isinstance(failure, MemoryError | torch.OutOfMemoryError) or any(words in text for words in _NO_MEMORY)


def _reason(failure: BaseException, file: Path | None) -> str:
    """One line for people, with the net's line that it came through, and with the way out where we know one."""
    text = first_line(failure)
    if is_out_of_memory(failure):
        return f"Out of memory ({text}); try a smaller --batch-size or fewer --jobs."
    line = line_in(file, failure) if file else ""
    return f"{text} ({file.name}{line})" if file and line else text
