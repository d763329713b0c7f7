"""Which net is faster, and which differences are noise: the same net timed twice (A/A) tells."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.core.metadata import Timing


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedRatio:
    """How many times another's time a net takes, computed within each repeat."""

    median: float
    lowest: float
    highest: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedComparison:
    """Architectures timed in one quiet phase at one batch size."""

    noise: float  # factor by which the same net timed twice differs at most, 1 or more; smaller ones do not count
    order: tuple[str, ...]  # by the median of their blocks, the fastest first
    ratios: Mapping[str, SpeedRatio]  # of each to the fastest; above 1 is slower
    tied: tuple[str, ...]  # those that cannot be told from the fastest, in that order


def compare_speeds(
    blocks: Mapping[str, Sequence[float]], twins: Mapping[str, Sequence[float]]
) -> SpeedComparison | None:
    """Order architectures by speed and say which differences the A/A noise allows.

    Blocks are seconds of a forward pass, one value a repeat in order; twins are those of each net's second copy in the
    same repeats. None without architectures, or where a net or its twin lacks blocks or has another number of them.
    """
    repeats = {len(seconds) for name in blocks for seconds in (blocks[name], twins.get(name, ()))}
    if len(repeats) != 1 or 0 in repeats:
        return None
    medians = {name: statistics.median(seconds) for name, seconds in blocks.items()}
    order = tuple(sorted(medians, key=lambda name: (medians[name], name)))
    fastest = order[0]
    noise = _noise((blocks[name], twins[name]) for name in blocks)
    ratios = {name: _ratio(blocks[name], blocks[fastest]) for name in order}
    return SpeedComparison(
        noise=noise,
        order=order,
        ratios=ratios,
        # Beyond the noise of this phase, and slower in every repeat: the noise is itself known from two nets or so.
        tied=tuple(name for name in order[1:] if ratios[name].median <= noise or ratios[name].lowest <= 1),
    )


def timing_noise(timings: Iterable[Timing], batch_size: int) -> float:
    """The A/A noise of one quiet phase: the largest factor between the medians of a net and its twin, 1 or more.

    It is 1 where no net was timed twice, which says that the noise is unknown, not that there is none.
    """
    pairs = ((t.seconds_per_batch.get(batch_size, ()), t.twin_seconds_per_batch.get(batch_size, ())) for t in timings)
    return _noise((blocks, twin) for blocks, twin in pairs if blocks and twin)


def _noise(pairs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> float:
    factors = (statistics.median(twin) / statistics.median(blocks) for blocks, twin in pairs)
    return max((max(factor, 1 / factor) for factor in factors), default=1.0)


def _ratio(seconds: Sequence[float], fastest: Sequence[float]) -> SpeedRatio:
    ratios = [own / other for own, other in zip(seconds, fastest, strict=True)]
    return SpeedRatio(median=statistics.median(ratios), lowest=min(ratios), highest=max(ratios))
