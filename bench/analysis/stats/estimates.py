"""What several seeds say together: a mean with its interval, a median that counts "never" as infinite."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING, Literal

from scipy.stats import ttest_1samp
from statsmodels.stats.proportion import proportion_confint

from bench.core.records import SETTLED, TimeToTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.core.records import RunRecord


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccuracyEstimate:
    """Accuracy over seeds."""

    values: tuple[float, ...]  # one fraction a seed
    mean: float | None = None  # None without values
    low: float | None = None  # lower end of the 95 % interval; None where there is no interval
    high: float | None = None
    basis: Literal["seeds", "images", "none"] = "none"  # Student's t, or Wilson's of this one fitted model

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds (n − 1); None under two seeds."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def estimate_accuracy(values: Sequence[float], *, images: int | None) -> AccuracyEstimate:
    """The mean and the interval that so many seeds allow.

    From three seeds on Student's t (`scipy.stats.ttest_1samp`), cut at 0 and 1; two seeds give no interval; one gives
    Wilson's over images (`statsmodels.stats.proportion.proportion_confint`), which speaks of that model alone, or none
    where their number is unknown. A NaN, of a run that ended without an accuracy, is left out.
    """
    seeds = tuple(value for value in values if math.isfinite(value))
    if not seeds:
        return AccuracyEstimate(values=())
    mean = statistics.fmean(seeds)
    if len(seeds) == 1 and images:
        low, high = proportion_confint(round(mean * images), images, alpha=0.05, method="wilson")
        return AccuracyEstimate(values=seeds, mean=mean, low=float(low), high=float(high), basis="images")
    if len(seeds) < 3:
        return AccuracyEstimate(values=seeds, mean=mean)
    low, high = student_interval(seeds)
    return AccuracyEstimate(values=seeds, mean=mean, low=max(0.0, low), high=min(1.0, high), basis="seeds")


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of a mean (`scipy.stats.ttest_1samp`); the mean twice where all values are equal."""
    if min(values) == max(values):  # scipy warns of lost precision there
        return values[0], values[0]
    interval = ttest_1samp(values, popmean=0.0).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetEstimate:
    """Medians of the time to a target over seeds: infinite when half or more never got there, None without runs."""

    runs: int  # that are counted
    reached: int  # those that got there
    epochs: float | None
    images: float | None
    seconds: float | None


def time_never_if_diverged(run: RunRecord, target: float) -> TimeToTarget:
    """How long a run took to a target; one that diverged never got there, whatever it passed on the way."""
    return TimeToTarget(target=target) if run.status == "diverged" else run.time_to(target)


def estimate_time_to_target(runs: Sequence[RunRecord], target: float) -> TargetEstimate:
    """Medians over the runs that ended ok or diverged; of those that failed or were interrupted nothing is known."""
    times = [time_never_if_diverged(run, target) for run in runs if run.status in SETTLED]
    return TargetEstimate(
        runs=len(times),
        reached=sum(math.isfinite(time.epochs) for time in times),
        epochs=median_of([time.epochs for time in times]),
        images=median_of([time.images for time in times]),
        seconds=median_of([time.seconds for time in times]),
    )


def median_of(values: Sequence[float | None]) -> float | None:
    """Median of the values that are there; None when none is."""
    present = [value for value in values if value is not None]
    return statistics.median(present) if present else None
