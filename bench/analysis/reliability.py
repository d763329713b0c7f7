"""Reliability: how many seeds of a net ended far below the others, and what so many seeds can say of the rest.

Verdicts speak of typical seeds; this is the second statement beside them. A seed has collapsed when its run diverged,
ended at chance level, or ended far below the median of its own net. What is far is measured by the net itself, by the
median absolute deviation, which half of the seeds must leave before it grows.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binomtest, fisher_exact

from bench.core.seeds import ALPHA, FEWEST_SEEDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FAR = 8.0
"""Robust standard deviations below the median that are far: in tables of four normal nets any seed of six lies so far
out in 4 %, of ten in 1.2 %, of thirty in 0.01 % (simulated; docs/error-rates.md)."""
_TO_DEVIATION = 1.4826
"""What a median absolute deviation is multiplied by to estimate a normal standard deviation (1/Φ⁻¹(3/4))."""
FEWEST_TO_COMPARE = 10
"""Seeds of each net below which counts of collapses are not compared."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collapses:
    """Which seeds of one net collapsed."""

    seeds: tuple[int, ...]  # that ended with an accuracy or diverged
    collapsed: tuple[int, ...]  # in order
    typical: float | None  # median of the others' accuracies; None without any
    mean: float | None  # of all, the diverged at chance; None without any

    @property
    def upper_bound(self) -> float:
        """Share of all seeds that collapse, at most: one-sided 95 % bound of Clopper and Pearson (1934)."""
        if not self.seeds:
            return 1.0
        test = binomtest(len(self.collapsed), len(self.seeds), alternative="less")
        return float(test.proportion_ci(0.95).high)


def find_collapses(values: Mapping[int, float], *, limit: float, images: float | None) -> Collapses:
    """Which seeds of a net collapsed, by the accuracy that verdicts are on.

    That is chance or less where a run diverged, NaN where it failed; up to the limit a run learned nothing. No net's
    spread counts as smaller than the sampling noise of so many test images, where their number is known.
    """
    known = {seed: value for seed, value in sorted(values.items()) if math.isfinite(value)}
    far = _far_below(np.array(list(known.values())), images=images) if len(known) >= FEWEST_SEEDS else -math.inf
    collapsed = tuple(seed for seed, value in known.items() if value <= limit or value < far)
    others = [value for seed, value in known.items() if seed not in collapsed]
    return Collapses(
        seeds=tuple(known),
        collapsed=collapsed,
        typical=statistics.median(others) if others else None,
        mean=statistics.fmean(known.values()) if known else None,
    )


def p_of_collapses(a: Collapses, b: Collapses) -> float | None:
    """Two-sided p of Fisher's exact test that two nets collapse alike often; None under ten seeds of either."""
    if min(len(a.seeds), len(b.seeds)) < FEWEST_TO_COMPARE:
        return None
    table = np.array([[len(net.collapsed), len(net.seeds) - len(net.collapsed)] for net in (a, b)])
    return float(fisher_exact(table).pvalue)


def unlike_collapses(nets: Mapping[str, Collapses]) -> list[tuple[str, str]]:
    """Pairs of nets that collapse unlike often, the more often first: Holm over the pairs that could be tested."""
    tested = sorted(
        (p, a, b) for a, b in itertools.combinations(nets, 2) if (p := p_of_collapses(nets[a], nets[b])) is not None
    )
    found = []
    for at, (p, a, b) in enumerate(tested):
        if p * (len(tested) - at) >= ALPHA:
            break
        share = {name: len(nets[name].collapsed) / len(nets[name].seeds) for name in (a, b)}
        found.append((a, b) if share[a] >= share[b] else (b, a))
    return found


def _far_below(accuracies: NDArray[np.float64], *, images: float | None) -> float:
    median = float(np.median(accuracies))
    spread = _TO_DEVIATION * float(np.median(np.abs(accuracies - median)))
    noise = max(math.sqrt(max(median * (1 - median), 0.0) / images), 1 / images) if images else 0.0
    return median - FAR * max(spread, noise)
