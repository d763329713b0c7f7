"""Which seeds a study has, when its results are judged, and the random streams that one seed gives.

Split, data order and augmentation come from the seed alone and are shared by all architectures. Initialisation and
dropout come from the seed and the architecture's name, so that one net under two names is a true A/A test.

Judging again and again finds a difference by luck more often than once would. So a study that runs until decided
spends its error rate over its looks by the function of Lan and DeMets (1983, Biometrika 70, 659) that resembles
Pocock's boundary: a(t) = α ln(1 + (e − 1) t) is spent when the share t of all seeds is in. Each look tests at the
level that is spent between the look before and itself. These levels add up to α, so that by Boole's inequality the
error rate holds for whatever test a look uses (Student's t, sign flips, any correction over pairs) and however the
looks depend on each other. The price is a little power: the exact boundary, which needs normal statistics, is wider.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import re
from enum import IntEnum
from typing import TYPE_CHECKING, Self

from bench.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPARISON_SEEDS = 10_000
"""Seeds below this are for comparisons; tuning, gate and references have ranges above it."""
TUNING_SEEDS = 10_000
"""First seed of tuning."""
MOST_TUNING_SEEDS = 10_000
GATE_SEEDS = 20_000
"""First seed of the gate's first stage."""
REFERENCE_SEEDS = 30_000
"""First seed of the references that the gate holds changes against."""
MOST_REFERENCE_SEEDS = 10_000
FRESH_SEEDS = 40_000
"""Lowest seed of the gate's second stage, which draws them anew for every commit."""


class Stream(IntEnum):
    """What a stream of random numbers is for; the value is part of every derived seed and never changes."""

    SPLIT = 0
    ORDER = 1
    AUGMENTATION = 2
    INITIALISATION = 3
    DROPOUT = 4


_NAMED = (Stream.INITIALISATION, Stream.DROPOUT)


def derive_seed(seed: int, stream: Stream, *, architecture: str = "", epoch: int = 0) -> int:
    """The seed, from 0 to 2**63 - 1, of one stream of a run in one epoch, from 0 (`numpy.random.SeedSequence`).

    The architecture's name is heard by initialisation and dropout only.
    """
    import numpy as np  # noqa: PLC0415 - the command line reads this file too, and answers at once

    name = hashlib.sha256(architecture.encode()).digest()[:8] if stream in _NAMED else b""
    spawn_key = (int(stream), epoch, int.from_bytes(name, "little"))
    return int(np.random.SeedSequence(seed, spawn_key=spawn_key).generate_state(1, np.uint64)[0] >> 1)


def derive_sklearn_seed(seed: int, stream: Stream) -> int:
    """The same, cut to the 32 bits that scikit-learn takes."""
    return derive_seed(seed, stream) & 0xFFFF_FFFF


ALPHA = 0.05
"""Rate at which a table of pairs may call anything better that is not."""

FEWEST_SEEDS = 6
"""Floor of any verdict: five pairs cannot bring sign flips below p = 0.0625."""

_LOOKS = 7
"""Looks at most: more of them stop hardly earlier and each costs power."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """One time at which results are judged."""

    seeds: tuple[int, ...] | None  # that are in by then; None for all there are
    level: float  # error rate that this look may spend, over all pairs together
    nets: frozenset[str] | None = None  # whose pairs it judges; None for all


ONE_LOOK = (Look(seeds=None, level=ALPHA),)
"""A study of a fixed number of seeds is judged once, at the full level."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedPlan:
    """The seeds of a study."""

    seeds: tuple[int, ...]  # all that may run, in order
    first: int  # how many run before the first look; all of them unless the study runs until decided

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
            kinds = "how many (6), which ones (0,3,7) or until decided (6:30)"
            raise UsageError(f"--seeds '{text}': give {kinds}.") from None
        if min(numbers) < 0:
            raise UsageError(f"--seeds '{text}': {min(numbers)} is negative; seeds count from 0.")
        if ":" in text:
            if len(numbers) != 2 or "," in text or numbers[1] > COMPARISON_SEEDS:
                most = f"{COMPARISON_SEEDS:,}"
                raise UsageError(f"--seeds '{text}': until decided takes two numbers, at most {most}: 6:30.")
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
        return self._looks_at([*range(self.first, last, step), last])

    @property
    def two_looks(self) -> tuple[Look, ...]:
        """When claims are judged: at the first number of seeds and at the last."""
        return self._looks_at(sorted({self.first, len(self.seeds)}))

    def _looks_at(self, sizes: Sequence[int]) -> tuple[Look, ...]:
        last = len(self.seeds)
        spent = [ALPHA * math.log1p((math.e - 1) * (size / last)) for size in (0, *sizes)]
        levels = [after - before for before, after in itertools.pairwise(spent)]
        return tuple(Look(seeds=self.seeds[:size], level=level) for size, level in zip(sizes, levels, strict=True))
