"""How far below its references a net's limit must lie so that harmless changes seldom fail.

1.5 standard deviations keep the promise for normal accuracies, and for what is not told from them. Where a net's own
references fail harmless changes more often than promised, or lean to the left as fewer than one in twenty sets of
normal ones do, the limit is lowered until the rate measured on them is well below the promise: 30 references show a
left tail shorter than it is, so that rates measured on them are too small (docs/error-rates.md).
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

import numpy as np

from bench.gate.bootstrap import FEWEST_MEASURED, resample
from bench.gate.references import ALLOWED_DEVIATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """Standard deviations by which a stage may lie below the references, 1.5 to 6.

    Args:
        accuracies: Validation accuracy of each reference run, fractions.
        deviation: Their standard deviation as it is recorded.
    """
    if len(accuracies) < FEWEST_MEASURED:
        return ALLOWED_DEVIATIONS
    gate = resample(tuple(accuracies), deviation)
    holds = gate.chance_to_fail(0.0, allowed=ALLOWED_DEVIATIONS) <= PROMISED
    if holds and not leans_left(accuracies):
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
    moments = (
        float(ordered.mean()),
        float(np.mean(ordered * rank / (n - 1))),
        float(np.mean(ordered * rank * (rank - 1) / ((n - 1) * (n - 2)))),
    )
    scale = 2 * moments[1] - moments[0]
    return (6 * moments[2] - 6 * moments[1] + moments[0]) / scale if scale > 1e-12 else 0.0
