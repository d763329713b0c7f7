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
import re
from typing import Self

from bench.errors import UsageError
from bench.spec import COMPARISON_SEEDS

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
        """Read `6`, the first six, `0,3,7`, these three, or `6:30`, six to thirty, until decided.

        Raises:
            UsageError: It is none of these, or names seeds that no comparison has.
        """
        try:
            numbers = tuple(int(part) for part in re.split("[,:]", text.removesuffix(",")))
        except ValueError:
            raise UsageError(
                f"--seeds '{text}': give how many (6), which ones (0,3,7) or until decided (6:30)."
            ) from None
        if min(numbers) < 0:
            raise UsageError(f"--seeds '{text}': {min(numbers)} is negative; seeds count from 0.")
        if ":" in text:
            if len(numbers) != 2 or "," in text or numbers[1] > COMPARISON_SEEDS:
                raise UsageError(
                    f"--seeds '{text}': until decided takes two numbers, at most {COMPARISON_SEEDS:,}: 6:30."
                )
            return cls.until_decided(*numbers)
        if "," not in text:
            if not 1 <= numbers[0] <= COMPARISON_SEEDS:
                raise UsageError(f"--seeds {text}: from 1 to {COMPARISON_SEEDS:,} seeds; `--seeds 5,` is seed 5 alone.")
            return cls.fixed(tuple(range(numbers[0])))
        if max(numbers) >= COMPARISON_SEEDS:
            raise UsageError(f"--seeds '{text}': {max(numbers)} is too high; seeds of comparisons go to 9,999.")
        if len(set(numbers)) < len(numbers):
            raise UsageError(f"--seeds '{text}': a seed stands there twice; name each once.")
        return cls.fixed(numbers)

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
