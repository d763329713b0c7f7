"""The nouns of a result: what one run and one study leave behind.

Nothing here needs torch, so that reports read results without it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from typing import TYPE_CHECKING, Any, Self

from bench.core.errors import UnknownNameError
from bench.core.recipe import find_shared, without_own

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from bench.core.metadata import ArchitectureMetadata, DatasetMetadata, Diagnosis, Timing
    from bench.core.pictures import DataPictures, Portrait
    from bench.core.work.claims.claim import AskedClaim
    from bench.core.work.gate import GateOutcome
    from bench.core.work.tuning import Tuning

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
    """One evaluation on the way; of validation images, under the protocol "as_claimed" of test images."""

    step: int  # optimizer steps done
    images: int  # training images seen
    epoch: float  # epochs done, as a fraction
    train_seconds: float  # training clock, evaluation excluded
    evaluation_seconds: float  # clock of all evaluation so far
    probe: bool  # True when only the fixed probe of validation images was scored, False for the whole validation set
    val_loss: float  # mean cross-entropy (nats) on the images scored
    val_accuracy: float  # fraction right of the images scored
    train_loss: float | None = None  # mean of this epoch's steps, of labels as the recipe smooths them; None on a probe
    train_accuracy: float | None = None  # of this epoch's training images as they were trained on; None on a probe
    batch_losses: tuple[float, ...] | None = None  # of batches 1, 101, 201, … of this epoch; only under "as_claimed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeToTarget:
    """How long a run took to a validation accuracy, as `time_to_target` finds it; infinite when never reached."""

    target: float  # the accuracy, a fraction
    epochs: float = math.inf
    images: float = math.inf  # training images
    seconds: float = math.inf  # training seconds


def time_to_target(curve: Sequence[CurvePoint], target: float, *, stopped_at: float | None = None) -> TimeToTarget:
    """The first of two consecutive evaluations at or above `target`.

    A single pass at the very end does not count, be it that the budget ended the run there or its patience. Where the
    run ended because it had come to an accuracy of its own, it has reached that one, and every lower target, there.

    Args:
        curve: Evaluations in order of time.
        target: Validation accuracy, a fraction.
        stopped_at: The accuracy at which the run's recipe stops it; None for a recipe that does not.
    """
    pairs = itertools.pairwise(curve)
    reached = next((a for a, b in pairs if a.val_accuracy >= target and b.val_accuracy >= target), None)
    if reached is None and stopped_at is not None and target <= stopped_at and curve:
        last = curve[-1]
        if not last.probe and last.val_accuracy >= stopped_at:  # only at the end of an epoch is a run stopped
            reached = last
    if reached is None:
        return TimeToTarget(target=target)
    return TimeToTarget(target=target, epochs=reached.epoch, images=reached.images, seconds=reached.train_seconds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a final model said of every image of one split, so that any metric can be recomputed without training."""

    split: str  # "validation" or "test"
    images: npt.NDArray[np.int32]  # index of each image in the training pool or the test set, (N,)
    labels: npt.NDArray[np.uint8]  # true class, (N,)
    predicted: npt.NDArray[np.uint8]  # predicted class, (N,)
    confidence: npt.NDArray[np.float32]  # probability given to the predicted class, (N,)
    true_probability: npt.NDArray[np.float32]  # probability given to the true class, (N,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run as it ended: one row of the table of runs. Accuracies are fractions, losses nats, sizes bytes."""

    run_id: str  # the request's id, with the attempt appended from the second on
    request_id: str  # content hash of the request
    cohort: str  # content hash of the request without its seeds
    attempt: int  # 1, 2, … for repeated requests (a failed run tried again, `--fresh`)
    architecture: str
    architecture_hash: str
    recipe_name: str  # "shared", "published" or "tuned", with the user's changes behind it
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
    status: str  # one of `STATUSES`
    error: str = ""  # why it failed or diverged, one line; empty when ok
    traceback: str = ""  # where it failed, for our eyes
    fault: str = ""  # whose it is that it failed, one of `FAULTS`; empty where it did not, and in older versions
    params: int | None = None
    macs: int | None = None
    epochs: float | None = None  # trained, as a fraction; an early-stopped run has fewer than its budget
    epoch_kept: int | None = None  # whose weights were evaluated at the end
    steps: int | None = None
    train_loss: float | None = None
    train_accuracy: float | None = None
    val_loss: float | None = None
    val_accuracy: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    test_looks: int = 0  # how many times the test set was evaluated
    time_to_targets: tuple[TimeToTarget, ...] = ()  # one for each of `TARGETS`
    train_seconds: float | None = None  # training clock, evaluation excluded
    evaluation_seconds: float | None = None  # clock of probes, validation and the final test
    wall_seconds: float | None = None  # from the start of the run to its storing, set-up included
    train_images_per_second: float | None = None  # over whole steps, data included, evaluation excluded
    threads: int = 1  # of the process that trained
    jobs: int = 1  # runs that could train on the machine at once
    layout: str = ""  # memory layout and rewriting that the engine chose
    checkpoint: str = ""  # path of the final weights, relative to the results directory; empty without one
    checkpoint_bytes: int | None = None  # its size on disk
    checkpoint_hash: str = ""  # SHA-256 of the final weights' file
    weights_hash: str = ""  # SHA-256 over the final weights' values, to compare runs bit for bit
    initial_hash: str = ""  # of the net that its file built then (`ArchitectureMetadata`); empty in older versions
    deterministic: bool = True
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # versions, hardware, commit, dirty tree
    started_at: str = ""
    finished_at: str = ""

    def time_to(self, target: float) -> TimeToTarget:
        """The time to one of `TARGETS`; never reached when the run did not get that far."""
        return next((t for t in self.time_to_targets if t.target == target), TimeToTarget(target=target))

    @property
    def engine(self) -> str:
        """What trained it: "torch", as in all older versions, or "lanes", the suite's own kernels."""
        return str(self.environment.get("engine", "torch"))

    @property
    def table(self) -> TableKey:
        """What it shares with the runs that stand in one table with it."""
        return TableKey.of(self, recipe_name=self.recipe_name, recipe=self.recipe, budget=self.budget)


def is_own_recipe(recipe_name: str) -> bool:
    """Whether a name stands for one way of training under which every net has a recipe of its own."""
    return recipe_name.startswith(("published", "tuned"))


_SHARED = ("dataset", "data_hash", "protocol", "device", "torch_version", "engine_version", "engine")


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
    engine: str = "torch"

    @classmethod
    def of(cls, run: object, *, recipe_name: str, recipe: Mapping[str, Any], budget: Mapping[str, Any]) -> Self:
        """The key of a run, stored or wanted (both name the other fields alike), and of what people call its recipe.

        A net with changes of its own to the recipe stands in the table of those without.
        """
        shared = without_own(recipe_name)
        fields = find_shared(recipe_name, recipe) if shared != recipe_name else dict(recipe)
        return cls(
            recipe=shared if is_own_recipe(shared) else json.dumps(fields, sort_keys=True),
            budget=json.dumps(dict(budget), sort_keys=True),
            **{name: getattr(run, name) for name in _SHARED},
        )

    @property
    def code(self) -> str:
        """Content hash of all of it: 16 hexadecimal digits.

        That of the torch engine is what it was before there was another: verdicts are stored under it.
        """
        parts = dataclasses.astuple(self)
        known = parts if self.engine == "lanes" else parts[:-1]
        return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]

    @property
    def family(self) -> Self:
        """What tables share that differ in nothing but the budget."""
        return dataclasses.replace(self, budget="")

    @property
    def anywhere(self) -> Self:
        """What tables share that differ in nothing but device, engine and versions."""
        return dataclasses.replace(self, device="", torch_version="", engine_version=0, engine="")


RULE = 2
"""Version of the rule of verdicts; 1 was paired t or, of skewed differences, sign flips alone."""

MARGIN = 0.001
"""Accuracy, as a fraction, within which architectures are equivalent unless the user says otherwise: 0.10 pp."""
MARGIN_EPOCHS = 0.05
"""The same of epochs to a target."""

METRICS = ("accuracy", "balanced_accuracy")
"""What verdicts may be on: the share of test images that are right, or its mean over the classes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Margins:
    """How the results of a study are judged.

    Raises:
        UnknownNameError: There is no such metric.
    """

    margin: float = MARGIN  # half width of the range of equivalence, an accuracy fraction
    margin_epochs: float = MARGIN_EPOCHS  # the same for epochs to a target
    metric: str = METRICS[0]  # what verdicts are on

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UnknownNameError("metric", self.metric, METRICS)


@dataclasses.dataclass(frozen=True)
class ShownVerdict:
    """What a report said of a pair."""

    table: str  # `TableKey.code` of its table
    metric: str
    a: str
    b: str
    verdict: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """One study as the store holds it: all that a report is made from.

    Attributes:
        records: Its current runs: superseded ones are left out; several datasets, recipes or budgets may stand here.
        seed_plans: How the seeds of a run's arm were asked for, by run id, each once in order of time: "6", "6:30".
        shown_elsewhere: Other studies that compare a run too and how its seeds were asked for there, by run id.
        predicted: Predicted class of each test image (N,), by run id, of the runs that have predictions.
    """

    name: str
    command: str  # that repeats it
    records: tuple[RunRecord, ...]
    roles: Mapping[str, str]  # by run id
    curves: Mapping[str, tuple[CurvePoint, ...]]  # evaluations in order of time, by run id
    architectures: Mapping[str, ArchitectureMetadata]  # by architecture hash
    datasets: Mapping[str, DatasetMetadata]  # by data hash
    timings: tuple[Timing, ...]  # the latest of each architecture hash, machine and device
    margins: Margins = dataclasses.field(default_factory=Margins)  # how its results are judged
    seed_plans: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    shown_elsewhere: Mapping[str, frozenset[tuple[str, str]]] = dataclasses.field(default_factory=dict)
    first_rule: int = RULE  # version of the rule of verdicts under which it was begun
    predicted: Mapping[str, npt.NDArray[np.uint8]] = dataclasses.field(default_factory=dict)
    confidence: Mapping[str, npt.NDArray[np.float32]] = dataclasses.field(default_factory=dict)  # given to these (N,)
    labels: Mapping[str, npt.NDArray[np.uint8]] = dataclasses.field(default_factory=dict)  # (N,), by data hash
    pictures: Mapping[str, DataPictures] = dataclasses.field(default_factory=dict)  # by data hash
    portraits: tuple[Portrait, ...] = ()  # one run a cohort
    tunings: tuple[Tuning, ...] = ()  # one for each architecture and dataset that was tuned, by name
    gate: GateOutcome | None = None  # how its last check ended; None when it was never checked
    claims: tuple[AskedClaim, ...] = ()  # that it judges, in order
    missing: int = 0  # planned runs to compare that have not ended yet
    superseded: int = 0  # runs that it keeps and no longer compares
    shown: tuple[ShownVerdict, ...] = ()  # before the last command that changed what is judged
    forgotten: tuple[str, ...] = ()  # architectures that were taken out of it
    diagnoses: tuple[Diagnosis, ...] = ()  # what the doctor found in its nets, by name

    def chance(self, data_hash: str) -> float:
        """Accuracy of whoever guesses one of the classes of a dataset; 0 where nothing is known of it."""
        return 1 / len(self.datasets[data_hash].classes) if data_hash in self.datasets else 0.0
