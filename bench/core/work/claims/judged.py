"""What came out of a claim."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.core.work.claims.claim import AskedClaim, Claim
    from bench.core.work.claims.quantity import Quantity

VERDICTS = ("reproduced", "consistent", "not reproduced", "undecided", "depends")
DECIDED = tuple(verdict for verdict in VERDICTS if verdict != "undecided")

FEWEST_SEEDS = 10
"""Floor of any verdict that seeds are asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaseResult:
    """What one case gave.

    Attributes:
        values: By seed, of the first look that decided; by a paired rule of `Case.arm`.
        against: By a paired rule, of what it is held against; by a trend, after the first epoch.
        last: The last epoch's value of each run that kept another one, beside `values`.
        series: By a series, the values of each of `Claim.at`, by seed.
        low: Lower end of the interval that was judged by, in the quantity's unit (of a paired rule, of the difference).
        verdict: What the case alone would give.
        said: It in words, with its numbers.
    """

    label: str
    quantity: Quantity
    values: Mapping[int, float] = dataclasses.field(default_factory=dict)
    against: Mapping[int, float] = dataclasses.field(default_factory=dict)
    last: Mapping[int, float] = dataclasses.field(default_factory=dict)
    series: tuple[Mapping[int, float], ...] = ()
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str = "undecided"
    said: str = ""

    @property
    def n(self) -> int:
        """Seeds that have a value."""
        return sum(map(math.isfinite, self.values.values()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgedClaim:
    """A claim with its verdict."""

    asked: AskedClaim
    verdict: str  # one of `VERDICTS`
    measured: str
    n: int  # seeds of the primary case; 0 where nothing was trained
    why: str  # one line
    cases: tuple[CaseResult, ...] = ()

    @property
    def claim(self) -> Claim:
        """The claim."""
        return self.asked.claim
