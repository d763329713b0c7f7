"""The rule of the gate in two stages, how often it errs, and how far a limit must be widened.

A first stage of a few seeds passes when their mean is not far below the references' mean. One that falls below is only
asked again, on more and fresh seeds, and the gate fails when these fall below as well: a single stage of equal cost
would cry wolf many times as often (METHODOLOGY, "The gate").

The plain formulas give the rates of normal accuracies. A net that now and then ends far below its usual accuracy fails
harmless changes more often, mostly because 30 references showed few of its bad runs. A smoothed bootstrap (Efron 1982;
Silverman and Young 1987, "The bootstrap: to smooth or not to smooth?") draws references and stages alike from the
accuracies that were recorded: X* = m + s (z + h e) / sqrt(v + h²), with z a recorded accuracy drawn at random and put
in deviations from the mean, e standard normal, v the variance of all z, and h = 0.9 min(1, IQR / 1.34) n^(-1/5)
(Silverman 1986, 3.31) in the same unit. The division gives X* the variance of the references.

1.5 standard deviations keep the promise for normal accuracies, and for what is not told from them. Where a net's own
references fail harmless changes more often than promised, or lean to the left as fewer than one in twenty sets of
normal ones do, the limit is lowered until the rate measured on them is well below the promise: 30 references show a
left tail shorter than it is, so that rates measured on them are too small (docs/error-rates.md).
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.signal import fftconvolve
from scipy.stats import chi2, norm

from bench.core.work.gate import ALLOWED_DEVIATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bench.core.work.gate import Reference

    Numbers = NDArray[np.float64]

FIRST_SEEDS = 3
"""Seeds of the first stage, the same ones at every check."""
FRESH_SEEDS = 6
"""Seeds of the second stage, others at every commit."""
POWER = 0.98
"""With which a drop counts as caught."""

_QUANTILES = (np.arange(400) + 0.5) / 400
"""Of what the references' mean and deviation may have come to by luck, each as likely."""


def chance_to_fail(drop: float, *, references: int, allowed: float = ALLOWED_DEVIATIONS) -> float:
    """Probability that the gate fails an architecture whose mean dropped.

    Normal accuracies; averaged over what the mean and the deviation of the references may have come to (Student's
    setting: one normal, the other the root of a chi-square, independent), since both stages are held against the same.

    Args:
        drop: How far the true mean fell, in true standard deviations; 0 gives the rate of false alarms.
        references: Runs that the references were taken from.
        allowed: Standard deviations by which a stage may lie below the references; fewer where a floor lies higher.
    """
    mean = norm.ppf(_QUANTILES)[:, None] / math.sqrt(references)  # (400, 1)
    deviation = np.sqrt(chi2.ppf(_QUANTILES, references - 1) / (references - 1))  # (400,)
    limit = mean + drop - allowed * deviation  # (400, 400), the true mean after the drop being 0
    first, fresh = (norm.cdf(limit * math.sqrt(seeds)) for seeds in (FIRST_SEEDS, FRESH_SEEDS))
    return float(np.mean(first * fresh))


@functools.lru_cache(maxsize=256)
def caught_drop(references: int, allowed: float = ALLOWED_DEVIATIONS) -> float:
    """The drop, in true standard deviations, that is caught with 98 % power: 2.83 of 30 references, 3.28 of six."""
    return float(brentq(lambda drop: chance_to_fail(drop, references=references, allowed=allowed) - POWER, 0.0, 20.0))


class LargerRule(NamedTuple):
    """Seeds of both stages, reference runs and allowed deviations of a rule with a limit nearer to the references."""

    first: int
    fresh: int
    references: int
    allowed: float


def rule_to_catch(drop: float, caught: float, *, references: int, allowed: float = ALLOWED_DEVIATIONS) -> LargerRule:
    """The rule that would catch a drop with 98 % power, beside the drop that is caught now, both accuracy fractions.

    With k times all runs means scatter √k times less. At a limit √k times nearer false alarms stay as they are and the
    drop that is caught is √k times smaller. At the gate's own limit nothing is gained: a stage of endless seeds still
    passes after any drop that is smaller than the distance of the limit.
    """
    times = max(1, math.ceil((caught / drop) ** 2 - 1e-9))
    return LargerRule(
        first=times * FIRST_SEEDS,
        fresh=times * FRESH_SEEDS,
        references=times * references,
        allowed=allowed / math.sqrt(times),
    )


FEWEST_MEASURED = 20
"""References below which nothing is measured: so few say next to nothing of a tail."""

_DRAWN = 600_000
"""Accuracies drawn for resampled references: 20,000 sets of 30."""
_FEWEST_SETS = 500
_POINTS = 4096
"""Of the grid on which the distribution of one accuracy is held."""
_REACH = 8
"""Kernel deviations beyond the outermost accuracy at which that grid ends."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ResampledGate:
    """References drawn again from a net's own, and what stages drawn from the same come to.

    Everything is in standard deviations of the recorded references, from their mean.

    Attributes:
        means: Mean of each set of resampled references, (sets,).
        deviations: Standard deviation of each, (sets,).
        first: Values of the mean of the first stage, and the probability below each.
        fresh: The same of the second stage.
    """

    means: Numbers
    deviations: Numbers
    first: tuple[Numbers, Numbers]
    fresh: tuple[Numbers, Numbers]

    def chance_to_fail(self, drop: float, *, allowed: float) -> float:
        """Probability that the gate fails after a drop, in deviations, every run of the check being drawn anew.

        The first seeds were chosen to pass when they were recorded; that binds no changed net, whose runs are others.
        """
        limits = self.means + drop - allowed * self.deviations
        first, fresh = (np.interp(limits, *stage, left=0.0, right=1.0) for stage in (self.first, self.fresh))
        return float(np.mean(first * fresh))

    def caught_drop(self, allowed: float) -> float:
        """The drop, in deviations, that is caught with 98 % power."""
        return float(brentq(lambda drop: self.chance_to_fail(drop, allowed=allowed) - POWER, 0.0, 100.0))


@functools.lru_cache(maxsize=64)
def resample(accuracies: tuple[float, ...], deviation: float) -> ResampledGate:
    """Draw gates from a net's own references, the same ones every time.

    Args:
        accuracies: Validation accuracy of each reference run, fractions.
        deviation: Their standard deviation as it is recorded: one image's worth where they are all equal.
    """
    recorded = np.asarray(accuracies)
    kernel, scaled = _shrink((recorded - recorded.mean()) / deviation)
    generator = np.random.default_rng(0)
    shape = (max(_FEWEST_SETS, _DRAWN // len(scaled)), len(scaled))
    sets = generator.choice(scaled, shape) + kernel * generator.standard_normal(shape)
    values, density = _smoothed(scaled, kernel)
    return ResampledGate(
        means=sets.mean(axis=1),
        deviations=sets.std(axis=1, ddof=1),
        first=_mean_of(FIRST_SEEDS, values, density),
        fresh=_mean_of(FRESH_SEEDS, values, density),
    )


def _shrink(deviates: Numbers) -> tuple[float, Numbers]:
    """The kernel's width, and the deviates drawn together so that both have a variance of 1."""
    quartiles = np.percentile(deviates, (25, 75))
    spreads = (float(deviates.std(ddof=1)), float(quartiles[1] - quartiles[0]) / 1.34)
    width = 0.9 * min((spread for spread in spreads if spread > 0), default=1.0) * len(deviates) ** -0.2
    whole = math.sqrt(float(deviates.var()) + width**2)
    return width / whole, deviates / whole


def _smoothed(deviates: Numbers, kernel: float) -> tuple[Numbers, Numbers]:
    """A grid, and the probability of each of its points under the smoothed deviates."""
    beyond = _REACH * kernel
    edges = np.linspace(deviates.min() - beyond, deviates.max() + beyond, _POINTS + 1)
    step = edges[1] - edges[0]
    counts = np.histogram(deviates, edges)[0] / len(deviates)
    reach = math.ceil(beyond / step)
    bell = norm.pdf(step * np.arange(-reach, reach + 1) / kernel)
    density = np.clip(fftconvolve(counts, bell / bell.sum(), mode="same"), 0.0, None)
    return (edges[:-1] + edges[1:]) / 2, density / density.sum()


def _mean_of(runs: int, values: Numbers, density: Numbers) -> tuple[Numbers, Numbers]:
    """Values of the mean of some runs, and the probability below each: the density folded with itself."""
    points = runs * (len(values) - 1) + 1
    folded = np.fft.irfft(np.fft.rfft(density, points) ** runs, points)
    steps = np.arange(points) / runs
    below = np.cumsum(folded) - folded / 2
    return values[0] + (values[1] - values[0]) * steps, np.clip(below, 0.0, 1.0)


PROMISED = 5e-4
"""Share of harmless changes that may fail one net."""
WIDENED_TO = 2e-5
"""Measured rate to which a limit is widened; with an exponential left tail the true one is then 17 times as high."""
MOST_ALLOWED = 6.0
"""Deviations at which widening ends: beyond lies what no limit can hold, such as runs that end at chance."""

_STEP = 0.05
_LEANING = -1.645
"""Standard normal quantile of one in twenty."""


def find_allowed(accuracies: Sequence[float], deviation: float) -> float:
    """Standard deviations by which a stage may lie below the references, 1.5 to 6; the arguments are `resample`'s."""
    if len(accuracies) < FEWEST_MEASURED:
        return ALLOWED_DEVIATIONS
    gate = resample(tuple(accuracies), deviation)
    if gate.chance_to_fail(0.0, allowed=ALLOWED_DEVIATIONS) <= PROMISED and not leans_left(accuracies):
        return ALLOWED_DEVIATIONS
    steps = round((MOST_ALLOWED - ALLOWED_DEVIATIONS) / _STEP)
    choices = [round(ALLOWED_DEVIATIONS + _STEP * step, 2) for step in range(steps)]
    at = bisect.bisect_left(choices, -WIDENED_TO, key=lambda allowed: -gate.chance_to_fail(0.0, allowed=allowed))
    return choices[at] if at < len(choices) else MOST_ALLOWED


def leans_left(accuracies: Sequence[float]) -> bool:
    """Whether accuracies have a left tail by L-skewness, at 5 % on one side for normal ones.

    L-skewness of n normal values is about normal with variance 0.1866 / n + 0.8 / n² (Hosking 1990, "L-moments",
    section 3.4), and tells a tail in 30 values more surely than skewness does.
    """
    n = len(accuracies)
    return l_skewness(accuracies) < _LEANING * math.sqrt(0.1866 / n + 0.8 / n**2)


def l_skewness(values: Sequence[float]) -> float:
    """Sample L-skewness by probability-weighted moments (Hosking 1990): -1 to 1, 0 where all values are equal."""
    ordered, n = np.sort(np.asarray(values, dtype=np.float64)), len(values)
    rank = np.arange(n)
    first, second = float(ordered.mean()), float(np.mean(ordered * rank / (n - 1)))
    third = float(np.mean(ordered * rank * (rank - 1) / ((n - 1) * (n - 2))))
    scale = 2 * second - first
    return (6 * third - 6 * second + first) / scale if scale > 1e-12 else 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates:
    """Error rates of the gate on one architecture that is held against this reference."""

    reference: Reference

    @property
    def measured(self) -> bool:
        """Whether they come from its own references, enough of which were kept; else accuracies are taken as normal."""
        return len(self.reference.now.accuracies) >= FEWEST_MEASURED

    @property
    def allowed(self) -> float:
        """Standard deviations by which a stage may lie below the references: fewer where a floor lies higher."""
        now = self.reference.now
        return (now.mean - self.reference.limit) / now.deviation

    @property
    def widened(self) -> bool:
        """Whether stages are held against a limit that the references themselves have lowered."""
        reference = self.reference
        return reference.now.allowed > ALLOWED_DEVIATIONS and reference.limit != reference.floors.accuracy

    @property
    def false_alarm(self) -> float:
        """Share of harmless changes that fail.

        Where the references have lowered their own limit what is promised, if no more is measured: the limit was
        chosen for a small measured rate, and so is that rate too small.
        """
        rate = self.chance_to_fail(0.0)
        return max(rate, PROMISED) if self.widened else rate

    @property
    def unwidened(self) -> float:
        """The same with a limit 1.5 deviations below, whatever the limit is."""
        return self.chance_to_fail(0.0, ALLOWED_DEVIATIONS)

    @property
    def caught_drop(self) -> float:
        """The drop that is caught with 98 % power, an accuracy fraction."""
        now = self.reference.now
        if not self.measured:
            return caught_drop(now.runs, self.allowed) * now.deviation
        return resample(now.accuracies, now.deviation).caught_drop(self.allowed) * now.deviation

    def chance_to_fail(self, drop: float, allowed: float | None = None) -> float:
        """Probability that the gate fails after a drop, an accuracy fraction, at its own limit or another."""
        now, allowed = self.reference.now, self.allowed if allowed is None else allowed
        if not self.measured:
            return chance_to_fail(drop / now.deviation, references=now.runs, allowed=allowed)
        return resample(now.accuracies, now.deviation).chance_to_fail(drop / now.deviation, allowed=allowed)
