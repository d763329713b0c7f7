"""Architectures judged on one metric: a table by pairs, groups and ranks, or each in two versions of itself."""

from __future__ import annotations

import dataclasses
import functools
import math
import statistics
from typing import TYPE_CHECKING, TypeVar

from bench.analysis.metrics import accuracy_metric
from bench.analysis.ranking import find_groups, rank_intervals
from bench.analysis.verdicts import PairVerdict, judge_pairs
from bench.core.records import MARGIN
from bench.core.seeds import ONE_LOOK

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bench.analysis.metrics import Metric
    from bench.core.records import RunRecord
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Versions:
    """One architecture in two versions."""

    label: str  # unlike that of any other that is judged with it
    earlier: tuple[RunRecord, ...]
    later: tuple[RunRecord, ...]
    verdict: PairVerdict | None = None  # on later − earlier, by test accuracy; None where they are not judged

    @property
    def means(self) -> tuple[float | None, float | None]:
        """Mean test accuracy of the earlier and of the later one, None without a value.

        On the seeds that both have, where a diverged run counts as guessing as it does in the verdict; on its own where
        the other has no run, or they are not judged.
        """
        if self.verdict is not None and (found := self.verdict.differences) is not None:
            return statistics.fmean(found.b), statistics.fmean(found.a)
        seeds = self.verdict.seeds if self.verdict and self.earlier and self.later else None

        def mean(runs: Sequence[RunRecord]) -> float | None:
            ok = [run for run in runs if run.status == "ok" and (seeds is None or run.seed in seeds)]
            known = [run.test_accuracy for run in ok if run.test_accuracy is not None]
            return statistics.fmean(known) if known else None

        return mean(self.earlier), mean(self.later)


Judged = TypeVar("Judged", bound=Versions)


def judge_versions(
    found: Sequence[Judged], *, chance: float, margin: float = MARGIN, looks: Sequence[Look] = ONE_LOOK
) -> tuple[Judged, ...]:
    """Each with its verdict on later − earlier, Holm over all of them.

    A run that diverged counts for `chance`; `margin` is half the width of the range of equivalence, a fraction.
    """
    metric = accuracy_metric(margin, chance=chance)
    names = [(f"{each.label} later", f"{each.label} earlier") for each in found]
    values = {f"{each.label} later": metric.values(each.later) for each in found}
    values |= {f"{each.label} earlier": metric.values(each.earlier) for each in found}
    verdicts = judge_pairs(values, metric, looks=looks, pairs=names)
    return tuple(dataclasses.replace(each, verdict=verdict) for each, verdict in zip(found, verdicts, strict=True))
