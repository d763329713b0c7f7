"""Which runs show what a tuning was good for: those of the recipe that won, and those of the default beside them."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from bench.core.recipe import Budget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.core.records import RunRecord, Study, TableKey
    from bench.core.work.tuning import Trial, Tuning

_Key = TypeVar("_Key")

Place: TypeAlias = tuple[str, str, int, str]
"""Device, versions of torch and of the engine, which engine: beside data and budget, what runs of one table share."""


def winner_of(tuning: Tuning) -> Trial | None:
    """The one trial that won; None while none is complete, and where several objectives leave a front."""
    return tuning.winners[0] if len(tuning.objectives) == 1 and tuning.winners else None


def won_by_default(tuning: Tuning) -> bool:
    """Whether nothing beat the recipe that tuning is compared with, so that the tuned runs are the default ones."""
    winner = winner_of(tuning)
    if winner is None or winner.architecture != tuning.architecture:
        return False
    return _canonical(winner.recipe) == _canonical(tuning.default)


def winner_runs(tuning: Tuning, study: Study) -> tuple[RunRecord, ...]:
    """The runs to compare of the winning recipe, or of the whole front, whatever name they were stored under."""
    return tuple(run for run in _compared(tuning, study) if any(is_of(run, trial) for trial in tuning.winners))


def is_of(run: RunRecord, trial: Trial) -> bool:
    """Whether a run trains what a trial did."""
    return run.architecture == trial.architecture and _canonical(run.recipe) == _canonical(trial.recipe)


def default_runs(tuning: Tuning, study: Study) -> tuple[RunRecord, ...]:
    """The runs to compare of the default recipe."""
    name, default = tuning.architecture, _canonical(tuning.default)
    return tuple(r for r in _compared(tuning, study) if r.architecture == name and _canonical(r.recipe) == default)


def was_cut_short(run: RunRecord, study: Study) -> bool:
    """Whether tuning ended a run before its end on purpose, which is no trouble: it is stored as interrupted."""
    return run.status == "interrupted" and study.roles.get(run.run_id) == "tune"


def place_of(run: RunRecord) -> Place:
    """Where it was trained, as far as that keeps runs out of one table."""
    return run.device, run.torch_version, run.engine_version, run.engine


def with_tuned(groups: Mapping[_Key, Sequence[RunRecord]], study: Study) -> dict[_Key, list[RunRecord]]:
    """The tables of tuned runs with every winner in them and no former one, so that all tuned architectures meet.

    A winner that is the default recipe, or one that was trained before under another name, has no runs that are called
    tuned: the same run is never trained twice. They stand in both tables. A tuned table in which nothing else is left
    would only repeat the other, and goes.
    """
    found = {key: list(runs) for key, runs in groups.items()}
    for key, runs in groups.items():
        if runs[0].recipe_name.startswith("tuned"):
            for tuning in study.tunings:
                found[key] = _put_in(found[key], tuning, study)
            own = {run.run_id for run in runs}
            if not any(run.run_id in own for run in found[key]):
                del found[key]
    return found


def _put_in(table: list[RunRecord], tuning: Tuning, study: Study) -> list[RunRecord]:
    """A tuned table with the runs of a tuning's winners, in place of those of recipes that won before them."""
    winners = [run for run in winner_runs(tuning, study) if _frame(run) == _frame(table[0])]
    there = {run.run_id for run in table}
    defaults = {_changes(run) for run in default_runs(tuning, study)}
    if not winners or not (_changes(table[0]) in defaults or any(run.run_id in there for run in winners)):
        return table
    others = [run for run in table if not _is_tuned_in(run, tuning)]
    return [*others, *(dataclasses.replace(run, recipe_name=table[0].recipe_name) for run in winners)]


def _compared(tuning: Tuning, study: Study) -> list[RunRecord]:
    """Runs to compare of a tuning's architecture and its variations, on its data and for as long as its trials."""
    budget = Budget(epochs=tuning.epochs)
    return [
        run
        for run in study.records
        if study.roles.get(run.run_id, "compare") == "compare"
        and (run.protocol, run.dataset, run.data_hash) == ("select", tuning.dataset, tuning.data_hash)
        and Budget(**run.budget) == budget
        and _is_tuned_in(run, tuning)
    ]


def _is_tuned_in(run: RunRecord, tuning: Tuning) -> bool:
    """Whether a run is of the architecture as it was tuned, or of a variation that a trial made."""
    if run.architecture == tuning.architecture:
        return run.architecture_hash == tuning.architecture_hash
    return any(
        trial.architecture == run.architecture and trial.architecture_hash in ("", run.architecture_hash)
        for trial in tuning.trials
    )


def _canonical(recipe: Mapping[str, Any]) -> str:
    return json.dumps(dict(recipe), sort_keys=True)


def _changes(run: RunRecord) -> str:
    """What the user changed of the recipe: the default runs' and the tuned ones' names share it."""
    return run.recipe_name.partition(" ")[2]


def _frame(run: RunRecord) -> TableKey:
    """What a table's runs share beside the recipe."""
    return dataclasses.replace(run.table, recipe="")
