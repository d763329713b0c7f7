"""From Optuna's tables to the tunings of a study, as reports read them, with what mattered in them."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.importance import get_param_importances

from bench.core.options import PRUNERS, SAMPLERS
from bench.core.work.tuning import Importance, Trial, Tuning
from bench.store.codec import from_json
from bench.studies.tuning.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from optuna.trial import FrozenTrial

    from bench.core.records import Study

_FEWEST_TRIALS = 10
"""With fewer trials an importance says nothing."""
_DRAWS = 100


def read_tunings(study: Study, store_url: str) -> tuple[Tuning, ...]:
    """The tunings of a study by architecture: of each dataset and budget the one that was gone on with last.

    Raises:
        StoreError: The database cannot be used, or a newer Optuna wrote the trials.
    """
    if "tune" not in study.roles.values():
        return ()
    with open_storage(store_url) as storage:
        newest: dict[tuple[Any, ...], optuna.Study] = {}
        for search in _load_all(storage):
            metadata = search.user_attrs.get("facts", {})
            if metadata.get("study") == study.name:
                key = (metadata["architecture"], metadata["dataset"], metadata["epochs"])
                newest[key] = max(newest.get(key, search), search, key=lambda one: one.user_attrs["facts"]["order"])
        return tuple(_with_importances(newest[key]) for key in sorted(newest))


def read_tuning(search: optuna.Study) -> Tuning:
    """A tuning as its Optuna study tells it, without importances."""
    metadata, terms = search.user_attrs["facts"], search.user_attrs["terms"]
    trials = tuple(read_trial(trial) for trial in search.get_trials(deepcopy=False) if trial.state.is_finished())
    version = f"Optuna {' and '.join(search.user_attrs['versions'])}"
    same = ("architecture", "architecture_hash", "dataset", "data_hash", "epochs", "epoch_images", "wanted", "space")
    return Tuning(
        name=search.study_name,
        **{name: metadata[name] for name in same},
        counted=search.user_attrs.get("counted", min(len(trials), metadata["wanted"])),
        seeds=tuple(metadata["seeds"]),
        objectives=tuple(terms["objective"].split(",")),
        sampler=f"{SAMPLERS[terms['sampler']]}, {version}",
        pruner="none" if terms["pruner"] == "none" else f"{PRUNERS[terms['pruner']]}, {version}",
        independent=terms["sampler"] == "random" and terms["pruner"] == "none",
        default=metadata["default"],
        file=metadata.get("file", ""),
        starts_with_default=search.user_attrs["starts_with_default"],
        trials=trials,
    )


def read_trial(frozen: FrozenTrial) -> Trial:
    """A trial that has ended."""
    told = frozen.user_attrs
    fields = {field.name: told[field.name] for field in dataclasses.fields(Trial) if field.name in told}
    return from_json(Trial, fields | {"hyperparameters": told.get("settings")}, f"trial {frozen.number}")


def _with_importances(search: optuna.Study) -> Tuning:
    """The tuning, and what explains accuracy at the last epoch that every trial reached which was not lost."""
    tuning = read_tuning(search)
    kept = [trial for trial in tuning.trials if trial.state != "failed"]
    epoch = min((max(trial.curve, default=0) for trial in kept), default=tuning.epochs)
    accuracies = {trial.number: trial.curve[epoch] for trial in kept if epoch in trial.curve}
    explained = [
        optuna.trial.create_trial(params=t.params, distributions=t.distributions, value=accuracies[t.number])
        for t in search.get_trials(deepcopy=False)
        if t.number in accuracies
    ]
    return dataclasses.replace(tuning, importances=_find_importances(explained), importances_epoch=epoch)


def _find_importances(trials: Sequence[FrozenTrial]) -> tuple[Importance, ...]:
    """PED-ANOVA over the trials, and over trials drawn again with replacement for the intervals.

    Returns:
        The largest first; empty under ten trials or two hyperparameters, or where all are equally good.
    """
    if len(trials) < _FEWEST_TRIALS or len({trial.value for trial in trials}) < 2 or len(trials[0].params) < 2:
        return ()
    generator = np.random.default_rng(0)
    again = [_shares([trials[at] for at in generator.integers(len(trials), size=len(trials))]) for _ in range(_DRAWS)]
    importances = []
    for name, share in _shares(trials).items():
        low, high = np.percentile([drawn.get(name, 0.0) for drawn in again], (2.5, 97.5))
        importances.append(Importance(name=name, share=share, low=float(low), high=float(high)))
    return tuple(sorted(importances, key=lambda importance: (-importance.share, importance.name)))


def _shares(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of draws in which all are equally good
        return get_param_importances(study)


def copy_trials(other_url: str, store_url: str) -> None:
    """Bring the trials of another store into this one; where both know a search, the one that came further stays.

    Raises:
        StoreError: A database cannot be used, or another Optuna wrote the trials.
    """
    engine = sa.create_engine(other_url)
    try:
        if not sa.inspect(engine).has_table("trials"):
            return
    finally:
        engine.dispose()
    with open_storage(other_url) as theirs, open_storage(store_url) as here:
        known = {search.study_name: search for search in _load_all(here)}
        for search in _load_all(theirs):
            own = known.get(search.study_name)
            if own is not None and _count_ended(own) >= _count_ended(search):
                continue
            if own is not None:
                optuna.delete_study(study_name=own.study_name, storage=here)
            optuna.copy_study(from_study_name=search.study_name, from_storage=theirs, to_storage=here)


def find_order(storage: optuna.storages.BaseStorage, study: str) -> int:
    """One more than the highest order among a study's tunings: what is gone on with last is what reports show."""
    known = [search.user_attrs.get("facts", {}) for search in _load_all(storage)]
    return 1 + max((metadata["order"] for metadata in known if metadata.get("study") == study), default=0)


def count_ended(storage: optuna.storages.BaseStorage, names: Collection[str], *, most: int) -> int:
    """Trials that have ended in searches of these names, at most so many of each."""
    return sum(min(_count_ended(search), most) for search in _load_all(storage) if search.study_name in names)


def _load_all(storage: optuna.storages.BaseStorage) -> list[optuna.Study]:
    names = optuna.study.get_all_study_names(storage)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def _count_ended(search: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in search.get_trials(deepcopy=False))
