"""Order without pretence: rank intervals, groups that cannot be told apart, and the front of accuracy and cost."""

from __future__ import annotations

import functools
import itertools
import math
import string
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from scipy.stats import rankdata

from bench.analysis.verdicts import BETTER, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bench.analysis.metrics import Metric
    from bench.analysis.verdicts import PairVerdict

_RESAMPLES = 9_999


def better_pairs(verdicts: Sequence[PairVerdict]) -> set[tuple[str, str]]:
    """The pairs (better, worse) that are decided."""
    return {
        (pair.a, pair.b) if pair.verdict == Verdict.A_BETTER else (pair.b, pair.a)
        for pair in verdicts
        if pair.verdict in BETTER
    }


def find_groups(means: Mapping[str, float], verdicts: Sequence[PairVerdict], metric: Metric) -> dict[str, str]:
    """Letters such that two architectures share one unless one of them is better: a, ab, b; the best group is called a.

    The compact letter display of Piepho (2004, J. Comput. Graph. Stat. 13, 456): a letter for each maximal clique of
    the graph of pairs that are not told apart. Sharing a letter says "not told apart", not "the same".
    """
    told_apart = {frozenset(pair) for pair in better_pairs(verdicts)}
    alike = nx.Graph()
    alike.add_nodes_from(means)
    alike.add_edges_from(pair for pair in itertools.combinations(means, 2) if frozenset(pair) not in told_apart)
    groups = [frozenset(clique) for clique in nx.find_cliques(alike)]
    sign = -1 if metric.higher_is_better else 1
    groups.sort(key=lambda group: (sorted(sign * means[name] for name in group), sorted(group)))
    letters = [*string.ascii_lowercase, *(f"({number})" for number in range(27, len(groups) + 1))]
    return {name: "".join(letters[at] for at, group in enumerate(groups) if name in group) for name in means}


def shared_seeds(values: Mapping[str, Mapping[int, float]]) -> list[int]:
    """Seeds on which every architecture has a value; none under three of them or under two architectures."""
    finite = [{seed for seed, value in by_seed.items() if math.isfinite(value)} for by_seed in values.values()]
    shared = sorted(set.intersection(*finite)) if len(finite) > 1 else []
    return shared if len(shared) > 2 else []


def rank_intervals(values: Mapping[str, Mapping[int, float]], metric: Metric) -> dict[str, tuple[int, int]]:
    """Between which ranks each architecture's mean lies, 95 %, when the shared seeds are drawn again; descriptive.

    What `scipy.stats.bootstrap(paired=True, method="percentile")` gives on the rank vector, which a test holds it
    against; a report asks for it at every epoch, and as one matrix product it takes a third of the time. 1 is best,
    ties share the better rank. Nothing is said under three shared seeds or two architectures.
    """
    names, shared = sorted(values), shared_seeds(values)
    if not shared:
        return {}
    table = np.array([[values[name][seed] for seed in shared] for name in names])  # (architectures, seeds)
    sign = -1.0 if metric.higher_is_better else 1.0
    means = np.round(sign * (table @ _resamples(len(shared))), 12)  # (architectures, resamples)
    ranks = rankdata(means, method="min", axis=0)
    low, high = np.percentile(ranks, (2.5, 97.5), axis=1)  # (architectures,) each
    ends = zip(np.floor(low), np.ceil(high), strict=True)
    return {name: (int(low), int(high)) for name, (low, high) in zip(names, ends, strict=True)}


@functools.lru_cache(maxsize=4)
def _resamples(n: int) -> NDArray[np.float64]:
    """The weight of each of n seeds in each resample, (n, resamples), the same ones on every day."""
    drawn = np.random.default_rng(0).integers(0, n, (_RESAMPLES, n))
    return np.stack([(drawn == seed).mean(axis=1) for seed in range(n)])


def find_front(
    costs: Mapping[str, Mapping[str, float]], verdicts: Sequence[PairVerdict], *, noise: Mapping[str, float]
) -> dict[str, tuple[str, ...]]:
    """By which others each architecture is confidently dominated: they are **better** at no higher cost of any kind.

    Who is dominated by none is possibly on the front.

    Args:
        costs: For each architecture its costs by name; a kind of cost that one of two lacks does not speak for it.
        verdicts: Of all pairs.
        noise: Ratio above 1 within which two costs of a kind are not told apart; exact where absent.
    """

    def no_dearer(one: str, other: str) -> bool:
        mine, its = costs[one], costs[other]
        return mine.keys() >= its.keys() and all(mine[kind] <= its[kind] * noise.get(kind, 1.0) for kind in its)

    pairs = sorted(better_pairs(verdicts))
    return {name: tuple(good for good, bad in pairs if bad == name and no_dearer(good, name)) for name in costs}
