"""How the order of architectures depends on what is asked: on the target, and on how far training is."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from typing import TYPE_CHECKING

from scipy.stats import kendalltau

from bench.analysis.metrics import accuracy_metric, epochs_metric, restricted_time
from bench.analysis.ranking import rank_intervals, shared_seeds
from bench.core.records import SETTLED, time_to_target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.analysis.metrics import Metric
    from bench.core.records import CurvePoint, RunRecord

    Values = Mapping[str, Mapping[int, float]]
    Runs = Mapping[str, Sequence[RunRecord]]
    Curves = Mapping[str, Sequence[CurvePoint]]

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
