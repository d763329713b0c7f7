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
from bench.execution.profiling.speed import TimingRequest
from bench.models.fingerprint import architecture_hash
from bench.studies.planning import make_requests
from bench.studies.sequential import Comparison, compare
from bench.studies.tuning.results import count_ended, find_order, read_winners
from bench.studies.tuning.search import Search, Tuner
from bench.studies.tuning.space import SHARED_SPACE, load_space
from bench.studies.tuning.storage import AHEAD, TrialBook, open_storage
from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.metadata import ArchitectureFacts
    from bench.core.options import TuneOptions
    from bench.core.recipe import Budget
    from bench.core.records import CurvePoint
    from bench.core.run import Plan, RunRequest
    from bench.core.tuning import Trial
    from bench.studies.experiment import Experiment
    from bench.studies.tuning.space import SearchSpace


@dataclasses.dataclass(kw_only=True)
class TuningWork:
    """A tuning of every architecture of an experiment.

    Attributes:
        experiment: What is tuned, on what and where.
        settings: How.
        epochs: Epochs of a whole trial.
        train_images: Images of the training part.
        results: The results directory.
    """

    experiment: Experiment
    settings: TuneOptions
    epochs: int = dataclasses.field(init=False)
    train_images: int = dataclasses.field(init=False)
    results: Path = dataclasses.field(init=False)
    _without_winner: list[str] = dataclasses.field(default_factory=list, init=False)
    _ends: float | None = dataclasses.field(default=None, init=False)

    def __post_init__(self) -> None:
        self.epochs, self.train_images = self.budget.epochs or 0, self.experiment.train_images
        self.results = self.experiment.workplace.results

    @property
    def budget(self) -> Budget:
        """Of every trial and every run to compare."""
        return self.experiment.training(self.experiment.architectures[0])[0][1]

    @property
    def most_tasks(self) -> int:
        """Runs that can train at once while searching."""
        return AHEAD * len(self.experiment.architectures) * self.settings.seeds

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
        options = self.experiment.options
        space = load_space(
            self.settings.space or SHARED_SPACE,
            base=options.recipe(),
            fixed=set(options.recipe_changes),
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
        if experiment.name not in experiment.store.studies.names():
            return 0
        study = experiment.store.studies.load(experiment.name, with_details=False)
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
            storage = held.enter_context(open_storage(experiment.workplace.store_url))
            self._ends = None if self.settings.seconds is None else time.monotonic() + self.settings.seconds
            order = find_order(storage, experiment.name)
            searches = [
                Search(architecture, self._book(storage, architecture, spaces[architecture.name], order), self)
                for architecture in experiment.architectures
            ]
            tuner = Tuner(searches)
            yield TuningStarted(architectures=len(searches), trials=tuner.total, done=tuner.done)
            with contextlib.closing(scheduler.work(tuner, experiment.workplace, most=self.most_tasks)) as work:
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
        experiment, default = self.experiment, self.experiment.options.recipe()
        own = experiment.architectures
        requests = experiment.requests(own, {net.name: [(default, self.budget)] for net in own})
        names = {request.id: experiment.options.recipe_name for request in requests}
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
        comparison = Comparison(
            requests=requests,
            recipe_names=names,
            seed_plan=SeedPlan.fixed(experiment.options.seed_plan.seeds),
            margin=(experiment.options.margins or Settings()).margin,
        )
        yield from compare(experiment, comparison, list(nets.values()))

    @property
    def _tuned_name(self) -> str:
        """`tuned`, with what the user set behind it."""
        return " ".join(["tuned", *self.experiment.options.recipe_name.split()[1:]])

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

    def plan_trial(self, requests: Sequence[RunRequest]) -> Plan:
        """Divide requests into what is stored and what must be trained."""
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

    def begin_trial(self, architecture: Architecture, recipe: Recipe) -> list[RunRequest]:
        """The runs of a trial, linked to the study."""
        self._require_unchanged(architecture)
        requests = self.trial_requests(architecture, recipe)
        self.experiment.store.studies.plan(
            self.experiment.name, command=self.experiment.options.command, requests=requests, role="tune"
        )
        return requests

    def latency(self, architecture: Architecture) -> float:
        """Seconds for one image, measured while nothing trains."""
        device, recipe = self.experiment.device, self.experiment.options.recipe()
        return time_one_image(TimingRequest(architecture=architecture, device=device, recipe=recipe))

    def check(self, architecture: Architecture) -> ArchitectureFacts:
        """Try and count a net before it is trained; raises ArchitectureError."""
        return self.experiment.add_facts(architecture)

    def curve(self, run_id: str) -> Sequence[CurvePoint]:
        """The stored curve of a run."""
        return self.experiment.store.runs.curve(run_id)

    def may_ask(self) -> bool:
        """Whether another trial may begin."""
        return self._ends is None or time.monotonic() < self._ends

    def _refuse(self) -> None:
        raise UsageError(
            f"Another program is tuning in {self.experiment.store.place}; wait for it, or name another --study."
        )
