"""What a tuning will cost, as said before it begins."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.studies.tuning.study import TuningWork


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningCost:
    """What a tuning will cost.

    Attributes:
        architectures: How many are tuned.
        epochs: Epochs of a whole trial.
        images: Training images of all trials at most.
        search_seconds: Wall-clock seconds of the search, about, when no trial is pruned.
        runs: Runs to compare afterwards, one winner each and the default recipe.
        compare_seconds: Wall-clock seconds of these, about.
        searched: Hyperparameters, and the knobs of all architectures.
        without_knobs: Architectures of which only the recipe is searched, though knobs were asked for.
        stored: Trials that have ended already.
    """

    architectures: int
    epochs: int
    images: int
    search_seconds: float
    runs: int
    compare_seconds: float
    searched: Sequence[str]
    without_knobs: Sequence[str]
    stored: int


def estimate_cost(work: TuningWork) -> TuningCost:
    """The cost of a search of which every trial trains to its end, and of the comparison after it."""
    experiment, settings = work.experiment, work.settings
    nets, epochs, jobs = experiment.architectures, work.budget.epochs or 0, experiment.workplace.jobs
    base = experiment.options.recipe()
    trials = [work.trial_requests(net, base) for net in nets]
    search = sum(sum(experiment.estimate(requests)) for requests in trials) * settings.trials
    search /= min(jobs, work.most_tasks)
    compared = experiment.requests(nets, {net.name: [(base, work.budget)] for net in nets})
    return TuningCost(
        architectures=len(nets),
        epochs=epochs,
        images=len(nets) * settings.trials * settings.seeds * epochs * experiment.train_images,
        search_seconds=min(search, settings.seconds or search),
        runs=2 * len(compared),
        compare_seconds=2 * sum(experiment.estimate(compared)) / jobs,
        searched=list(dict.fromkeys(name for space in work.spaces.values() for name in space.all)),
        without_knobs=[net.name for net in nets if settings.architecture and not net.knobs],
        stored=work.stored_trials(),
    )
