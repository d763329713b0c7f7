"""How many seeds a study has, and when its results are judged: once at the end, or again and again until decided.

Judging again and again finds a difference by luck more often than once would. So a study that runs until decided
spends its error rate over its looks by the function of Lan and DeMets (1983, Biometrika 70, 659) that resembles
Pocock's boundary: a(t) = α ln(1 + (e − 1) t) is spent when the share t of all seeds is in. Each look tests at the
level that is spent between the look before and itself. These levels add up to α, so that by Boole's inequality the
error rate holds for whatever test a look uses (Student's t, sign flips, any correction over pairs) and however the
looks depend on each other. The price is a little power: the exact boundary, which needs normal statistics, is wider.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Self

from bench.errors import UsageError

ALPHA = 0.05
"""Rate at which a table of pairs may call anything better that is not."""

FEWEST_SEEDS = 6
"""Floor of any verdict: five pairs cannot bring sign flips below p = 0.0625."""

_LOOKS = 7
"""Looks at most: more of them stop hardly earlier and each costs power."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """One time at which results are judged.

    Attributes:
        seeds: The seeds that are in by then; None for all there are.
        level: Error rate that this look may spend, over all pairs together.
    """

    seeds: tuple[int, ...] | None
    level: float


ONE_LOOK = (Look(seeds=None, level=ALPHA),)
"""A study of a fixed number of seeds is judged once, at the full level."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedPlan:
    """The seeds of a study.

    Attributes:
        seeds: All that may run, in order.
        first: How many run before the first look; all of them unless the study runs until decided.
    """

    seeds: tuple[int, ...]
    first: int

    @classmethod
    def fixed(cls, seeds: tuple[int, ...]) -> Self:
        """All of these seeds, judged once."""
        return cls(seeds=seeds, first=len(seeds))

    @classmethod
    def until_decided(cls, first: int, last: int) -> Self:
        """Seeds 0, 1, …: `first` for everybody, up to `last` for those whose pairs are still undecided.

        Raises:
            UsageError: Fewer than six to begin with, or not more at the end.
        """
        if first < FEWEST_SEEDS:
            raise UsageError(f"--seeds {first}:{last}: no verdict is possible below {FEWEST_SEEDS} seeds; start there.")
        if last <= first:
            raise UsageError(f"--seeds {first}:{last}: the second number is the most seeds and must be the larger one.")
        return cls(seeds=tuple(range(last)), first=first)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The plan that `str` wrote: `6:30`."""
        first, last = map(int, text.split(":"))
        return cls.until_decided(first, last)

    def __str__(self) -> str:
        return f"{self.first}:{len(self.seeds)}" if self.first < len(self.seeds) else f"{len(self.seeds)}"

    @property
    def looks(self) -> tuple[Look, ...]:
        """When it is judged, and at what level."""
        last = len(self.seeds)
        if self.first == last:
            return (Look(seeds=self.seeds, level=ALPHA),)
        step = max(2, math.ceil((last - self.first) / (_LOOKS - 1)))
        sizes = [*range(self.first, last, step), last]
        spent = [0.0, *(_spent(size / last) for size in sizes)]
        return tuple(
            Look(seeds=self.seeds[:size], level=after - before)
            for size, before, after in zip(sizes, spent, spent[1:], strict=False)
        )


def _spent(share: float) -> float:
    return ALPHA * math.log1p((math.e - 1) * share)
