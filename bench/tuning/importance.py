"""Which hyperparameters mattered, and how sure one can be of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.importance import get_param_importances

from bench.tuning.records import Importance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.trial import FrozenTrial

FEWEST_TRIALS = 10
"""With fewer trials an importance says nothing."""
DRAWS = 100


def find_importances(trials: Sequence[FrozenTrial], accuracies: Mapping[int, float]) -> tuple[Importance, ...]:
    """PED-ANOVA over the trials, and over trials drawn again with replacement for the intervals.

    Args:
        trials: As Optuna holds them.
        accuracies: What is explained: validation accuracy by number of the trial, of those that have one.

    Returns:
        The largest first; empty under `FEWEST_TRIALS` trials or one hyperparameter.
    """
    known = [
        optuna.trial.create_trial(
            params=trial.params, distributions=trial.distributions, value=accuracies[trial.number]
        )
        for trial in trials
        if trial.number in accuracies
    ]
    if len(known) < FEWEST_TRIALS or len(known[0].params) < 2:
        return ()
    shares = _shares(known)
    generator = np.random.default_rng(0)
    again = [_shares([known[index] for index in generator.integers(len(known), size=len(known))]) for _ in range(DRAWS)]
    found = []
    for name, share in shares.items():
        low, high = np.percentile([of.get(name, 0.0) for of in again], (2.5, 97.5))
        found.append(Importance(name=name, share=share, low=float(low), high=float(high)))
    return tuple(sorted(found, key=lambda importance: (-importance.share, importance.name)))


def _shares(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    return get_param_importances(study)
