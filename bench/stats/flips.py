"""The sign-flip test of a mean: under no difference each seed's difference might as well have had the other sign.

Fisher 1935, The Design of Experiments, 21; Phipson and Smyth 2010 (Stat. Appl. Genet. Mol. Biol. 9, 39) on counting
what was observed among drawn flips. The p is that of `scipy.stats.permutation_test` with `permutation_type="samples"`,
which a test holds it against; it takes half a millisecond where that takes up to two seconds.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT = 15
"""Up to so many pairs all 2^n sign flips are tried; beyond, `DRAWN` drawn ones."""
DRAWN = 99_999
_AT_ONCE = 10
"""Seeds whose signs are drawn as one number."""


def flip_signs(differences: NDArray[np.float64], alternative: Literal["two-sided", "greater", "less"]) -> float:
    """The p of the mean difference against its sign flips.

    Args:
        differences: One a seed, (n,).
        alternative: What the mean may be: anything but zero, "greater" or "less".
    """
    values = -differences if alternative == "less" else differences
    return float(_flip(values[None], two_sided=alternative == "two-sided")[0])


def flip_signs_beyond(differences: NDArray[np.float64], margin: float) -> float:
    """The p of a mean difference outside ± margin: the larger of its two one-sided tests' (`flip_signs`).

    Both tests in one pass over the signs, which takes as long as one of them.

    Args:
        differences: One a seed, (n,).
        margin: Half width of the range, in their unit.
    """
    return float(_flip(np.stack([differences + margin, margin - differences]), two_sided=False).max())


def _flip(values: NDArray[np.float64], *, two_sided: bool) -> NDArray[np.float64]:
    """The p (tests,) of each row of values (tests, n), that its mean is greater than zero or differs from it."""
    n = values.shape[1]
    flipped = values @ all_signs(n).T if n <= EXACT else _sum_drawn(values)  # (tests, flips)
    observed = values.sum(axis=1)
    if two_sided:
        flipped, observed = np.abs(flipped), np.abs(observed)
    # Sums of the same differences in another order must tie, though their last bits differ.
    least = observed - 1e-12 * np.maximum(1.0, np.abs(values).sum(axis=1))
    counts = np.array([np.count_nonzero(row >= end) for row, end in zip(flipped, least, strict=True)])
    return np.asarray(counts / flipped.shape[1] if n <= EXACT else (counts + 1) / (DRAWN + 1))


@functools.cache
def all_signs(n: int) -> NDArray[np.float64]:
    """All sign vectors (2^n, n), the unflipped one first."""
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return np.asarray(1.0 - 2.0 * bits, dtype=np.float64)


def _sum_drawn(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (tests, `DRAWN`) of each row of values (tests, n) under random sign vectors.

    Ten seeds at a time have 1,024 sums, which are looked up instead of being added up again in every draw: half the
    time of a matrix product, whose matrix of signs would come from memory again and again.
    """
    n = values.shape[1]
    sums = np.zeros((len(values), DRAWN))
    for start, drawn in zip(range(0, n, _AT_ONCE), _draw_signs(n), strict=True):
        some = values[:, start : start + _AT_ONCE]
        for at, table in enumerate(some @ all_signs(some.shape[1]).T):
            sums[at] += table.take(drawn)
    return sums


@functools.lru_cache(maxsize=2)
def _draw_signs(n: int) -> list[NDArray[np.intp]]:
    """Random sign vectors of n seeds, ten at a time: which of all of those ten's each draw takes, (`DRAWN`,).

    The same ones on every day.
    """
    flipped = 1 - np.random.default_rng(0).integers(0, 2, size=(DRAWN, n), dtype=np.int64)
    parts = (flipped[:, start : start + _AT_ONCE] for start in range(0, n, _AT_ONCE))
    return [(part << np.arange(part.shape[1])).sum(axis=1) for part in parts]
