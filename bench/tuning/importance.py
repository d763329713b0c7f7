"""Which hyperparameters mattered, and how sure one can be of it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import optuna
from optuna.importance import get_param_importances

from bench.tuning.records import Importance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

FEWEST_TRIALS = 10
"""With fewer trials an importance says nothing."""
DRAWS = 100

Scored: TypeAlias = "tuple[FrozenTrial, float]"
"""A trial as Optuna holds it, and the validation accuracy that is explained."""


def find_importances(scored: Sequence[Scored]) -> tuple[Importance, ...]:
    """PED-ANOVA over the trials, and over trials drawn again with replacement for the intervals.

    Returns:
        The largest first; empty under `FEWEST_TRIALS` trials or two hyperparameters, or where all are equally good.
    """
    known = [
        optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=accuracy)
        for trial, accuracy in scored
    ]
    values = {accuracy for _, accuracy in scored}
    if len(known) < FEWEST_TRIALS or len(values) < 2 or len(known[0].params) < 2:
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of draws in which all are equally good
        return get_param_importances(study)
