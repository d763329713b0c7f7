"""From Optuna's tables to the tunings of a study, as reports read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna

from bench.tuning.importance import find_importances
from bench.tuning.records import Trial, Tuning
from bench.tuning.settings import PRUNERS, SAMPLERS
from bench.tuning.trials import open_storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.trial import FrozenTrial

    from bench.records import Study
    from bench.tuning.trials import TrialBook


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
    storage = open_storage(store_url)
    newest: dict[tuple[Any, ...], optuna.Study] = {}
    for name in optuna.study.get_all_study_names(storage):
        found = optuna.load_study(study_name=name, storage=storage)
        facts = found.user_attrs.get("facts", {})
        if facts.get("study") != study.name:
            continue
        key = (facts["architecture"], facts["dataset"], facts["epochs"])
        if key not in newest or newest[key].user_attrs["facts"]["order"] < facts["order"]:
            newest[key] = found
    return tuple(_read(newest[key]) for key in sorted(newest))


def find_order(storage: optuna.storages.BaseStorage, study: str) -> int:
    """One more than the highest order among a study's tunings: what is gone on with last is what reports show."""
    names = optuna.study.get_all_study_names(storage)
    every = [optuna.load_study(study_name=name, storage=storage).user_attrs.get("facts", {}) for name in names]
    return 1 + max((facts["order"] for facts in every if facts.get("study") == study), default=0)


def read_winners(book: TrialBook) -> tuple[Trial, ...]:
    """The winning trial, or the front, of a search that has ended."""
    return _read(book.study).winners


def read_trial(frozen: FrozenTrial) -> Trial:
    """A trial that has ended."""
    stored = dict(frozen.user_attrs)
    curve = {int(epoch): accuracy for epoch, accuracy in stored["curve"].items()}
    names = ("number", "state", "settings", "recipe", "architecture", "epochs", "images", "repeats", "reason")
    return Trial(**{name: stored[name] for name in names}, values=tuple(stored["values"]), curve=curve)


def _read(study: optuna.Study) -> Tuning:
    facts, terms = study.user_attrs["facts"], study.user_attrs["terms"]
    frozen = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    trials = tuple(read_trial(trial) for trial in frozen)
    epoch, accuracies = _comparable(trials, facts["epochs"])
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
        starts_with_default=study.user_attrs["starts_with_default"],
        trials=trials,
        importances=find_importances(frozen, accuracies),
        importances_epoch=epoch,
    )


def _comparable(trials: Sequence[Trial], epochs: int) -> tuple[int, Mapping[int, float]]:
    """The last epoch that every trial reached which was not lost, and the accuracies there, by number."""
    kept = [trial for trial in trials if trial.state != "failed"]
    epoch = min((max(trial.curve, default=0) for trial in kept), default=epochs)
    return epoch, {trial.number: trial.curve[epoch] for trial in kept if epoch in trial.curve}
