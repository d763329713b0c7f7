"""Tables of several datasets with the same nets, trained alike: what can be said over all of them."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from bench.analysis.stats.across import (
    MeanRank,
    PairOverDatasets,
    fewest_datasets,
    judge_over_datasets,
    rank_over_datasets,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.conditions import Condition
    from bench.analysis.metrics import Metric
    from bench.core.records import TableKey


@dataclasses.dataclass(frozen=True, kw_only=True)
class OverDatasets:
    """Conditions that differ in dataset and budget alone, one a dataset, and the nets that have a mean in each."""

    conditions: tuple[Condition, ...]  # by the names of their datasets
    nets: tuple[str, ...]  # by name

    @property
    def metric(self) -> Metric:
        """What the nets are compared on, the same everywhere."""
        return self.conditions[0].metric

    @functools.cached_property
    def means(self) -> Mapping[str, Mapping[str, float]]:
        """Mean of each net over its seeds, by dataset and net."""
        return {
            name_dataset(condition): {net: condition.accuracy.means[net] for net in self.nets}
            for condition in self.conditions
        }

    @functools.cached_property
    def ranks(self) -> dict[str, MeanRank]:
        """Ranks of each net over the datasets."""
        return rank_over_datasets(self.means)

    @property
    def needed(self) -> int:
        """Datasets that it takes before anything can be called better."""
        return fewest_datasets(len(self.nets))

    @functools.cached_property
    def pairs(self) -> tuple[PairOverDatasets, ...]:
        """Every pair as judged over the datasets; none while these are too few."""
        return judge_over_datasets(self.means) if len(self.conditions) >= self.needed else ()


def name_dataset(condition: Condition) -> str:
    """What the dataset of a condition is called."""
    return condition.records[0].dataset


def find_over_datasets(conditions: Sequence[Condition]) -> tuple[OverDatasets, ...]:
    """Groups of conditions, given the newest first, that are of two datasets or more and share two nets or more.

    Of a dataset that has several tables (other budgets, images that were changed) the newest stands for it.
    """
    groups: dict[TableKey, dict[str, Condition]] = {}
    for condition in conditions:
        key = dataclasses.replace(condition.family, dataset="", data_hash="")
        groups.setdefault(key, {}).setdefault(name_dataset(condition), condition)
    found = []
    for of in groups.values():
        nets = set.intersection(*(set(condition.accuracy.means) for condition in of.values()))
        if len(of) > 1 and len(nets) > 1:
            found.append(OverDatasets(conditions=tuple(of[name] for name in sorted(of)), nets=tuple(sorted(nets))))
    return tuple(found)
