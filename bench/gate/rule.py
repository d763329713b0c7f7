"""The rule of the gate in two stages, and how often it errs.

A first stage of a few seeds passes when their mean is not far below the references' mean. One that falls below is only
asked again, on more and fresh seeds, and the gate fails when these fall below as well: a single stage of equal cost
would cry wolf many times as often (METHODOLOGY, "The gate").
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, norm

from bench.gate.references import ALLOWED_DEVIATIONS

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
    """The drop, in true standard deviations, that is caught with 98 % power; for the arguments see `chance_to_fail`.

    2.83 of 30 references (METHODOLOGY rounds up to 2.9), 3.28 of six.
    """
    return float(brentq(lambda drop: chance_to_fail(drop, references=references, allowed=allowed) - POWER, 0.0, 20.0))


def seeds_to_catch(drop: float, deviation: float, *, references: int) -> tuple[int, int, int]:
    """Seeds of both stages, and references, that would catch a drop with 98 % power.

    With k times all of them means scatter √k times less, and so may the limit lie closer and the drop be smaller. With
    more seeds alone the scatter of the references' own mean would stay.

    Args:
        drop: The drop of the mean, an accuracy fraction above 0.
        deviation: Standard deviation of one run, in the same.
        references: Runs that the references were taken from.
    """
    times = max(1, math.ceil((caught_drop(references) * deviation / drop) ** 2 - 1e-9))
    return times * FIRST_SEEDS, times * FRESH_SEEDS, times * references
