"""References, runs and a thresholds file made up by hand for tests of the gate."""

from __future__ import annotations

import dataclasses
import math
import statistics
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from bench.core.metadata import DatasetMetadata
from bench.core.recipe import Recipe
from bench.core.records import TimeToTarget
from bench.core.work.gate import Floors, Measurement, Reference, Stage, Thresholds
from tests.factories import make_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.records import RunRecord

FIRST = (20_000, 20_001, 20_002)
FRESH = (41_003, 47_111, 40_404, 49_999, 52_001, 40_001)

GREY = DatasetMetadata(
    name="mnist5k", data_hash="da7a", pool_images=4_000, test_images=1_000, validation_images=800,
    image_shape=(1, 28, 28), classes=tuple("0123456789"), mean=(0.1,), deviation=(0.3,), origin="made up",
)  # fmt: skip
"""The dataset of the file below."""

TEXT = """\
# Reviewed by people.
version = 1

[gate]
dataset = "mnist5k"
data_hash = "da7a"
device = "cpu"
epochs = 3

[gate.recipe]
lr = 0.006
batch_size = 128

[architectures.bn25k]
mean = 0.98
deviation = 0.002
runs = 30
params = 25433
macs = 1034000
trained = "mnist5k, 3 epochs, shared, cpu"
recorded = "2026-11-21"
first_seeds = [20000, 20001, 20002]

[architectures.bn25k.floors]
accuracy = 0.97  # what the customer was promised
"""
"""Good as it stands; line 1 is its comment, line 8 its epochs, line 15 its mean."""

_SHARES = tuple((at + 0.5) / 30 for at in range(30))
NORMAL = tuple(round(0.98 + 0.002 * NormalDist().inv_cdf(share), 6) for share in _SHARES)
"""30 accuracies at the quantiles of a normal distribution."""
LEFT_TAIL = tuple(round(0.98 + 0.002 * math.log(share), 6) for share in _SHARES)
"""30 accuracies at the quantiles of an exponential tail to the left, 0.98 being the highest."""


def deviation_of(accuracies: Sequence[float]) -> float:
    """As a recording writes it."""
    return round(statistics.stdev(accuracies), 6)


def make_measurement(**changes: Any) -> Measurement:
    """30 runs with a mean of 98 % and a deviation of 0.2 pp: the limit is 97.7 %."""
    fields: dict[str, Any] = {
        "mean": 0.98,
        "deviation": 0.002,
        "runs": 30,
        "params": 25_433,
        "macs": 1_034_000,
        "trained": "mnist5k, 3 epochs, shared, cpu",
        "recorded": "2026-11-21",
        "commit": "c0ffee",
        "torch": "2.13.0",
        "architecture_hash": "hash",
    }
    return Measurement(**fields | changes)


def make_reference(name: str = "bn25k", *, floors: Floors | None = None, **changes: Any) -> Reference:
    """What a net is held against; changes are those of its measurement."""
    return Reference(
        architecture=name, now=make_measurement(**changes), first_seeds=FIRST, floors=floors or Floors(), history=()
    )


def make_thresholds(*references: Reference, **changes: Any) -> Thresholds:
    """A file's worth of references, which say that they were trained as the file says."""
    fields: dict[str, Any] = {
        "dataset": "mnist5k",
        "data_hash": "da7a",
        "device": "cpu",
        "recipe": Recipe(),
        "epochs": 3,
        "references": {reference.architecture: reference for reference in references},
    }
    thresholds = Thresholds(**fields | changes)
    as_said = {
        name: dataclasses.replace(of, now=dataclasses.replace(of.now, trained=thresholds.trained))
        for name, of in thresholds.references.items()
    }
    return dataclasses.replace(thresholds, references=as_said)


def gate_run(seed: int, accuracy: float | None = 0.98, *, epochs_to_95: float = 0.5, **changes: Any) -> RunRecord:
    """One run of the gate as the store would give it back."""
    fields: dict[str, Any] = {
        "run_id": f"run-{seed}",
        "request_id": f"run-{seed}",
        "architecture_hash": "hash",
        "dataset": "mnist5k",
        "protocol": "validation",
        "val_accuracy": accuracy,
        "time_to_targets": (TimeToTarget(target=0.9, epochs=0.1), TimeToTarget(target=0.95, epochs=epochs_to_95)),
    }
    return make_record(seed=seed, **fields | changes)


def gate_runs(seeds: Sequence[int], accuracies: Sequence[float], epochs: Sequence[float] = ()) -> list[RunRecord]:
    """One run a seed; half an epoch to 95 % where nothing is said."""
    times = epochs or [0.5] * len(seeds)
    return [
        gate_run(seed, accuracy, epochs_to_95=time)
        for seed, accuracy, time in zip(seeds, accuracies, times, strict=True)
    ]


def make_stage(seeds: Sequence[int] = FIRST, accuracy: float = 0.98) -> Stage:
    """A stage whose last run never got to 95 %."""
    count = len(seeds)
    return Stage(seeds=tuple(seeds), accuracies=(accuracy,) * count, epochs_to_95=(*(0.25,) * (count - 1), math.inf))
