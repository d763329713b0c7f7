"""How often the gate errs on one net, measured on its own references: whole gates drawn from them again.

`bench.gate.rule` gives the rates of normal accuracies. A net that now and then ends far below its usual accuracy fails
harmless changes more often, mostly because 30 references showed few of its bad runs. A smoothed bootstrap (Efron 1982;
Silverman and Young 1987, "The bootstrap: to smooth or not to smooth?") draws references and stages alike from the
accuracies that were recorded: X* = m + s (z + h e) / sqrt(v + h²), with z a recorded accuracy drawn at random and put
in deviations from the mean, e standard normal, v the variance of all z, and h = 0.9 min(1, IQR / 1.34) n^(-1/5)
(Silverman 1986, 3.31) in the same unit. The division gives X* the variance of the references.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.signal import fftconvolve
from scipy.stats import norm

from bench.gate.rule import FIRST_SEEDS, FRESH_SEEDS, POWER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

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
        first: Values and probability below each of the mean of the first stage.
        fresh: The same of the second stage.
    """

    means: Numbers
    deviations: Numbers
    first: tuple[Numbers, Numbers]
    fresh: tuple[Numbers, Numbers]

    def chance_to_fail(self, drop: float, *, allowed: float) -> float:
        """Probability that the gate fails, every run of the check being drawn anew.

        The first seeds were chosen to pass when they were recorded; that binds no changed net, whose runs are others.

        Args:
            drop: How far the true mean fell, in deviations; 0 gives the rate of false alarms.
            allowed: Deviations by which a stage may lie below the references.
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
