"""One command's work on tuned architectures: the search, then each winner beside the default recipe on fresh seeds."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import UsageError
from bench.core.events import Note, TuningStarted
from bench.core.recipe import Recipe
from bench.core.records import Settings
from bench.core.seeds import TUNING_SEEDS, SeedPlan
from bench.execution import scheduler
from bench.execution.profiling.phase import time_one_image
from bench.execution.profiling.request import TimingRequest
from bench.models.fingerprint import architecture_hash
from bench.studies.planning import make_requests
from bench.studies.sequential import Stages
from bench.studies.tuning.candidate import Surroundings
from bench.studies.tuning.cost import most_tasks
from bench.studies.tuning.results import count_ended, find_order, read_winners
from bench.studies.tuning.search import Doors, Search, Tuner
from bench.studies.tuning.space import load_space
from bench.studies.tuning.storage import TrialBook, open_storage
from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.recipe import Budget
    from bench.core.run import Plan, RunRequest
    from bench.core.tuning import Trial
    from bench.studies.experiment import Experiment
    from bench.studies.tuning.settings import TuneSettings
    from bench.studies.tuning.space import SearchSpace


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningWork:
    """A tuning of every architecture of an experiment.

    Attributes:
        experiment: What is tuned, on what and where.
        settings: How.
    """

    experiment: Experiment
    settings: TuneSettings
    _without_winner: list[str] = dataclasses.field(default_factory=list, init=False)

    @property
    def budget(self) -> Budget:
        """Of every trial and every run to compare."""
        return self.experiment.training(self.experiment.architectures[0])[0][1]

    @functools.cached_property
    def spaces(self) -> dict[str, SearchSpace]:
        """The search space of each architecture, by its name: the same for all but for knobs of their own.

        Raises:
            UsageError: It cannot be searched.
            RecipeError: It holds what is no recipe.
        """
        return {architecture.name: self._space(architecture) for architecture in self.experiment.architectures}

    def _space(self, architecture: Architecture) -> SearchSpace:
        """One search space, of which every corner can be named and every batch filled."""
        arguments = self.experiment.arguments
        space = load_space(
            self.settings.space,
            base=arguments.recipe(),
            fixed=set(arguments.recipe_changes),
            knobs=self._knobs(architecture),
            declared=architecture.declared_values,
        )
        for corner in itertools.product(*(knob.extremes for knob in space.knobs.values())):
            architecture.varied(dict(zip(space.knobs, corner, strict=True)))
        for batch_size in space.fields["batch_size"].extremes if "batch_size" in space.fields else ():
            self.trial_requests(architecture, dataclasses.replace(space.base, batch_size=batch_size))
        return space

    def _knobs(self, architecture: Architecture) -> dict[str, Any]:
        if not self.settings.architecture:
            return {}
        if not any(net.knobs for net in self.experiment.architectures):
            raise UsageError(
                f"--tune-architecture: {architecture.name} declares no knobs; leave it out to tune the recipe alone."
            )
        return dict(architecture.knobs)

    def trial_requests(self, architecture: Architecture, recipe: Recipe) -> list[RunRequest]:
        """The runs of a trial, which never look at the test set.

        Raises:
            RecipeError: A batch holds more images than there are to train on.
        """
        return make_requests(
            [architecture],
            training={architecture.name: [(recipe, self.budget)]},
            dataset=self.experiment.dataset,
            seeds=range(TUNING_SEEDS, TUNING_SEEDS + self.settings.seeds),
            device=self.experiment.device,
            instruction_set=self.experiment.instruction_set,
            protocol="validation",
        )

    def stored_trials(self) -> int:
        """Trials of this tuning that have ended already."""
        experiment = self.experiment
        if experiment.name not in experiment.store.study_names():
            return 0
        study = experiment.store.load_study(experiment.name, with_details=False)
        if "tune" not in study.roles.values():
            return 0
        names = {self._trials_name(architecture) for architecture in experiment.architectures}
        with open_storage(experiment.workplace.store_url) as storage:
            return count_ended(storage, names, most=self.settings.trials)

    def events(self) -> Generator[Event, None, None]:
        """The search, then the comparison of what it found with the default recipe, then the quiet phase."""
        experiment = self.experiment
        spaces = self.spaces  # what cannot be searched is found before anything is stored
        self._require_counted()
        yield from experiment.keep_facts()
        with contextlib.ExitStack() as held:
            for architecture in experiment.architectures:
                held.enter_context(experiment.store.hold(f"tune-{self._digest(architecture)}", waiting=self._refuse))
            storage, ends = held.enter_context(open_storage(experiment.workplace.store_url)), self._ends()
            order = find_order(storage, experiment.name)
            searches = [
                self._search(architecture, self._book(storage, architecture, spaces[architecture.name], order), ends)
                for architecture in experiment.architectures
            ]
            tuner = Tuner(searches)
            yield TuningStarted(architectures=len(searches), trials=tuner.total, done=tuner.done)
            with contextlib.closing(scheduler.work(tuner, experiment.workplace, most=most_tasks(self))) as work:
                yield from work
            counted = tuner.settle()
            winners = [(search.net_of(trial), trial) for search in searches for trial in read_winners(search.book)]
        if counted < self.settings.trials:
            yield Note(text=f"The search ended after {counted} of {self.settings.trials} trials of each architecture.")
        yield from self._compare(winners)

    def all_won(self) -> bool:
        """Whether every architecture came to a winner; to be asked when the events are over."""
        return not self._without_winner

    def _compare(self, winners: Sequence[tuple[Architecture, Trial]]) -> Generator[Event, None, None]:
        """Each winner and the default recipe on the same fresh seeds."""
        for net in self.experiment.architectures:
            self._require_unchanged(net)
        experiment, default = self.experiment, self.experiment.arguments.recipe()
        own = experiment.architectures
        requests = experiment.requests(own, {net.name: [(default, self.budget)] for net in own})
        names = {request.id: experiment.arguments.recipe_name for request in requests}
        nets = {net.name: net for net in own}
        won = {net.name if net.name in nets else net.variant_of for net, _ in winners}
        for name in sorted(nets.keys() - won):
            self._without_winner.append(name)
            yield Note(text=f"{name}: no trial was complete, so there is no winner to compare.")
        for net, trial in winners:
            experiment.add_facts(net)
            nets[net.name] = net
            recipe = Recipe.from_json(dict(trial.recipe))
            found = experiment.requests([net], {net.name: [(recipe, self.budget)]})
            requests += [request for request in found if request.id not in names]
            names = {request.id: self._tuned_name for request in found} | names
        stages = Stages(
            requests=requests,
            seed_plan=SeedPlan.fixed(experiment.arguments.seed_plan.seeds),
            margin=(experiment.arguments.settings or Settings()).margin,
            plan=functools.partial(experiment.plan, recipe_names=names),
        )
        yield from experiment.compare(stages, list(nets.values()), names)

    @property
    def _tuned_name(self) -> str:
        """`tuned`, with what the user set behind it."""
        return " ".join(["tuned", *self.experiment.arguments.recipe_name.split()[1:]])

    def _book(self, storage: Any, architecture: Architecture, space: SearchSpace, order: int) -> TrialBook:
        experiment, epochs = self.experiment, self.budget.epochs
        return TrialBook(
            storage,
            self._trials_name(architecture),
            space=space,
            settings=self.settings,
            facts={
                "study": experiment.name,
                "order": order,
                "architecture": architecture.name,
                "architecture_hash": architecture_hash(architecture),
                "dataset": experiment.dataset.name,
                "data_hash": experiment.dataset.data_hash,
                "epochs": epochs,
                "epoch_images": experiment.train_images,
                "seeds": list(range(TUNING_SEEDS, TUNING_SEEDS + self.settings.seeds)),
                "space": space.describe(),
                "default": space.base.to_json(),
                "file": self._file(architecture),
            },
        )

    def _trials_name(self, architecture: Architecture) -> str:
        where = f"{self.experiment.dataset.name}, {self.budget}"
        return f"{self.experiment.name} / {architecture.name} / {where} / {self._digest(architecture)}"

    def _file(self, architecture: Architecture) -> str:
        """How `--arch` names a net that is not registered; nothing for one that is."""
        file = architecture.file
        if file is None or file.parent == PROJECT / "architectures":
            return ""
        return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)

    def _digest(self, architecture: Architecture) -> str:
        """What makes trials comparable beside their names: code of the net, its counts, data, device, versions."""
        request, facts = self.trial_requests(architecture, Recipe())[0], self.experiment.facts[architecture.name]
        parts = [self.experiment.name, request.cohort, facts.params, facts.macs]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]

    def _search(self, architecture: Architecture, book: TrialBook, ends: float | None) -> Search:
        experiment, epochs = self.experiment, self.budget.epochs or 0
        around = Surroundings(
            epochs=epochs,
            rungs=book.rungs(epochs),
            train_images=experiment.train_images,
            results=experiment.workplace.results,
            plan=self._plan_trial,
            curve=experiment.store.curve,
            prunes=book.prunes,
        )
        doors = Doors(
            check=experiment.add_facts,
            request=self._begin_trial,
            latency=self._latency,
            may_ask=lambda: ends is None or time.monotonic() < ends,
        )
        return Search(architecture, book, around, doors)

    def _plan_trial(self, requests: Sequence[RunRequest]) -> Plan:
        return self.experiment.plan(requests, dict.fromkeys((request.id for request in requests), "trial"))

    def _require_unchanged(self, architecture: Architecture) -> None:
        """Raises UsageError when a net's file was edited since the work began: it would be stored as what it is not."""
        known = self.experiment.facts.get(architecture.name)
        if known is not None and known.architecture_hash != architecture_hash(architecture):
            raise UsageError(
                f"The file of '{architecture.name}' was edited while the search ran; run the command again: the net as "
                "it is now is tuned anew."
            )

    def _require_counted(self) -> None:
        """Raises UsageError when nets are tuned for MACs that cannot be counted."""
        for architecture in self.experiment.architectures if "macs" in self.settings.objectives else ():
            if lacking := self.experiment.facts[architecture.name].uncounted_products:
                raise UsageError(
                    f"--tune-for accuracy,macs: the MACs of {architecture.name} leave out {', '.join(lacking)}, so "
                    "that its variations cannot be held against each other by them; choose accuracy,latency."
                )

    def _begin_trial(self, architecture: Architecture, recipe: Recipe) -> list[RunRequest]:
        self._require_unchanged(architecture)
        requests = self.trial_requests(architecture, recipe)
        self.experiment.store.plan_study(
            self.experiment.name, command=self.experiment.command, requests=requests, role="tune"
        )
        return requests

    def _latency(self, architecture: Architecture) -> float:
        device, recipe = self.experiment.device, self.experiment.arguments.recipe()
        return time_one_image(TimingRequest(architecture=architecture, device=device, recipe=recipe))

    def _ends(self) -> float | None:
        seconds = self.settings.seconds
        return None if seconds is None else time.monotonic() + seconds

    def _refuse(self) -> None:
        raise UsageError(
            f"Another program is tuning in {self.experiment.store.place}; wait for it, or name another --study."
        )
