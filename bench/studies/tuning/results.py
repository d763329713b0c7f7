"""From Optuna's tables to the tunings of a study, as reports read them, with what mattered in them."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.importance import get_param_importances

from bench.core.options import PRUNERS, SAMPLERS
from bench.core.tuning import Importance, Trial, Tuning
from bench.studies.tuning.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from optuna.trial import FrozenTrial

    from bench.core.records import Study
    from bench.studies.tuning.storage import TrialBook

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


def read_tunings(study: Study, store_url: str) -> tuple[Tuning, ...]:
    """The tunings of a study: of each architecture, dataset and budget the one that was gone on with last.

    Args:
        study: As the store holds it.
        store_url: SQLAlchemy URL of the store.

    Returns:
        By name of the architecture; empty when the study never tuned.

    Raises:
        StoreError: The database cannot be used, or a newer Optuna wrote the trials.
    """
    if "tune" not in study.roles.values():
        return ()
    with open_storage(store_url) as storage:
        newest: dict[tuple[Any, ...], optuna.Study] = {}
        for found in _load_all(storage):
            facts = found.user_attrs.get("facts", {})
            if facts.get("study") != study.name:
                continue
            key = (facts["architecture"], facts["dataset"], facts["epochs"])
            if key not in newest or newest[key].user_attrs["facts"]["order"] < facts["order"]:
                newest[key] = found
        return tuple(_with_importances(newest[key]) for key in sorted(newest))


def copy_trials(other_url: str, store_url: str) -> None:
    """Bring the trials of another store into this one; where both know a search, the one that came further stays.

    Raises:
        StoreError: A database cannot be used, or another Optuna wrote the trials.
    """
    if not _has_trials(other_url):
        return
    with open_storage(other_url) as theirs, open_storage(store_url) as here:
        known = {study.study_name: study for study in _load_all(here)}
        for study in _load_all(theirs):
            own = known.get(study.study_name)
            if own is not None and _ended(own) >= _ended(study):
                continue
            if own is not None:
                optuna.delete_study(study_name=own.study_name, storage=here)
            optuna.copy_study(from_study_name=study.study_name, from_storage=theirs, to_storage=here)


def _has_trials(url: str) -> bool:
    engine = sa.create_engine(url)
    try:
        return sa.inspect(engine).has_table("trials")
    finally:
        engine.dispose()


def _load_all(storage: optuna.storages.BaseStorage) -> list[optuna.Study]:
    names = optuna.study.get_all_study_names(storage)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def _ended(study: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def find_order(storage: optuna.storages.BaseStorage, study: str) -> int:
    """One more than the highest order among a study's tunings: what is gone on with last is what reports show."""
    every = [found.user_attrs.get("facts", {}) for found in _load_all(storage)]
    return 1 + max((facts["order"] for facts in every if facts.get("study") == study), default=0)


def count_ended(storage: optuna.storages.BaseStorage, names: Collection[str], *, most: int) -> int:
    """Trials that have ended in studies of these names, at most so many of each."""
    return sum(min(_ended(found), most) for found in _load_all(storage) if found.study_name in names)


def read_winners(book: TrialBook) -> tuple[Trial, ...]:
    """The winning trial, or the front, of a search that has ended."""
    return _read(book.study).winners


def read_trial(frozen: FrozenTrial) -> Trial:
    """A trial that has ended."""
    stored = dict(frozen.user_attrs)
    curve = {int(epoch): accuracy for epoch, accuracy in stored["curve"].items()}
    names = ("number", "state", "settings", "recipe", "architecture", "epochs", "images", "repeats", "reason")
    also = {"architecture_hash": stored.get("architecture_hash", "")}
    return Trial(**{name: stored[name] for name in names}, values=tuple(stored["values"]), curve=curve, **also)


def _read(study: optuna.Study) -> Tuning:
    facts, terms = study.user_attrs["facts"], study.user_attrs["terms"]
    frozen = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    trials = tuple(read_trial(trial) for trial in frozen)
    optuna_versions = " and ".join(study.user_attrs["versions"])
    pruner = "none" if terms["pruner"] == "none" else f"{PRUNERS[terms['pruner']]}, Optuna {optuna_versions}"
    return Tuning(
        name=study.study_name,
        architecture=facts["architecture"],
        architecture_hash=facts["architecture_hash"],
        dataset=facts["dataset"],
        data_hash=facts["data_hash"],
        epochs=facts["epochs"],
        epoch_images=facts["epoch_images"],
        wanted=facts["wanted"],
        counted=study.user_attrs.get("counted", min(len(trials), facts["wanted"])),
        seeds=tuple(facts["seeds"]),
        objectives=tuple(terms["objective"].split(",")),
        space=facts["space"],
        sampler=f"{SAMPLERS[terms['sampler']]}, Optuna {optuna_versions}",
        pruner=pruner,
        independent=terms["sampler"] == "random" and terms["pruner"] == "none",
        default=facts["default"],
        file=facts.get("file", ""),
        starts_with_default=study.user_attrs["starts_with_default"],
        trials=trials,
    )


def _with_importances(study: optuna.Study) -> Tuning:
    tuning = _read(study)
    epoch, accuracies = _comparable(tuning.trials, tuning.epochs)
    drawn = tuple(
        (frozen, accuracies[frozen.number])
        for frozen in study.get_trials(deepcopy=False)
        if frozen.number in accuracies
    )
    return dataclasses.replace(tuning, importances=find_importances(drawn), importances_epoch=epoch)


def _comparable(trials: Sequence[Trial], epochs: int) -> tuple[int, Mapping[int, float]]:
    """The last epoch that every trial reached which was not lost, and the accuracies there, by number."""
    kept = [trial for trial in trials if trial.state != "failed"]
    epoch = min((max(trial.curve, default=0) for trial in kept), default=epochs)
    return epoch, {trial.number: trial.curve[epoch] for trial in kept if epoch in trial.curve}
