"""What claims read of stored runs: one number a run, with what the source's own rule did to it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from bench.core.records import SETTLED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bench.core.records import CurvePoint, RunRecord, Study
    from bench.core.work.claims.claim import Arm
    from bench.core.work.claims.quantity import Quantity


@dataclasses.dataclass(frozen=True, kw_only=True)
class ArmRuns:
    """The runs of one arm that ended, by seed.

    Attributes:
        curves: Evaluations of each at the ends of its epochs.
        chance: Accuracy of whoever guesses.
        predicted: Predicted class of each test image, by seed, of the runs that stored it.
        labels: True classes of these images; None where no run stored any.
    """

    records: Mapping[int, RunRecord] = dataclasses.field(default_factory=dict)
    curves: Mapping[int, Sequence[CurvePoint]] = dataclasses.field(default_factory=dict)
    chance: float = 0.0
    predicted: Mapping[int, NDArray[np.uint8]] = dataclasses.field(default_factory=dict)
    labels: NDArray[np.uint8] | None = None
    failed: int = 0  # runs that ended without a value

    def values(self, quantity: Quantity) -> dict[int, float]:
        """The quantity by seed; NaN where a run does not have it."""
        return {seed: self._value(record, self.curves.get(seed, ()), quantity) for seed, record in self.records.items()}

    def last(self) -> dict[int, float]:
        """Test accuracy after the last epoch of each run, whatever weights it kept."""
        return {
            seed: curve[-1].val_accuracy if (curve := self.curves.get(seed)) else math.nan
            for seed, record in self.records.items()
            if record.status == "ok"
        }

    def _value(self, record: RunRecord, curve: Sequence[CurvePoint], quantity: Quantity) -> float:
        if record.status == "diverged":
            return self._diverged(record, quantity)
        if quantity.at is not None:
            return _read_on_the_way(curve, quantity)
        if quantity.name == "last_test_accuracy":
            return curve[-1].val_accuracy if curve else math.nan
        if quantity.name == "best_epoch":
            best = max(curve, key=lambda point: point.val_accuracy, default=None)  # the first of equals
            return math.nan if best is None else best.epoch
        return _time_to(record, quantity) if "_to_" in quantity.name else _or_nan(getattr(record, quantity.name))

    def _diverged(self, record: RunRecord, quantity: Quantity) -> float:
        if quantity.kind == "accuracy":
            return self.chance
        if quantity.kind == "seconds":
            return _or_nan(record.train_seconds)
        return _horizon(record) if quantity.kind in ("epochs", "whole epochs") else math.nan


def _time_to(record: RunRecord, quantity: Quantity) -> float:
    """Epochs or seconds to a target; what never got there has trained its budget, or so many seconds, at least."""
    unit, _, target = quantity.name.partition("_to_")
    time = record.time_to(int(target) / 100)
    if unit == "epochs":
        return min(time.epochs, _horizon(record))
    return time.seconds if math.isfinite(time.seconds) else _or_nan(record.train_seconds)


def _read_on_the_way(curve: Sequence[CurvePoint], quantity: Quantity) -> float:
    """After an epoch, or at a batch of the first one; NaN where a run ended before that."""
    assert quantity.at is not None  # noqa: S101 - asked for by the caller
    if quantity.name == "batch_loss":
        losses = curve[0].batch_losses or () if curve else ()
        place, rest = divmod(quantity.at - 1, 100)
        return losses[place] if not rest and place < len(losses) else math.nan
    if quantity.at > len(curve):
        return math.nan
    point = curve[quantity.at - 1]
    field = {"test_accuracy": "val_accuracy"}.get(quantity.name, quantity.name)
    return _or_nan(getattr(point, field))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _horizon(record: RunRecord) -> float:
    return float(record.budget["epochs"] or math.nan)


def find_runs(study: Study, arm: Arm, *, protocol: str, seeds: Sequence[int]) -> ArmRuns:
    """The runs of an arm that a study holds, of these seeds."""
    recipe, budget = arm.recipe.to_json(), {"epochs": arm.epochs, "seconds": None}
    found: dict[int, RunRecord] = {}
    failed = 0
    for record in study.records:
        same = (record.architecture, record.protocol) == (arm.net, protocol)
        if not same or record.seed not in seeds or dict(record.recipe) != recipe or dict(record.budget) != budget:
            continue
        if record.status in SETTLED:
            found[record.seed] = record
        else:
            failed += record.status == "failed"
    ordered = dict(sorted(found.items()))
    data = next((record.data_hash for record in ordered.values()), "")
    ends = {
        seed: tuple(point for point in study.curves.get(record.run_id, ()) if not point.probe)
        for seed, record in ordered.items()
    }
    return ArmRuns(
        records=ordered,
        curves=ends,
        chance=study.chance(data),
        predicted={
            seed: study.predicted[record.run_id] for seed, record in ordered.items() if record.run_id in study.predicted
        },
        labels=study.labels.get(data),
        failed=failed,
    )
