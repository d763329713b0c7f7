"""The runs of trials: which they are, what of them is stored, and whether the net is still the one that is tuned."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.core.errors import UsageError
from bench.core.seeds import TUNING_SEEDS
from bench.execution.profiling.phase import time_one_image
from bench.execution.profiling.speed import TimingRequest
from bench.models.fingerprint import architecture_hash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureMetadata
    from bench.core.options import TuneOptions
    from bench.core.recipe import Budget, Recipe
    from bench.core.records import CurvePoint, RunRecord
    from bench.core.run import Plan, RunRequest
    from bench.studies.experiment import Experiment


class TrialRuns:
    """The runs of all trials of an experiment.

    Attributes:
        budget: Of every trial and every run to compare.
        epochs: Epochs of a whole trial.
        seeds: That every trial trains.
        train_images: Images of the training part.
        results: The results directory.
    """

    def __init__(self, experiment: Experiment, tune_options: TuneOptions) -> None:
        self._experiment, self._seconds = experiment, tune_options.seconds
        self._ends: float | None = None
        self.budget: Budget = experiment.training(experiment.architectures[0])[0][1]
        self.epochs, self.train_images = self.budget.epochs or 0, experiment.train_images
        self.seeds = range(TUNING_SEEDS, TUNING_SEEDS + tune_options.seeds)
        self.results: Path = experiment.workplace.results

    def requests(self, architecture: Architecture, recipe: Recipe) -> list[RunRequest]:
        """The runs of a trial, which never look at the test set.

        Raises:
            RecipeError: A batch holds more images than there are to train on.
        """
        training = {architecture.name: [(recipe, self.budget)]}
        return self._experiment.requests([architecture], training, seeds=self.seeds, protocol="validation")

    def start(self) -> None:
        """Let the seconds begin after which no further trial may."""
        self._ends = None if self._seconds is None else time.monotonic() + self._seconds

    def may_ask(self) -> bool:
        """Whether another trial may begin."""
        return self._ends is None or time.monotonic() < self._ends

    def begin_trial(self, architecture: Architecture, recipe: Recipe) -> list[RunRequest]:
        """The runs of a trial, linked to the study."""
        self.require_unchanged(architecture)
        experiment, requests = self._experiment, self.requests(architecture, recipe)
        experiment.store.studies.plan(
            experiment.name, command=experiment.options.command, requests=requests, role="tune"
        )
        return requests

    def plan_trial(self, requests: Sequence[RunRequest]) -> Plan:
        """Divide requests into what is stored and what must be trained."""
        return self._experiment.plan(requests, dict.fromkeys((request.id for request in requests), "trial"))

    def stored(self, plan: Plan) -> list[RunRecord]:
        """What a plan need not train, in its order."""
        records = self._experiment.store.runs.counted(run.request_id for run in plan.reused)
        return [records[run.request_id] for run in plan.reused]

    def check(self, architecture: Architecture) -> ArchitectureMetadata:
        """Try and count a net before it is trained; raises ArchitectureError."""
        return self._experiment.add_metadata(architecture)

    def require_unchanged(self, architecture: Architecture) -> None:
        """Raises UsageError when a net's file was edited since the work began: it would be stored as what it is not."""
        known = self._experiment.metadata.get(architecture.name)
        if known is not None and known.architecture_hash != architecture_hash(architecture):
            raise UsageError(
                f"The file of '{architecture.name}' was edited while the search ran; run the command again: the net as "
                "it is now is tuned anew."
            )

    def latency(self, architecture: Architecture) -> float:
        """Seconds for one image, measured while nothing trains."""
        device, recipe = self._experiment.device, self._experiment.options.recipe()
        return time_one_image(TimingRequest(architecture=architecture, device=device, recipe=recipe))

    def curve(self, run_id: str) -> Sequence[CurvePoint]:
        """The stored curve of a run."""
        return self._experiment.store.runs.curve(run_id)
