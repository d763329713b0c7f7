"""What a tuning leaves behind, as reports read it: trials, what they cost, and which recipe won. Needs no Optuna."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STATES = ("complete", "pruned", "failed")
"""How a trial can end; all of them count against the budget."""

OBJECTIVES = ("accuracy", "macs", "latency")
"""What can be tuned for: validation accuracy (a fraction, to be raised), MACs and seconds for one image (lowered)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """One recipe that was tried and has ended.

    Attributes:
        values: One for each objective of the tuning: validation accuracy is the mean over the seeds at the end of the
            trial, of a pruned one when it was pruned; empty for a failed one.
        hyperparameters: What was searched, as trained: fields of the recipe, then knobs of the architecture, by name.
    """

    number: int  # from 0, in the order of asking
    state: str  # one of `STATES`
    values: tuple[float, ...]
    hyperparameters: Mapping[str, Any]
    recipe: Mapping[str, Any]  # the whole one (`Recipe.to_json`)
    architecture: str  # name of what was trained: the architecture itself, or a variation with other knobs
    epochs: float  # of each seed; of a failed one, those of the seed that was lost
    images: int  # training images that it cost, all seeds together; 0 for one that repeats another
    curve: Mapping[int, float] = dataclasses.field(default_factory=dict)  # mean validation accuracy by whole epoch
    repeats: int | None = None  # number of the earlier trial of the same hyperparameters, whose result this one shares
    reason: str = ""  # why it was pruned or failed, one line; empty for a complete one
    architecture_hash: str = ""  # of the source of what was trained; empty for one that never was


@dataclasses.dataclass(frozen=True, kw_only=True)
class Importance:
    """How much of the spread among good trials one hyperparameter explains; all of them add up to 1."""

    name: str
    share: float  # from 0 to 1 (PED-ANOVA, Watanabe et al. 2023, arXiv 2304.10255)
    low: float  # lower end of the 95 % percentile interval over trials drawn again
    high: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuning:
    """The tuning of one architecture.

    Attributes:
        epoch_images: Training images of the pool's training part, of which an epoch trains whole batches.
        counted: Trials that take part in choosing the winner: as many as every architecture of the command has.
        independent: Whether the trials are drawn independently and none was cut short, so that their order means
            nothing (the random sampler without pruning).
    """

    name: str  # as an Optuna study, by which optuna-dashboard shows it
    architecture: str
    architecture_hash: str
    dataset: str
    data_hash: str
    epochs: int  # of a whole trial
    epoch_images: int
    wanted: int  # trials that were asked for
    counted: int
    seeds: tuple[int, ...]  # that every trial trains, all at 10,000 or above
    objectives: tuple[str, ...]  # from `OBJECTIVES`, "accuracy" first
    space: Mapping[str, str]  # what was searched and where, one line by hyperparameter
    sampler: str  # name and version of what chose the recipes: "TPE, Optuna 5.0.0"
    pruner: str  # the same of what cut trials short; "none" when nothing did
    independent: bool
    default: Mapping[str, Any]  # the recipe that tuning is compared with
    starts_with_default: bool  # whether trial 0 is that recipe
    trials: tuple[Trial, ...]  # in order of number, those that have ended
    file: str = ""  # of a net that is not registered, as `--arch` takes it; empty for a registered one
    importances: tuple[Importance, ...] = ()  # the largest first; empty with too few trials
    importances_epoch: int | None = None  # after which they explain validation accuracy, the last that all reached

    @property
    def ceiling_images(self) -> int:
        """Training images that the trials may cost at most, the same for every architecture of one command."""
        return self.wanted * self.epochs * self.epoch_images * len(self.seeds)

    @property
    def winners(self) -> tuple[Trial, ...]:
        """The best complete trial that counts, the first of equals; with several objectives the whole front."""
        complete = [trial for trial in self.trials if trial.state == "complete" and trial.number < self.counted]
        if len(self.objectives) == 1:
            return (max(complete, key=lambda trial: trial.values[0]),) if complete else ()
        front = [trial for trial in complete if not any(_dominates(other, trial) for other in complete)]
        return tuple(sorted(front, key=lambda trial: (trial.values[1], trial.number)))


def _dominates(a: Trial, b: Trial) -> bool:
    """Whether `a` is at least as good everywhere and better somewhere; of two alike, the first."""
    gains = [a.values[0] - b.values[0], *(y - x for x, y in zip(a.values[1:], b.values[1:], strict=True))]
    return min(gains) >= 0 and (max(gains) > 0 or a.number < b.number)
