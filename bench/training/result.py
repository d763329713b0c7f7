"""From a run that has ended, or was cut short, to its record."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

from bench.core.records import TARGETS, CurvePoint, RunRecord, time_to_target
from bench.core.work.claims.claim import AS_CLAIMED
from bench.models.determinism import THREADS
from bench.training.checkpoint import Weights
from bench.training.evaluate import score_predictions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.core.recipe import Recipe
    from bench.core.records import Predictions
    from bench.core.run import RunRequest, Task
    from bench.training.loop import Training


def now() -> str:
    """ISO time, UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


@dataclasses.dataclass(kw_only=True)
class Outcome:
    """How a run stands; filled in while it is under way.

    Attributes:
        status: One of `bench.core.records.STATUSES`.
        error: Why it did not end well, one line.
        traceback: Where it failed.
        fault: Whose it is, one of `bench.core.records.FAULTS`, where it failed.
        training: The training, once it began.
        epoch_kept: Epoch (from 1) whose weights were kept, at the end.
        started_at: ISO time of its first start.
        wall_seconds: From its start to now, those of earlier parts included.
        saved: What `Training.state_dict` gave at its last whole epoch, of a run that was cut short.
    """

    status: str = "ok"
    error: str = ""
    traceback: str = ""
    fault: str = ""
    training: Training | None = None
    epoch_kept: int | None = None
    weights: Weights = dataclasses.field(default_factory=Weights)
    predictions: list[Predictions] = dataclasses.field(default_factory=list)
    started_at: str = dataclasses.field(default_factory=now)
    wall_seconds: float = 0.0
    saved: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def curve(self) -> list[CurvePoint]:
        """Evaluations so far."""
        if self.training:
            return self.training.curve
        return [CurvePoint(**point) for point in self.saved.get("curve", ())]


# Fields that a record has under the same name, by where they are taken from.
_OF_TASK = ("run_id", "attempt", "recipe_name", "params", "macs", "initial_hash")
_OF_REQUEST = (
    *("cohort", "architecture_hash", "dataset", "data_hash", "protocol", "seed", "split_seed", "device"),
    *("torch_version", "engine_version"),
)
_OF_OUTCOME = ("status", "error", "traceback", "fault", "epoch_kept", "wall_seconds", "started_at")


def make_record(task: Task, outcome: Outcome, *, jobs: int, environment: Mapping[str, Any]) -> RunRecord:
    """The row that a run becomes; the environment is that of the process that trained."""
    request = task.request
    used = {"instruction_set": request.instruction_set} if request.instruction_set else {}
    used["engine"] = request.engine
    return RunRecord(
        **{name: getattr(task, name) for name in _OF_TASK},
        **{name: getattr(request, name) for name in _OF_REQUEST},
        **{name: getattr(outcome, name) for name in _OF_OUTCOME},
        **dataclasses.asdict(outcome.weights),
        **_measured(outcome, request.recipe),
        **_scored(outcome.predictions),
        **_looked(outcome, request),
        request_id=request.id,
        architecture=request.architecture.name,
        recipe=request.recipe.to_json(),
        budget=dataclasses.asdict(request.budget),
        threads=THREADS,
        jobs=jobs,
        deterministic=request.device == "cpu" and request.budget.kind == "samples",
        environment={**environment, **used},
        finished_at=now(),
    )


def _measured(outcome: Outcome, recipe: Recipe) -> dict[str, Any]:
    """What the training says of itself, or its saved state did; nothing when there is neither."""
    training, saved = outcome.training, outcome.saved
    if training is None and not saved:
        return {}
    last = next((point for point in reversed(outcome.curve) if not point.probe), None)
    found = {
        "train_loss": last.train_loss if last else None,
        "train_accuracy": last.train_accuracy if last else None,
        "time_to_targets": tuple(
            time_to_target(outcome.curve, target, stopped_at=recipe.stop_at_accuracy) for target in TARGETS
        ),
    }
    if training is None:
        names = ("steps", "train_seconds", "evaluation_seconds")
        return found | {name: saved[name] for name in names} | {"epochs": float(saved["epoch"])}
    return found | {
        "epochs": training.steps / training.steps_per_epoch,
        "steps": training.steps,
        "train_seconds": training.training_clock.seconds,
        "evaluation_seconds": training.evaluation_clock.seconds,
        "train_images_per_second": training.images / training.training_clock.seconds if training.steps else None,
        "layout": training.layout,
    }


def _scored(predictions: Sequence[Predictions]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for of_split in predictions:
        name, scored = ("val" if of_split.split == "validation" else "test"), score_predictions(of_split)
        found |= {f"{name}_loss": scored.loss, f"{name}_accuracy": scored.accuracy}
    return found


def _looked(outcome: Outcome, request: RunRequest) -> dict[str, Any]:
    """How often the test set was looked at: at the end and, under the protocol "as_claimed", at every evaluation."""
    at_the_end = sum(of_split.split == "test" for of_split in outcome.predictions)
    return {"test_looks": at_the_end + (len(outcome.curve) if request.protocol == AS_CLAIMED else 0)}
