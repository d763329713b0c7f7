"""What architectures are compared on: the value of a run, its unit, and how large a difference must be to matter."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from bench.core.records import MARGIN, MARGIN_EPOCHS, SETTLED, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.analysis.stats.classwise import ClassScores
    from bench.core.records import Margins

_TITLES = {"test_accuracy": "Test accuracy", "balanced_accuracy": "Balanced test accuracy"}
"""What people call the accuracies that verdicts may be on, by what tables for programs call them."""
_AT_CHANCE = 0.05
"""Share of the way from guessing to perfect that a run at chance level has not left behind."""


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
    constant: float = 0.0  # accuracy of a net that always says the largest class
    by_run: Mapping[str, float] | None = None  # values by run id, where they follow from predictions

    @property
    def title(self) -> str:
        """What people call it."""
        return _TITLES.get(self.name, self.name)

    @property
    def is_balanced(self) -> bool:
        """Whether it is an accuracy in which every class counts alike."""
        return self.by_run is not None

    @property
    def nothing_limit(self) -> float:
        """Accuracy up to which a run is at chance level, or no better than a net that always says the largest class."""
        return max(self.chance + _AT_CHANCE * (1 - self.chance), self.constant)

    def is_nothing(self, value: float) -> bool:
        """Whether a value says that its run got nowhere: never there, or at the level of known chance."""
        if self.horizon is not None:
            return value >= self.horizon
        return self.chance > 0 and value <= self.nothing_limit

    def value(self, record: RunRecord) -> float:
        """A run's value; NaN where it ended without one."""
        if self.name in _TITLES:
            if record.status == "diverged":
                return self.chance
            accuracy = record.test_accuracy if self.by_run is None else self.by_run.get(record.run_id)
            return math.nan if accuracy is None or record.status != "ok" else accuracy
        return restricted_time(record, record.time_to(0.95).epochs)

    def values(self, records: Iterable[RunRecord]) -> dict[int, float]:
        """Value by seed of the runs that ended, whatever became of them."""
        return {record.seed: self.value(record) for record in records if record.status != "interrupted"}


def accuracy_metric(margin: float = MARGIN, *, chance: float = 0.0, constant: float = 0.0) -> Metric:
    """Fraction of test images that are right; differences in percentage points."""
    return Metric(
        name="test_accuracy",
        unit="pp",
        scale=100.0,
        margin=margin,
        higher_is_better=True,
        chance=chance,
        constant=constant,
    )


def balanced_metric(by_run: Mapping[str, float], margin: float = MARGIN, *, chance: float = 0.0) -> Metric:
    """Mean over classes of the fraction of their test images that are right, by run id; differences likewise."""
    return dataclasses.replace(accuracy_metric(margin, chance=chance), name="balanced_accuracy", by_run=by_run)


def find_metric(
    margins: Margins, scores: Mapping[str, ClassScores], *, chance: float = 0.0, class_images: Sequence[int] = ()
) -> Metric:
    """The accuracy that verdicts are on.

    Args:
        margins: How a study is judged.
        scores: Those of its runs, by run id.
        chance: Accuracy of whoever guesses.
        class_images: Test images of each class, where they are known.
    """
    if margins.metric == "accuracy":
        constant = max(class_images) / sum(class_images) if any(class_images) else 0.0
        return accuracy_metric(margins.margin, chance=chance, constant=constant)
    by_run = {run_id: found.balanced_accuracy for run_id, found in scores.items()}
    return balanced_metric(by_run, margins.margin, chance=chance)


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
