"""The trials of one architecture, kept by Optuna: it samples, prunes and remembers; nobody else writes there.

The same trials come out however many workers there are, and wherever the program is killed: trials are asked for and
told in a fixed order (`AHEAD`), each with a sampler that is seeded by the trial's number, so that there is no sampler's
state to lose, and a trial is pruned by what was known when it was asked for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from bench.core.architecture import Choice
from bench.core.errors import StoreError, UsageError
from bench.store.database.database import explained
from bench.store.database.postgres import server_arguments
from bench.system.urls import name_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optuna.trial import FrozenTrial

    from bench.core.options import TuneOptions
    from bench.core.work.tuning import Trial
    from bench.studies.tuning.space import SearchSpace

AHEAD = 4
"""Trials of one architecture that may be under way: trial i knows those up to i - 4, however many workers there are."""
STARTUP_TRIALS = 8
"""Trials drawn at random before TPE has something to learn from (of Optuna's 10 too many would be left in 20)."""
REDUCTION = 3
"""Successive halving keeps the best third at each rung (Optuna's default is 4, for which 20 trials are few)."""
TIMEOUT_SECONDS = 30.0

optuna.logging.set_verbosity(optuna.logging.WARNING)


@contextlib.contextmanager
def open_storage(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """Optuna's tables in the store's database, made when there are none; closed at the end.

    Raises:
        StoreError: The database cannot be used, here or inside the block, or a newer Optuna wrote these tables.
    """
    shown = name_place(url)
    if url.startswith("sqlite"):
        options: dict[str, Any] = {"connect_args": {"timeout": TIMEOUT_SECONDS}}
    else:  # a server can restart between two calls
        options = {"connect_args": server_arguments(sa.make_url(url), TIMEOUT_SECONDS), "pool_pre_ping": True}
    try:
        with explained(shown, TIMEOUT_SECONDS):
            storage = optuna.storages.RDBStorage(url, engine_kwargs=options)
    except RuntimeError as fault:  # Optuna's own word for tables of another version
        raise StoreError(
            f"Store {shown} holds trials of another Optuna than {optuna.__version__}; install the one that wrote them, "
            f"or choose another directory with --results ({str(fault).splitlines()[0]})."
        ) from fault
    try:
        with explained(shown, TIMEOUT_SECONDS):
            yield storage
    except optuna.exceptions.StorageInternalError as fault:  # Optuna's wrapping of what the database said
        with explained(shown, TIMEOUT_SECONDS):
            raise fault.__cause__ or fault from fault
    finally:
        storage.remove_session()
        storage.engine.dispose()


class TrialBook:
    """The trials of one architecture: the study as Optuna knows it, what is searched, and how."""

    def __init__(
        self,
        storage: optuna.storages.BaseStorage,
        name: str,
        *,
        space: SearchSpace,
        tune_options: TuneOptions,
        metadata: Mapping[str, Any],
    ) -> None:
        """Begin a study of trials of that name, or go on with it; reports read the metadata.

        Raises:
            UsageError: There is one of that name with another search space or other options.
        """
        self.space, self.tune_options = space, tune_options
        known = name in optuna.study.get_all_study_names(storage)
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if tune_options.prunes:
            first = max(1, int(metadata["epochs"]) // REDUCTION)
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=REDUCTION)
        self.study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * (len(tune_options.objectives) - 1)],
            load_if_exists=True,
            pruner=pruner,
        )
        terms = {
            "search space": space.to_json(),
            "sampler": tune_options.sampler,
            "pruner": tune_options.pruner if tune_options.prunes else "none",
            "number of --tune-seeds": tune_options.seeds,
            "objective": ",".join(tune_options.objectives),
        }
        stored = self.study.user_attrs.get("terms", terms) if known else terms
        for what, value in terms.items():
            if stored.get(what) != value:
                shown = "" if what == "search space" else f" ({stored.get(what)}, now {value})"
                raise UsageError(
                    f"{name} was tuned with another {what}{shown}; repeat that command, or name "
                    "another --study: trials of both would not be comparable."
                )
        versions = self.study.user_attrs.get("versions", [])
        if optuna.__version__ not in versions:
            self._note("versions", [*versions, optuna.__version__])
        self._note("starts_with_default", space.sampled(space.base) is not None)
        self._note("terms", terms)
        wanted = max(tune_options.trials, self.study.user_attrs.get("facts", {}).get("wanted", 0))
        self._note("facts", dict(metadata) | {"wanted": wanted})  # last: by them a reader knows that all is there

    def _note(self, name: str, value: object) -> None:
        if self.study.user_attrs.get(name) != value:
            self.study.set_user_attr(name, value)

    def set_counted(self, trials: int) -> None:
        """Say how many of the first trials take part in choosing the winner."""
        self._note("counted", trials)

    def trials(self) -> list[FrozenTrial]:
        """Trials as Optuna holds them, by number."""
        return self.study.get_trials(deepcopy=False)

    @property
    def told(self) -> int:
        """Trials that have ended: always the first ones."""
        return sum(trial.state.is_finished() for trial in self.trials())

    @property
    def asked(self) -> int:
        """Trials that were asked for, ended or not."""
        return len(self.trials())

    def rungs(self, epochs: int) -> list[int]:
        """Epochs after which a trial may be pruned."""
        if not self.tune_options.prunes:
            return []
        rungs = [max(1, epochs // REDUCTION)]
        while rungs[-1] * REDUCTION < epochs:
            rungs.append(rungs[-1] * REDUCTION)
        return [rung for rung in rungs if rung < epochs]

    def ask(self) -> FrozenTrial:
        """The next trial; the first is the default recipe where the space has it.

        It is drawn in a copy of the study and stored whole, so that a kill leaves all of its values or none.
        """
        number = self.asked
        distributions: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(list(knob.values))
            if isinstance(knob, Choice)
            else FloatDistribution(knob.low, knob.high, log=knob.log)
            for name, knob in self.space.all.items()
        }
        sampled = self.space.sampled(self.space.base) if number == 0 else None
        if sampled is None:
            seed = int(np.random.SeedSequence(number).generate_state(1)[0])  # draws depend on number and study alone
            sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed=seed)
            if self.tune_options.sampler == "tpe":
                sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
            copy = optuna.create_study(directions=self.study.directions, sampler=sampler)
            copy.add_trials(self._known(number))
            for later in self.trials()[max(0, number - AHEAD + 1) :]:  # they are tried, though they may have ended
                copy.add_trial(_running(later.params, later.distributions))
            sampled = dict(copy.ask(distributions).params)
        self.study.add_trial(_running(sampled, distributions))
        return self.trials()[number]

    def _known(self, number: int) -> list[FrozenTrial]:
        """Trials of which a trial knows how they ended, whenever it is asked for."""
        return [trial for trial in self.trials() if trial.number <= number - AHEAD]

    def unfinished(self) -> list[FrozenTrial]:
        """Trials that were asked for and never told, as after a kill, by number."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def set_cost(self, number: int, cost: float) -> None:
        """Remember what the second objective of a trial was measured to be."""
        self._open(number).set_user_attr("cost", cost)

    def prunes(self, number: int, curve: Mapping[int, float]) -> bool:
        """Whether a trial of that accuracy by epoch shall end now, as far as trials had ended when it was asked for."""
        view = optuna.create_study(direction="maximize", pruner=self.study.pruner)
        view.add_trials(self._known(number))
        return _report(view.ask(), curve)

    def tell(self, ended: Trial) -> None:
        """Store how a trial ended: the next one that was not told yet."""
        trial = self._open(ended.number)
        if self.tune_options.prunes:
            _report(trial, ended.curve)  # the pruner notes what reached which rung; the decision was taken before
        stored = dataclasses.asdict(ended)
        stored["settings"] = stored.pop("hyperparameters")  # as stores have called them from the first
        for name, value in stored.items():
            trial.set_user_attr(name, value)
        if ended.state == "complete":
            self.study.tell(ended.number, list(ended.values))
        elif ended.state == "pruned" or len(self.tune_options.objectives) == 1:
            self.study.tell(ended.number, state=TrialState.PRUNED)  # a failed one too: the sampler shall learn of it
        else:
            self.study.tell(ended.number, state=TrialState.FAIL)

    def _open(self, number: int) -> optuna.trial.Trial:
        frozen = next(trial for trial in self.trials() if trial.number == number)
        return optuna.trial.Trial(self.study, frozen._trial_id)  # noqa: SLF001 - its own way to go on with a trial


def _running(params: dict[str, Any], distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    return optuna.trial.create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)


def _report(trial: optuna.trial.Trial, curve: Mapping[int, float]) -> bool:
    """Tell the pruner a trial's accuracies by epoch; whether it would end it at the last of them."""
    pruned = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a program killed between reporting and telling reports again
        for epoch, accuracy in sorted(curve.items()):
            trial.report(accuracy, epoch)
            pruned = trial.should_prune()
    return pruned
