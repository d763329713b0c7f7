"""What architectures are compared on: the value of a run, its unit, and how large a difference must be to matter."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from bench.core.records import MARGIN, MARGIN_EPOCHS, SETTLED, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """One quantity that a verdict speaks of."""

    name: str  # as tables for programs call it
    unit: str  # of differences, as tables show them
    scale: float  # values times this are in `unit`
    margin: float  # half width of the range of equivalence, in the values' own unit
    higher_is_better: bool
    horizon: float | None = None  # value of a run that never got there; None where there is no such thing
    chance: float = 0.0  # accuracy that a run which diverged counts for

    def is_nothing(self, value: float) -> bool:
        """Whether a value says that its run got nowhere: never there, or at the level of known chance."""
        if self.horizon is not None:
            return value >= self.horizon
        return self.chance > 0 and value <= chance_limit(self.chance)

    def value(self, record: RunRecord) -> float:
        """A run's value; NaN where it ended without one."""
        if self.name == "test_accuracy":
            if record.status == "diverged":
                return self.chance
            accuracy = record.test_accuracy if record.status == "ok" else None
            return math.nan if accuracy is None else accuracy
        return restricted_time(record, record.time_to(0.95).epochs)

    def values(self, records: Iterable[RunRecord]) -> dict[int, float]:
        """Value by seed of the runs that ended, whatever became of them."""
        return {record.seed: self.value(record) for record in records if record.status != "interrupted"}


_AT_CHANCE = 0.05
"""Share of the way from guessing to perfect that a run at chance level has not left behind."""


def chance_limit(chance: float) -> float:
    """Accuracy up to which a run is at chance level: a net that always says one class is right a little more often."""
    return chance + _AT_CHANCE * (1 - chance)


def accuracy_metric(margin: float = MARGIN, *, chance: float = 0.0) -> Metric:
    """Fraction of test images that are right; differences in percentage points."""
    return Metric(name="test_accuracy", unit="pp", scale=100.0, margin=margin, higher_is_better=True, chance=chance)


def epochs_metric(margin: float = MARGIN_EPOCHS, *, horizon: float | None = None) -> Metric:
    """Epochs to 95 % validation accuracy, restricted to the budget, which is the horizon."""
    return Metric(name="epochs_to_95", unit="epochs", scale=1.0, margin=margin, higher_is_better=False, horizon=horizon)


def restricted_time(record: RunRecord, epochs: float) -> float:
    """min(T, horizon), whose mean compares times of which some are infinite (Royston and Parmar 2013, BMC 13, 152).

    The horizon is the run's budget. A run that diverged never got there. NaN where nothing is known: the run failed, or
    its budget is one of seconds, which has no horizon.
    """
    horizon = record.budget["epochs"]
    if record.status not in SETTLED or horizon is None:
        return math.nan
    return float(horizon) if record.status == "diverged" else min(epochs, float(horizon))
