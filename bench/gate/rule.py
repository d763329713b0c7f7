"""The rule of the gate in two stages, and how often it errs.

A first stage of a few seeds passes when their mean is not far below the references' mean. One that falls below is only
asked again, on more and fresh seeds, and the gate fails when these fall below as well: a single stage of equal cost
would cry wolf many times as often (METHODOLOGY, "The gate").
"""

from __future__ import annotations

import dataclasses
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class LargerRule:
    """A rule in two stages that needs more runs than the gate's and has a limit nearer to the references.

    Attributes:
        first: Seeds of the first stage.
        fresh: Seeds of the second.
        references: Runs that the references are taken from.
        allowed: Standard deviations by which a stage may lie below them.
    """

    first: int
    fresh: int
    references: int
    allowed: float


def rule_to_catch(drop: float, caught: float, *, references: int, allowed: float = ALLOWED_DEVIATIONS) -> LargerRule:
    """The rule that would catch a drop with 98 % power.

    With k times all runs means scatter √k times less. At a limit √k times nearer false alarms stay as they are and the
    drop that is caught is √k times smaller. At the gate's own limit nothing is gained: a stage of endless seeds still
    passes after any drop that is smaller than the distance of the limit.

    Args:
        drop: The drop of the mean, an accuracy fraction above 0.
        caught: The drop that is caught now, in the same.
        references: Runs that the references were taken from.
        allowed: Standard deviations by which a stage may lie below them now.
    """
    times = max(1, math.ceil((caught / drop) ** 2 - 1e-9))
    return LargerRule(
        first=times * FIRST_SEEDS,
        fresh=times * FRESH_SEEDS,
        references=times * references,
        allowed=allowed / math.sqrt(times),
    )
