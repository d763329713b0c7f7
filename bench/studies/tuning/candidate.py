"""A trial under way: its runs, one a seed, trained from rung to rung until the trial is complete, pruned or failed."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Protocol

from bench.core.run import RunFiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureFacts
    from bench.core.recipe import Recipe
    from bench.core.records import CurvePoint, RunRecord
    from bench.core.run import Plan, RunRequest, Task
    from bench.core.tuning import Trial
    from bench.studies.tuning.storage import TrialBook


class Training(Protocol):
    """What trials ask of the study that tunes.

    Attributes:
        epochs: Epochs of a whole trial.
        train_images: Images of the training part.
        results: The results directory.
    """

    epochs: int
    train_images: int
    results: Path

    def may_ask(self) -> bool:
        """Whether another trial may begin."""

    def check(self, architecture: Architecture) -> ArchitectureFacts:
        """Try and count a net before it is trained; raises ArchitectureError."""

    def latency(self, architecture: Architecture) -> float:
        """Seconds for one image, measured while nothing trains."""

    def begin_trial(self, architecture: Architecture, recipe: Recipe) -> Sequence[RunRequest]:
        """The runs of a trial, linked to the study."""

    def plan_trial(self, requests: Sequence[RunRequest]) -> Plan:
        """Divide requests into what is stored and what must be trained."""

    def curve(self, run_id: str) -> Sequence[CurvePoint]:
        """The stored curve of a run."""


class Candidate:
    """One trial under way.

    Attributes:
        number: Its number.
        trial: What is known of it before it trains.
        requests: Its runs, one a seed.
        ended: How it ended; None while it is under way.
    """

    def __init__(
        self,
        trial: Trial,
        requests: Sequence[RunRequest],
        *,
        training: Training,
        book: TrialBook,
        rungs: Sequence[int],
    ) -> None:
        """Begin, or go on where the stored runs are.

        Args:
            trial: What is known of it before it trains.
            requests: Its runs, one a seed.
            training: Plans them and reads their curves.
            book: Says whether it shall be pruned.
            rungs: Epochs after which it may be.
        """
        self.number, self.trial, self.requests = trial.number, trial, tuple(requests)
        self.ended: Trial | None = None if requests else trial
        self._training, self._book, self._rungs = training, book, rungs
        self._rung = 0
        self._records: dict[str, RunRecord] = {}
        self._waited_for: set[str] = set()

    @property
    def _pause(self) -> int | None:
        """The epoch of the next rung; None for the end of the budget."""
        return self._rungs[self._rung] if self._rung < len(self._rungs) else None

    def next_tasks(self) -> list[Task]:
        """What must be trained to the next rung; rungs that the store already answers are passed over."""
        while self.ended is None:
            plan = self._training.plan_trial(self.requests)
            self._records = {record.request_id: record for record in plan.reused}
            if plan.tasks:
                self._waited_for = {task.run_id for task in plan.tasks}
                return [
                    dataclasses.replace(task, pause_after_epoch=self._pause, goes_on=self._rung > 0)
                    for task in plan.tasks
                ]
            self._end_rung()
        return []

    def hear(self, record: RunRecord) -> bool:
        """Take in how a run came back; whether all runs of the rung have."""
        self._waited_for.discard(record.run_id)
        self._records[record.request_id] = record
        if self._waited_for:
            return False
        self._end_rung()
        return True

    def _end_rung(self) -> None:
        """Decide what becomes of the trial once every run has come to the rung."""
        records = list(self._records.values())
        lost = next((record for record in records if record.status in ("failed", "diverged")), None)
        if lost is not None:
            trained = [record.epochs or 0.0 for record in records]
            self._end("failed", trained, reason=f"Seed {lost.seed} {lost.status}: {lost.error}")
            return
        curve = self._curve(records)
        if self._pause is None:
            accuracy = statistics.fmean(record.val_accuracy or 0.0 for record in records)
            self._end("complete", [float(self._training.epochs)] * len(records), accuracy=accuracy, curve=curve)
        elif self._book.prunes(self.number, curve):
            accuracy = curve[self._pause]
            reason = f"Not among the best third of those that had come to epoch {self._pause}"
            self._end("pruned", [float(self._pause)] * len(records), accuracy=accuracy, curve=curve, reason=reason)
        else:
            self._rung += 1

    def _curve(self, records: Sequence[RunRecord]) -> dict[int, float]:
        """Mean validation accuracy over the seeds at the end of each epoch, to the rung."""
        last = self._pause or self._training.epochs
        by_epoch: dict[int, list[float]] = {}
        for record in records:
            for point in self._training.curve(record.run_id):
                if not point.probe and round(point.epoch) <= last:
                    by_epoch.setdefault(round(point.epoch), []).append(point.val_accuracy)
        return {epoch: statistics.fmean(found) for epoch, found in by_epoch.items() if len(found) == len(records)}

    def _end(
        self,
        state: str,
        epochs: Sequence[float],
        *,
        accuracy: float | None = None,
        curve: Mapping[int, float] | None = None,
        reason: str = "",
    ) -> None:
        batch_size = int(self.trial.recipe["batch_size"])
        steps = sum(round(trained * (self._training.train_images // batch_size)) for trained in epochs)
        self.ended = dataclasses.replace(
            self.trial,
            state=state,
            values=() if accuracy is None else (accuracy, *self.trial.values),
            epochs=min(epochs),
            images=steps * batch_size,
            curve=curve or {},
            reason=reason,
        )
        for record in self._records.values():  # nobody goes on from there
            if record.status == "interrupted":
                RunFiles(record.run_id, self._training.results).clean_up()
