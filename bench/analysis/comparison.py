"""A table of architectures judged on one metric: pairs, groups and ranks."""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
from typing import TYPE_CHECKING

from bench.analysis.ranking import find_groups, order_by_group, rank_intervals
from bench.analysis.verdicts import PairVerdict, judge_pairs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bench.analysis.metrics import Metric
    from bench.core.seeds import Look


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Architectures under one condition, judged on one metric."""

    metric: Metric
    values: Mapping[str, Mapping[int, float]]  # of each architecture by seed; NaN where a run ended without one
    pairs: tuple[PairVerdict, ...]  # every one, or those that were asked for

    @functools.cached_property
    def means(self) -> dict[str, float]:
        """Mean over the seeds that have a value, of the architectures that have one."""
        known = {name: [v for v in by_seed.values() if math.isfinite(v)] for name, by_seed in self.values.items()}
        return {name: statistics.fmean(found) for name, found in known.items() if found}

    def restricted(self, names: Collection[str]) -> Comparison:
        """Some architectures of the table, judged as they are within all of it."""
        return dataclasses.replace(
            self,
            values={name: values for name, values in self.values.items() if name in names},
            pairs=tuple(pair for pair in self.pairs if pair.a in names and pair.b in names),
        )

    @functools.cached_property
    def groups(self) -> dict[str, str]:
        """Letters that architectures share unless one is better; empty while no pair could be tested.

        Empty too where only some pairs were judged: two that nobody compared share nothing.
        """
        tested = any(pair.p is not None for pair in self.pairs)
        every = len(self.pairs) == math.comb(len(self.values), 2)
        return find_groups(self.means, self.pairs, self.metric) if tested and every else {}

    @property
    def ordered(self) -> list[list[str]]:
        """The names, the best group first, in blocks of groups that share a letter; empty while there are no groups."""
        return order_by_group(self.groups, self.means, self.metric)

    @functools.cached_property
    def ranks(self) -> dict[str, tuple[int, int]]:
        """Lowest and highest rank of each architecture, 95 %, descriptive; empty under three shared seeds."""
        return rank_intervals({name: self.values[name] for name in self.means}, self.metric)


def compare(
    values: Mapping[str, Mapping[int, float]],
    metric: Metric,
    *,
    looks: Sequence[Look],
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Comparison:
    """Judge a table, or only some pairs of it; see `bench.analysis.verdicts.judge_pairs`."""
    return Comparison(metric=metric, values=values, pairs=judge_pairs(values, metric, looks=looks, pairs=pairs))
