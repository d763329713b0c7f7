"""Order without pretence: rank intervals, groups that are alike, the front of cost, and what order depends on."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
import statistics
import string
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from scipy.stats import kendalltau, rankdata

from bench.analysis.metrics import accuracy_metric, epochs_metric, restricted_time
from bench.analysis.verdicts import BETTER, Verdict
from bench.core.records import SETTLED, time_to_target

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from bench.analysis.metrics import Metric
    from bench.analysis.verdicts import PairVerdict
    from bench.core.records import CurvePoint, RunRecord

    Values = Mapping[str, Mapping[int, float]]
    Runs = Mapping[str, Sequence[RunRecord]]
    Curves = Mapping[str, Sequence[CurvePoint]]

_RESAMPLES = 9_999
_LETTERS = string.ascii_lowercase
_LETTER = re.compile(r"[a-z]|\(\d+\)")
"""One group of several that a net is in: a letter, or (27) and so on where these do not suffice."""


def better_pairs(verdicts: Sequence[PairVerdict]) -> set[tuple[str, str]]:
    """The pairs (better, worse) that are decided."""
    return {
        (pair.a, pair.b) if pair.verdict == Verdict.A_BETTER else (pair.b, pair.a)
        for pair in verdicts
        if pair.verdict in BETTER
    }


def find_unbeaten(names: Collection[str], verdicts: Sequence[PairVerdict]) -> tuple[str, ...]:
    """Those that no other is better than, in the order given: in 95 % of tables at least the best is among them.

    Whoever is left out was called worse than another, and at most 5 % of tables call anything better that is not.
    """
    beaten = {worse for _, worse in better_pairs(verdicts)}
    return tuple(name for name in names if name not in beaten)


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
    letters = [*_LETTERS, *(f"({number})" for number in range(len(_LETTERS) + 1, len(groups) + 1))]
    return {name: "".join(letters[at] for at, group in enumerate(groups) if name in group) for name in means}


def order_by_group(groups: Mapping[str, str], means: Mapping[str, float], metric: Metric) -> list[list[str]]:
    """The names, the best group first and the better mean first within it, in blocks that share no letter at all."""
    letters = {name: _LETTER.findall(groups[name]) for name in groups}
    sign = -1 if metric.higher_is_better else 1

    def standing(name: str) -> tuple[list[int], float, str]:
        return [_place(letter) for letter in letters[name]], sign * means[name], name

    blocks: list[list[str]] = []
    names = sorted(groups, key=standing)
    for at, name in enumerate(names):
        above = {letter for other in names[:at] for letter in letters[other]}
        if at == 0 or not above & {letter for other in names[at:] for letter in letters[other]}:
            blocks.append([])
        blocks[-1].append(name)
    return blocks


def _place(letter: str) -> int:
    return _LETTERS.index(letter) if letter in _LETTERS else int(letter.strip("()")) - 1


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


TARGETS_PERCENT = tuple(range(90, 100))
_MOST_EPOCHS = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """The order of architectures in one view.

    Attributes:
        means: Mean of each architecture over the seeds that all have, the best first, ties by name; to 12 decimals,
            beyond which a difference is one of arithmetic.
    """

    at: float  # the view: a target in %, an epoch, a budget in epochs
    means: Mapping[str, float]
    ranks: Mapping[str, tuple[int, int]]  # lowest and highest rank of each, 95 %; empty under three shared seeds
    reached: bool = True  # whether any run got to the target, where that is the view

    @property
    def tied(self) -> list[list[str]]:
        """The names, the best first; those with the same mean are together."""
        return [list(names) for _, names in itertools.groupby(self.means, key=self.means.__getitem__)]

    def agreement(self, other: Order) -> float | None:
        """Kendall's τ-b between two orders, 1 for the same and −1 for the reverse; None where all are tied."""
        names = [name for name in self.means if name in other.means]
        if len(names) < 2:
            return None
        found = kendalltau([self.means[name] for name in names], [other.means[name] for name in names])
        return None if math.isnan(found.statistic) else float(found.statistic)


def make_order(values: Values, metric: Metric, *, at: float) -> Order | None:
    """The order by means over the shared seeds; None under three of them or two architectures with a value."""
    known = {name: seeds for name, seeds in values.items() if any(map(math.isfinite, seeds.values()))}
    shared = shared_seeds(known)
    if not shared:
        return None
    means = {name: round(statistics.fmean(known[name][seed] for seed in shared), 12) for name in known}
    sign = -1 if metric.higher_is_better else 1
    ordered = dict(sorted(means.items(), key=lambda item: (sign * item[1], item[0])))
    return Order(at=at, means=ordered, ranks=rank_intervals(known, metric))


def orders_by_target(runs: Runs, curves: Curves) -> list[Order]:
    """By restricted mean time to 90, 91, … 99 % validation accuracy; nothing for a budget of seconds."""
    orders, settled = [], [(name, run) for name in runs for run in runs[name] if run.status in SETTLED]
    for percent in TARGETS_PERCENT:
        values: dict[str, dict[int, float]] = {name: {} for name in runs}
        reached = False
        for name, run in settled:
            stop = run.recipe.get("stop_at_accuracy")
            epochs = time_to_target(curves.get(run.run_id, ()), percent / 100, stopped_at=stop).epochs
            values[name][run.seed] = restricted_time(run, epochs)
            reached = reached or (run.status == "ok" and math.isfinite(epochs))
        if order := make_order(values, epochs_metric(), at=percent):
            orders.append(dataclasses.replace(order, reached=reached))
    return orders


def orders_along_training(runs: Runs, curves: Curves, *, probe: bool) -> list[Order]:
    """By mean validation accuracy at points of the curve that all architectures share.

    With a schedule that anneals, an epoch half way is not a shorter run: this says who leads on the way, no more. It is
    of the fixed probe, within epochs, or of all validation images, at their ends.
    """
    ok = {name: [run for run in runs[name] if run.status == "ok"] for name in runs}
    at: dict[float, dict[str, dict[int, float]]] = {}
    for name, of_net in ok.items():
        for run in of_net:
            for point in curves.get(run.run_id, ()):
                if point.probe == probe:
                    at.setdefault(round(point.epoch, 3), {}).setdefault(name, {})[run.seed] = point.val_accuracy
    shared = sorted(epoch for epoch, values in at.items() if values.keys() == ok.keys())
    step = math.ceil(len(shared) / _MOST_EPOCHS) if shared else 1
    orders = [make_order(at[epoch], accuracy_metric(), at=epoch) for epoch in shared[::-step][::-1]]
    return [order for order in orders if order]
