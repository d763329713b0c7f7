"""The nouns of a result: what one run and one study leave behind.

Nothing here needs torch, so that reports read results without it.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from bench.core.gate import GateOutcome
    from bench.core.metadata import ArchitectureFacts, DatasetFacts, Timing
    from bench.core.pictures import DataPictures, Portrait
    from bench.core.tuning import Tuning

TARGETS = (0.90, 0.95, 0.98, 0.99)
"""Validation accuracies to which the way is measured, as fractions."""

STATUSES = ("ok", "diverged", "failed", "interrupted")
SETTLED = ("ok", "diverged")
"""Outcomes that the same request would have again; anything else is tried again."""

FAULTS = ("net", "machine")
"""A run fails by its net, or by the machine: memory, a file, the data, a connection, a worker that died."""

ROLES = ("compare", "tune", "gate", "reference", "claim")
GATE_ROLES = ("gate", "reference")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One evaluation on the way.

    Attributes:
        step: Optimizer steps done.
        images: Training images seen.
        epoch: Epochs done, as a fraction.
        train_seconds: Training clock, evaluation excluded.
        evaluation_seconds: Clock of all evaluation so far.
        probe: True when only the fixed probe of validation images was scored, False for the whole validation set.
        val_loss: Mean cross-entropy (nats) on the images scored.
        val_accuracy: Fraction right of the images scored.
        train_loss: Mean loss of the steps of this epoch, of smoothed labels where the recipe smooths them; None on a
            probe.
        train_accuracy: Fraction right of this epoch's training images as they were trained on; None on a probe.
    """

    step: int
    images: int
    epoch: float
    train_seconds: float
    evaluation_seconds: float
    probe: bool
    val_loss: float
    val_accuracy: float
    train_loss: float | None = None
    train_accuracy: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeToTarget:
    """How long a run took to a validation accuracy, as `time_to_target` finds it.

    Attributes:
        target: The accuracy, a fraction.
        epochs: Fraction of epochs; `math.inf` when never reached.
        images: Training images; `math.inf` when never reached.
        seconds: Training seconds; `math.inf` when never reached.
    """

    target: float
    epochs: float = math.inf
    images: float = math.inf
    seconds: float = math.inf


def time_to_target(curve: Sequence[CurvePoint], target: float, *, stopped_at: float | None = None) -> TimeToTarget:
    """The first of two consecutive evaluations at or above `target`.

    A single pass at the very end does not count, be it that the budget ended the run there or its patience. Where the
    run ended because it had come to an accuracy of its own, it has reached that one, and every lower target, there.

    Args:
        curve: Evaluations in order of time.
        target: Validation accuracy, a fraction.
        stopped_at: The accuracy at which the run's recipe stops it; None for a recipe that does not.
    """
    for point, following in itertools.pairwise(curve):
        if point.val_accuracy >= target and following.val_accuracy >= target:
            return _reached(target, point)
    if stopped_at is not None and target <= stopped_at and curve:
        last = curve[-1]
        if not last.probe and last.val_accuracy >= stopped_at:  # only at the end of an epoch is a run stopped
            return _reached(target, last)
    return TimeToTarget(target=target)


def _reached(target: float, point: CurvePoint) -> TimeToTarget:
    return TimeToTarget(target=target, epochs=point.epoch, images=point.images, seconds=point.train_seconds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a final model said of every image of one split, so that any metric can be recomputed without training.

    Attributes:
        split: "validation" or "test".
        images: Index of each image in the training pool or the test set, (N,) int32.
        labels: True class, (N,) uint8.
        predicted: Predicted class, (N,) uint8.
        confidence: Probability given to the predicted class, (N,) float32.
        true_probability: Probability given to the true class, (N,) float32.
    """

    split: str
    images: npt.NDArray[np.int32]
    labels: npt.NDArray[np.uint8]
    predicted: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.float32]
    true_probability: npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run as it ended: one row of the table of runs. Accuracies are fractions, losses nats, sizes bytes.

    Attributes:
        run_id: The request's id, with the attempt appended from the second on.
        request_id: Content hash of the request.
        cohort: Content hash of the request without its seeds.
        attempt: 1, 2, … for repeated requests (a failed run tried again, `--fresh`).
        recipe_name: "shared", "published" or "tuned", with the user's changes behind it.
        status: One of `STATUSES`.
        error: Why it failed or diverged, one line; empty when ok.
        traceback: Where it failed, for our eyes.
        fault: Whose it is that it failed, one of `FAULTS`; empty where it did not, and in older versions.
        epochs: Epochs trained, as a fraction; an early-stopped run has fewer than its budget.
        epoch_kept: Epoch whose weights were evaluated at the end.
        test_looks: How many times the test set was evaluated.
        time_to_targets: One for each of `TARGETS`.
        train_seconds: Training clock, evaluation excluded.
        evaluation_seconds: Clock of probes, validation and the final test.
        wall_seconds: From the start of the run to its storing, set-up included.
        train_images_per_second: Images over whole steps, data included, evaluation excluded.
        threads: Threads of the process that trained.
        jobs: Runs that could train on the machine at once.
        layout: Memory layout and rewriting that the engine chose.
        checkpoint: Path of the final weights, relative to the results directory; empty without one.
        checkpoint_bytes: Its size on disk.
        checkpoint_hash: SHA-256 of the final weights' file.
        weights_hash: SHA-256 over the final weights' values, to compare runs bit for bit.
        initial_hash: Of the net that its file built then (`ArchitectureFacts`); empty in older versions.
        environment: Versions, hardware, commit, whether the tree was dirty.
    """

    run_id: str
    request_id: str
    cohort: str
    attempt: int
    architecture: str
    architecture_hash: str
    recipe_name: str
    recipe: Mapping[str, Any]
    budget: Mapping[str, Any]
    dataset: str
    data_hash: str
    protocol: str
    seed: int
    split_seed: int
    device: str
    torch_version: str
    engine_version: int
    status: str
    error: str = ""
    traceback: str = ""
    fault: str = ""
    params: int | None = None
    macs: int | None = None
    epochs: float | None = None
    epoch_kept: int | None = None
    steps: int | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    test_looks: int = 0
    time_to_targets: tuple[TimeToTarget, ...] = ()
    train_seconds: float | None = None
    evaluation_seconds: float | None = None
    wall_seconds: float | None = None
    train_images_per_second: float | None = None
    threads: int = 1
    jobs: int = 1
    layout: str = ""
    checkpoint: str = ""
    checkpoint_bytes: int | None = None
    checkpoint_hash: str = ""
    weights_hash: str = ""
    initial_hash: str = ""
    deterministic: bool = True
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    started_at: str = ""
    finished_at: str = ""

    def time_to(self, target: float) -> TimeToTarget:
        """The time to one of `TARGETS`; never reached when the run did not get that far."""
        return next((t for t in self.time_to_targets if t.target == target), TimeToTarget(target=target))

    @property
    def table(self) -> TableKey:
        """What it shares with the runs that stand in one table with it."""
        return TableKey.of(self, recipe_name=self.recipe_name, recipe=self.recipe, budget=self.budget)


def is_own_recipe(recipe_name: str) -> bool:
    """Whether a name stands for one way of training under which every net has a recipe of its own."""
    return recipe_name.startswith(("published", "tuned"))


_SHARED = ("dataset", "data_hash", "protocol", "device", "torch_version", "engine_version")


@dataclasses.dataclass(frozen=True, order=True, kw_only=True)
class TableKey:
    """What runs share that stand in one table: everything but architecture and seed.

    Attributes:
        recipe: Its name where every net has one of its own, else its fields as JSON.
        budget: Its fields as JSON; empty for what several budgets share.
    """

    dataset: str
    data_hash: str
    recipe: str
    budget: str
    protocol: str
    device: str
    torch_version: str
    engine_version: int

    @classmethod
    def of(cls, run: object, *, recipe_name: str, recipe: Mapping[str, Any], budget: Mapping[str, Any]) -> Self:
        """The key of a run, stored or wanted (both name the other fields alike), and of what people call its recipe."""
        own = is_own_recipe(recipe_name)
        return cls(
            recipe=recipe_name if own else json.dumps(dict(recipe), sort_keys=True),
            budget=json.dumps(dict(budget), sort_keys=True),
            **{name: getattr(run, name) for name in _SHARED},
        )

    @property
    def family(self) -> Self:
        """What tables share that differ in nothing but the budget."""
        return dataclasses.replace(self, budget="")


RULE = 2
"""Version of the rule of verdicts; 1 was paired t or, of skewed differences, sign flips alone."""

MARGIN = 0.001
"""Accuracy, as a fraction, within which architectures are equivalent unless the user says otherwise: 0.10 pp."""
MARGIN_EPOCHS = 0.05
"""The same of epochs to a target."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How the results of a study are judged.

    Attributes:
        margin: Half width of the range of equivalence, an accuracy fraction.
        margin_epochs: The same for epochs to a target.
    """

    margin: float = MARGIN
    margin_epochs: float = MARGIN_EPOCHS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """One study as the store holds it: all that a report is made from.

    Attributes:
        name: Its name.
        command: The command line that repeats it.
        records: Its current runs: superseded ones are left out; several datasets, recipes or budgets may stand here.
        roles: Role of each run, by run id.
        curves: Evaluations of each run in order of time, by run id.
        architectures: Facts by architecture hash.
        datasets: Facts by data hash.
        timings: The latest timing of each architecture hash, machine and device.
        settings: How its results are judged.
        seed_plans: How the seeds of a run's arm were asked for, by run id, each once in order of time: "6", "6:30".
        shown_elsewhere: Other studies that compare a run too and how its seeds were asked for there, by run id.
        first_rule: Version of the rule of verdicts under which it was begun (`RULE`).
        predicted: Predicted class of each test image (N,), by run id, of the runs that have predictions.
        confidence: Probability (N,) float32 given to these classes, by run id.
        labels: True class of each test image (N,), by data hash.
        pictures: Images of the datasets, by data hash, of those that have them.
        portraits: Insides of fitted nets, one run a cohort.
        tunings: One for each architecture and dataset that was tuned, by name.
        gate: How its last check ended; None when it was never checked.
        missing: How many of its planned runs to compare have not ended yet.
        superseded: How many runs the study keeps that are no longer compared.
    """

    name: str
    command: str
    records: tuple[RunRecord, ...]
    roles: Mapping[str, str]
    curves: Mapping[str, tuple[CurvePoint, ...]]
    architectures: Mapping[str, ArchitectureFacts]
    datasets: Mapping[str, DatasetFacts]
    timings: tuple[Timing, ...]
    settings: Settings = dataclasses.field(default_factory=Settings)
    seed_plans: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    shown_elsewhere: Mapping[str, frozenset[tuple[str, str]]] = dataclasses.field(default_factory=dict)
    first_rule: int = RULE
    predicted: Mapping[str, npt.NDArray[np.uint8]] = dataclasses.field(default_factory=dict)
    confidence: Mapping[str, npt.NDArray[np.float32]] = dataclasses.field(default_factory=dict)
    labels: Mapping[str, npt.NDArray[np.uint8]] = dataclasses.field(default_factory=dict)
    pictures: Mapping[str, DataPictures] = dataclasses.field(default_factory=dict)
    portraits: tuple[Portrait, ...] = ()
    tunings: tuple[Tuning, ...] = ()
    gate: GateOutcome | None = None
    missing: int = 0
    superseded: int = 0

    def chance(self, data_hash: str) -> float:
        """Accuracy of whoever guesses one of the classes of a dataset; 0 where nothing is known of it."""
        return 1 / len(self.datasets[data_hash].classes) if data_hash in self.datasets else 0.0
