"""What claims read of stored runs: one number a run, with what the source's own rule did to it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from bench.core.records import SETTLED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bench.core.records import CurvePoint, RunRecord, Study
    from bench.core.work.claims.claim import Arm, AskedClaim
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
    failed: frozenset[int] = frozenset()  # seeds of runs that ended without a value

    @property
    def ended(self) -> set[int]:
        """Seeds whose runs have ended, in whatever way."""
        return {*self.records, *self.failed}

    def values(self, quantity: Quantity) -> dict[int, float]:
        """The quantity by seed; NaN where a run ended without it."""
        read = {seed: self._value(record, self.curves.get(seed, ()), quantity) for seed, record in self.records.items()}
        return dict.fromkeys(self.failed, math.nan) | read

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
            return _whole_seconds(record)
        return _horizon(record) if quantity.kind in ("epochs", "whole epochs") else math.nan


def _time_to(record: RunRecord, quantity: Quantity) -> float:
    """Epochs or seconds to a target; what never got there counts with its whole budget, at its own pace."""
    unit, _, target = quantity.name.partition("_to_")
    time = record.time_to(int(target) / 100)
    if unit == "epochs":
        return min(time.epochs, _horizon(record))
    return time.seconds if math.isfinite(time.seconds) else _whole_seconds(record)


def _whole_seconds(record: RunRecord) -> float:
    """What its budget would have taken at the pace of what it trained."""
    if not record.epochs or record.train_seconds is None:
        return math.nan
    return record.train_seconds / record.epochs * _horizon(record)


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


def find_runs(study: Study, arm: Arm, asked: AskedClaim, seeds: Iterable[int] | None = None) -> ArmRuns:
    """The runs that a study holds of an arm of a claim, on the images that it was run on; all seeds when None."""
    recipe, budget = arm.recipe.to_json(), {"epochs": arm.epochs, "seconds": None}
    wanted, chosen = (arm.net, asked.claim.protocol, asked.data_hash), None if seeds is None else set(seeds)
    same = [
        record
        for record in study.records
        if (record.architecture, record.protocol, record.data_hash) == wanted
        and (chosen is None or record.seed in chosen)
        and (dict(record.recipe), dict(record.budget)) == (recipe, budget)
    ]
    found = {record.seed: record for record in same if record.status in SETTLED}
    failed = {record.seed for record in same if record.status == "failed"}
    ordered = dict(sorted(found.items()))
    ends = {
        seed: tuple(point for point in study.curves.get(record.run_id, ()) if not point.probe)
        for seed, record in ordered.items()
    }
    return ArmRuns(
        records=ordered,
        curves=ends,
        chance=study.chance(asked.data_hash),
        predicted={
            seed: study.predicted[record.run_id] for seed, record in ordered.items() if record.run_id in study.predicted
        },
        labels=study.labels.get(asked.data_hash),
        failed=frozenset(failed - found.keys()),
    )
