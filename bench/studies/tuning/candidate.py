"""A trial under way: its runs, one a seed, trained from rung to rung until the trial is complete, pruned or failed."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING

from bench.core.run import RunFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bench.core.records import CurvePoint, RunRecord
    from bench.core.run import Plan, RunRequest, Task
    from bench.core.tuning import Trial


@dataclasses.dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What every trial of an architecture needs.

    Attributes:
        epochs: Epochs of a whole trial.
        rungs: Epochs after which it may be pruned.
        train_images: Images of the training part.
        results: The results directory.
        plan: Divides requests into what is stored and what must be trained.
        curve: Reads the stored curve of a run.
        prunes: Whether a trial shall end, by its number and its accuracy by epoch.
    """

    epochs: int
    rungs: Sequence[int]
    train_images: int
    results: Path
    plan: Callable[[Sequence[RunRequest]], Plan]
    curve: Callable[[str], Sequence[CurvePoint]]
    prunes: Callable[[int, Mapping[int, float]], bool]


class Candidate:
    """One trial under way.

    Attributes:
        number: Its number.
        trial: What is known of it before it trains.
        requests: Its runs, one a seed.
        ended: How it ended; None while it is under way.
    """

    def __init__(self, trial: Trial, requests: Sequence[RunRequest], around: Surroundings) -> None:
        """Begin, or go on where the stored runs are.

        Args:
            trial: What is known of it before it trains.
            requests: Its runs, one a seed.
            around: What every trial needs.
        """
        self.number, self.trial, self.requests = trial.number, trial, tuple(requests)
        self.ended: Trial | None = None if requests else trial
        self._around = around
        self._stage = 0
        self._records: dict[str, RunRecord] = {}
        self._waited_for: set[str] = set()

    @property
    def _pause(self) -> int | None:
        """Where this stage ends; None for the end of the budget."""
        rungs = self._around.rungs
        return rungs[self._stage] if self._stage < len(rungs) else None

    def next_tasks(self) -> list[Task]:
        """What must be trained for the next stage; stages that the store already answers are passed over."""
        while self.ended is None:
            plan = self._around.plan(self.requests)
            self._records = {record.request_id: record for record in plan.reused}
            if plan.tasks:
                self._waited_for = {task.run_id for task in plan.tasks}
                return [
                    dataclasses.replace(task, pause_after_epoch=self._pause, goes_on=self._stage > 0)
                    for task in plan.tasks
                ]
            self._end_stage()
        return []

    def hear(self, record: RunRecord) -> bool:
        """Take in how a run came back; whether all runs of the stage have."""
        self._waited_for.discard(record.run_id)
        self._records[record.request_id] = record
        if self._waited_for:
            return False
        self._end_stage()
        return True

    def _end_stage(self) -> None:
        """Decide what becomes of the trial once every run is where the stage ends."""
        records = list(self._records.values())
        lost = next((record for record in records if record.status in ("failed", "diverged")), None)
        if lost is not None:
            trained = [record.epochs or 0.0 for record in records]
            self._end("failed", trained, reason=f"Seed {lost.seed} {lost.status}: {lost.error}")
            return
        curve = self._curve(records)
        if self._pause is None:
            accuracy = statistics.fmean(record.val_accuracy or 0.0 for record in records)
            self._end("complete", [float(self._around.epochs)] * len(records), accuracy=accuracy, curve=curve)
        elif self._around.prunes(self.number, curve):
            accuracy = curve[self._pause]
            reason = f"Not among the best third of those that had come to epoch {self._pause}"
            self._end("pruned", [float(self._pause)] * len(records), accuracy=accuracy, curve=curve, reason=reason)
        else:
            self._stage += 1

    def _curve(self, records: Sequence[RunRecord]) -> dict[int, float]:
        """Mean validation accuracy over the seeds at the end of each epoch, to where the stage ends."""
        last = self._pause or self._around.epochs
        by_epoch: dict[int, list[float]] = {}
        for record in records:
            for point in self._around.curve(record.run_id):
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
        steps = sum(round(trained * (self._around.train_images // batch_size)) for trained in epochs)
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
                RunFiles(record.run_id, self._around.results).clean_up()
