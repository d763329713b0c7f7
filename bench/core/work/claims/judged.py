"""What came out of a claim."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.core.work.claims.claim import AskedClaim, Claim
    from bench.core.work.claims.quantity import Quantity

VERDICTS = ("reproduced", "consistent", "not reproduced", "undecided", "depends")

FEWEST_SEEDS = 10
"""Floor of any verdict that seeds are asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaseResult:
    """What one case gave.

    Attributes:
        values: By seed, of the first look that decided; by a paired rule of `Case.arm`, by a trend after the second
            epoch.
        against: By a paired rule, of what it is held against; by a trend, after the first epoch; else None.
        last: The last epoch's value of each run that kept another one, beside `values`.
        series: By a series, the values of each of `Claim.at`, by seed.
        low: Lower end of the interval that was judged by, in the quantity's unit (of a paired rule, of the difference).
        side: Where the claim lies of what was measured: -1 below, 1 above, 0 neither.
        verdict: What the case alone would give.
        outcome: By a paired rule, and of a trend, what was found in a word or three.
        said: It in words, with its numbers.
    """

    label: str
    quantity: Quantity
    values: Mapping[int, float] = dataclasses.field(default_factory=dict)
    against: Mapping[int, float] | None = None
    last: Mapping[int, float] = dataclasses.field(default_factory=dict)
    series: tuple[Mapping[int, float], ...] = ()
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    side: int = 0
    verdict: str = "undecided"
    outcome: str = ""
    said: str = ""

    @property
    def n(self) -> int:
        """Seeds that have a value, on both sides where there are two."""
        return len(self.values) if self.against is None else len(self.values.keys() & self.against.keys())


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
