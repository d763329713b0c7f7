"""One command's work on tuned architectures: the search, then each winner beside the default recipe on fresh seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import UsageError
from bench.core.events import Note, TuningStarted
from bench.core.recipe import Recipe
from bench.core.seeds import SeedPlan
from bench.execution import scheduler
from bench.models.fingerprint import architecture_hash
from bench.studies.sequential import Comparison, compare
from bench.studies.tuning.results import count_ended, find_order, read_tuning
from bench.studies.tuning.runs import TrialRuns
from bench.studies.tuning.search import Search, Tuner
from bench.studies.tuning.space import SHARED_SPACE, load_space
from bench.studies.tuning.storage import AHEAD, TrialBook, open_storage
from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from optuna.storages import BaseStorage

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.options import TuneOptions
    from bench.core.work.tuning import Trial
    from bench.studies.experiment import Experiment
    from bench.studies.tuning.space import SearchSpace


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningCost:
    """What a tuning will cost, as said before it begins.

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


class TuningWork:
    """A tuning of every architecture of an experiment.

    Attributes:
        experiment: What is tuned, on what and where.
        tune_options: How.
        without_winner: Architectures of which no trial was complete, known when the events are over.
    """

    def __init__(self, *, experiment: Experiment, tune_options: TuneOptions) -> None:
        experiment.refuse_own_recipes("--tune")
        self.experiment, self.tune_options = experiment, tune_options
        self.without_winner: list[str] = []
        self._runs = TrialRuns(experiment, tune_options)
        self._most_tasks = AHEAD * len(experiment.architectures) * tune_options.seeds

    @functools.cached_property
    def spaces(self) -> dict[str, SearchSpace]:
        """The search space of each architecture, by its name: the same for all but for knobs of their own.

        Raises:
            UsageError: It cannot be searched.
            RecipeError: It holds what is no recipe.
        """
        nets, options = self.experiment.architectures, self.experiment.options
        if self.tune_options.architecture and not any(net.knobs for net in nets):
            raise UsageError(
                f"--tune-architecture: {nets[0].name} declares no knobs; leave it out to tune the recipe alone."
            )
        spaces = {}
        for net in nets:
            space = load_space(
                self.tune_options.space or SHARED_SPACE,
                base=options.recipe(),
                fixed=set(options.recipe_changes),
                knobs=net.knobs if self.tune_options.architecture else {},
                declared=net.declared_values,
            )
            for corner in itertools.product(*(knob.extremes for knob in space.knobs.values())):
                net.varied(dict(zip(space.knobs, corner, strict=True)))  # every one can be named
            for batch_size in space.fields["batch_size"].extremes if "batch_size" in space.fields else ():
                self._runs.requests(net, dataclasses.replace(space.base, batch_size=batch_size))  # and filled
            spaces[net.name] = space
        return spaces

    def cost(self) -> TuningCost:
        """Of a search of which every trial trains to its end, and of the comparison after it."""
        experiment, tune_options, jobs = self.experiment, self.tune_options, self.experiment.workplace.jobs
        nets, base = experiment.architectures, experiment.options.recipe()
        search = sum(sum(experiment.estimate(self._runs.requests(net, base))) for net in nets) * tune_options.trials
        search /= min(jobs, self._most_tasks)
        compared = experiment.requests(nets, {net.name: [(base, self._runs.budget)] for net in nets})
        return TuningCost(
            architectures=len(nets),
            epochs=self._runs.epochs,
            images=len(nets) * tune_options.trials * tune_options.seeds * self._runs.epochs * experiment.train_images,
            search_seconds=min(search, tune_options.seconds or search),
            runs=2 * len(compared),
            compare_seconds=2 * sum(experiment.estimate(compared)) / jobs,
            searched=list(dict.fromkeys(name for space in self.spaces.values() for name in space.all)),
            without_knobs=[net.name for net in nets if tune_options.architecture and not net.knobs],
            stored=self._count_stored(),
        )

    def _count_stored(self) -> int:
        """Trials of this tuning that have ended already."""
        experiment = self.experiment
        if experiment.name not in experiment.store.studies.names():
            return 0
        if "tune" not in experiment.store.studies.load(experiment.name, with_details=False).roles.values():
            return 0
        names = {self._trials_name(architecture) for architecture in experiment.architectures}
        with open_storage(experiment.workplace.store_url) as storage:
            return count_ended(storage, names, most=self.tune_options.trials)

    def events(self) -> Generator[Event, None, None]:
        """The search, then the comparison of what it found with the default recipe, then the quiet phase."""
        experiment, spaces = self.experiment, self.spaces  # what cannot be searched is found before anything is stored
        for net in experiment.architectures if "macs" in self.tune_options.objectives else ():
            if lacking := experiment.metadata[net.name].uncounted_products:
                raise UsageError(
                    f"--tune-for accuracy,macs: the MACs of {net.name} leave out {', '.join(lacking)}, so "
                    "that its variations cannot be held against each other by them; choose accuracy,latency."
                )
        yield from experiment.keep_metadata()
        with contextlib.ExitStack() as held:
            for net in experiment.architectures:
                held.enter_context(experiment.store.hold(f"tune-{self._digest(net)}", waiting=self._refuse))
            storage = held.enter_context(open_storage(experiment.workplace.store_url))
            self._runs.start()
            order = find_order(storage, experiment.name)
            searches = [
                Search(net, self._book(storage, net, spaces[net.name], order), self._runs)
                for net in experiment.architectures
            ]
            tuner = Tuner(searches)
            yield TuningStarted(architectures=len(searches), trials=tuner.total, done=tuner.done)
            with contextlib.closing(scheduler.work(tuner, experiment.workplace, most=self._most_tasks)) as work:
                yield from work
            counted = tuner.settle()
            winners = [(one.net_of(trial), trial) for one in searches for trial in read_tuning(one.book.study).winners]
        if counted < self.tune_options.trials:
            yield Note(
                text=f"The search ended after {counted} of {self.tune_options.trials} trials of each architecture."
            )
        yield from self._compare(winners)

    def _compare(self, winners: Sequence[tuple[Architecture, Trial]]) -> Generator[Event, None, None]:
        """Each winner and the default recipe on the same fresh seeds."""
        experiment, options = self.experiment, self.experiment.options
        nets = {net.name: net for net in experiment.architectures}
        for net in nets.values():
            self._runs.require_unchanged(net)
        default = [(options.recipe(), self._runs.budget)]
        requests = experiment.requests(experiment.architectures, dict.fromkeys(nets, default))
        names = {request.id: options.recipe_name for request in requests}
        won = {net.name if net.name in nets else net.variant_of for net, _ in winners}
        self.without_winner += sorted(nets.keys() - won)
        for name in self.without_winner:
            yield Note(text=f"{name}: no trial was complete, so there is no winner to compare.")
        tuned_name = " ".join(["tuned", *options.recipe_name.split()[1:]])  # with what the user set behind it
        for net, trial in winners:
            experiment.add_metadata(net)
            nets[net.name] = net
            tuned = experiment.requests([net], {net.name: [(Recipe.from_json(dict(trial.recipe)), self._runs.budget)]})
            requests += [request for request in tuned if request.id not in names]
            names = {request.id: tuned_name for request in tuned} | names
        comparison = Comparison(
            requests=requests,
            recipe_names=names,
            seed_plan=SeedPlan.fixed(options.seed_plan.seeds),
            margins=options.judged_by(),
        )
        yield from compare(experiment, comparison, list(nets.values()))

    def _book(self, storage: BaseStorage, architecture: Architecture, space: SearchSpace, order: int) -> TrialBook:
        experiment, dataset, file = self.experiment, self.experiment.dataset, architecture.file
        if file is None or file.parent == PROJECT / "architectures":
            shown = ""
        else:  # as `--arch` names a net that is not registered
            shown = str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
        metadata = {
            "study": experiment.name,
            "order": order,
            "architecture": architecture.name,
            "architecture_hash": architecture_hash(architecture),
            "dataset": dataset.name,
            "data_hash": dataset.data_hash,
            "epochs": self._runs.epochs,
            "epoch_images": experiment.train_images,
            "seeds": list(self._runs.seeds),
            "space": space.describe(),
            "default": space.base.to_json(),
            "file": shown,
        }
        return TrialBook(
            storage, self._trials_name(architecture), space=space, tune_options=self.tune_options, metadata=metadata
        )

    def _trials_name(self, architecture: Architecture) -> str:
        where = f"{self.experiment.dataset.name}, {self._runs.budget}"
        return f"{self.experiment.name} / {architecture.name} / {where} / {self._digest(architecture)}"

    def _digest(self, architecture: Architecture) -> str:
        """What makes trials comparable beside their names: code of the net, its counts, data, device, versions."""
        any_recipe = Recipe(batch_size=min(Recipe().batch_size, self.experiment.train_images))
        request, metadata = (
            self._runs.requests(architecture, any_recipe)[0],
            self.experiment.metadata[architecture.name],
        )
        parts = [self.experiment.name, request.cohort, metadata.params, metadata.macs]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]

    def _refuse(self) -> None:
        raise UsageError(
            f"Another program is tuning in {self.experiment.store.place}; wait for it, or name another --study."
        )
