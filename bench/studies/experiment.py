"""One command's work on a study, from its requests to the quiet phase, as a stream of events."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

import torch

from bench.core.errors import RecipeError, UsageError
from bench.core.events import Note, RunFinished
from bench.core.recipe import DEFAULT_EPOCHS, Budget
from bench.core.records import Settings
from bench.execution.profiling.phase import SECONDS_PER_ARCHITECTURE, lacks_timing, run_timings
from bench.execution.profiling.request import TimingRequest
from bench.models.doctor.trial import Trial
from bench.studies import planning
from bench.studies.pictures import portray
from bench.studies.sequential import Stages
from bench.system.device import has_device
from bench.training.loop import ENGINE_VERSION

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from bench.cli.arguments import Arguments
    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.metadata import ArchitectureFacts, DatasetFacts
    from bench.core.recipe import Recipe
    from bench.core.records import RunRecord
    from bench.core.run import Plan, RunRequest, Workplace
    from bench.data.datasets import Sample
    from bench.store.store import Store
    from bench.studies.machine import Hardware


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is trained under one command line.

    Attributes:
        name: Name of the study.
        command: The command line that repeats it.
        arguments: What the user asked for.
        architectures: What is compared, each fit for the dataset.
        sample: Images of the dataset that it is trained on.
        hardware: What trains.
        facts: What was counted of each architecture, by name; variations join as tuning finds them.
        workplace: Where workers find data and leave results.
        store: Where runs are kept.
        begun: The plans of everything that began, in order.
    """

    name: str
    command: str
    arguments: Arguments
    architectures: Sequence[Architecture]
    sample: Sample
    hardware: Hardware
    facts: dict[str, ArchitectureFacts]
    workplace: Workplace
    store: Store
    begun: list[Plan] = dataclasses.field(default_factory=list)

    def training(self, architecture: Architecture) -> list[tuple[Recipe, Budget]]:
        """Recipe and budgets of an architecture under this command line.

        Raises:
            RecipeError: A published recipe is wanted and none is declared.
        """
        arguments, shared_budget = self.arguments, Budget(epochs=DEFAULT_EPOCHS)
        if not arguments.published:
            return [(arguments.recipe(), budget) for budget in arguments.budgets or (shared_budget,)]
        if architecture.recipe is None:
            raise RecipeError(
                f"{architecture.name} declares no published recipe; use --recipe shared, or leave it out."
            )
        recipe = arguments.recipe(architecture.recipe)
        return [(recipe, budget) for budget in arguments.budgets or (architecture.budget or shared_budget,)]

    @functools.cached_property
    def stages(self) -> Stages:
        """What is trained and when it is judged.

        Raises:
            UsageError: There is nothing to decide between.
        """
        seed_plan, settings = self.arguments.seed_plan, self.arguments.settings
        until_decided = len(seed_plan.looks) > 1
        if until_decided and len(self.architectures) < 2:
            raise UsageError(
                f"--seeds {seed_plan}: with one architecture there is nothing to decide; name another "
                "one with --arch, or give a fixed number of seeds."
            )
        if until_decided and settings is None and self.name in self.store.study_names():
            settings = self.store.load_study(self.name, with_details=False).settings
        training = {architecture.name: self.training(architecture) for architecture in self.architectures}
        return Stages(
            requests=self.requests(self.architectures, training),
            seed_plan=seed_plan,
            margin=(settings or Settings()).margin,
            plan=self.plan,
            beside=self._compared,
        )

    def requests(
        self, architectures: Sequence[Architecture], training: Mapping[str, Sequence[tuple[Recipe, Budget]]]
    ) -> list[RunRequest]:
        """The runs to compare, every architecture with every seed."""
        return planning.make_requests(
            architectures,
            training=training,
            dataset=self.dataset,
            seeds=self.arguments.seed_plan.seeds,
            device=self.device,
            instruction_set=self.instruction_set,
        )

    def plan(self, requests: Sequence[RunRequest], recipe_names: Mapping[str, str] | None = None) -> Plan:
        """Divide requests into what is stored and what must be trained.

        Args:
            requests: The runs that are wanted.
            recipe_names: What people call the recipe of a request, by its id; that of the command line where missing.
        """
        names, usual = recipe_names or {}, self.arguments.recipe_name
        return planning.make_plan(
            requests,
            self.store,
            facts=self.facts,
            name_recipe=lambda request: names.get(request.id, usual),
            train_images=self.train_images,
            machine=self.hardware.machine,
            fresh=self.arguments.fresh,
            run_timeout_seconds=self.arguments.run_timeout_seconds,
        )

    def estimate(self, requests: Sequence[RunRequest]) -> list[float]:
        """About how many seconds each run takes on one worker, stored or not."""
        return planning.estimate_seconds(
            requests, self.store, facts=self.facts, train_images=self.train_images, machine=self.hardware.machine
        )

    @property
    def dataset(self) -> DatasetFacts:
        """What is known of the dataset."""
        return self.sample.facts

    @property
    def train_images(self) -> int:
        """Images of an epoch."""
        return self.dataset.pool_images - self.dataset.validation_images

    @property
    def device(self) -> str:
        """Kind of device."""
        return self.hardware.device

    @property
    def instruction_set(self) -> str:
        """What a CPU computes with."""
        return self.hardware.instruction_set

    def add_facts(self, architecture: Architecture) -> ArchitectureFacts:
        """Try and count an architecture that is new to the experiment, and store what was counted.

        Raises:
            ArchitectureError: It cannot be trained.
        """
        if architecture.name not in self.facts:
            self.facts[architecture.name] = Trial().check(architecture, self.sample, device=self.device)
            self._keep(self.facts[architecture.name])
        return self.facts[architecture.name]

    def timing_seconds(self) -> float:
        """About how long the quiet phase will take; 0 when it is not needed."""
        timings = self._timings(self.architectures)
        lacking = self._times and lacks_timing(timings, self.store)
        return SECONDS_PER_ARCHITECTURE * len(timings) if lacking else 0.0

    @property
    def _times(self) -> bool:
        """Whether speed and memory are measured; the quiet phase is this machine's, also when a cluster trains."""
        return self.arguments.timing and has_device(self.device)

    def _timings(self, architectures: Sequence[Architecture]) -> list[TimingRequest]:
        return [
            TimingRequest(
                architecture=architecture,
                device=self.device,
                recipe=self.training(architecture)[0][0],
                initial_hash=self.facts[architecture.name].initial_hash,
                layout=self.facts[architecture.name].proof.layout,
            )
            for architecture in architectures
        ]

    def _compared(self) -> Sequence[RunRecord]:
        """The study's runs so far that are compared."""
        study = self.store.load_study(self.name, with_details=False)
        return [record for record in study.records if study.roles[record.run_id] == "compare"]

    def keep_facts(self) -> list[Note]:
        """Store what is known of the dataset and the architectures before anything of them trains.

        Returns:
            What to say of nets that are no longer what they were, though their source is.
        """
        self.store.add_dataset(self.dataset)
        return [
            Note(
                text=f"{facts.architecture}: its file builds another net than before, though its source is the same (a "
                f"helper, data or the environment changed): {set_aside} run{' is' if set_aside == 1 else 's are'} "
                "superseded, and what is asked for and not stored is trained anew."
            )
            for facts in self.facts.values()
            if (set_aside := self._keep(facts))
        ]

    def _keep(self, facts: ArchitectureFacts) -> int:
        """Store facts; how many runs are superseded because they are of another net of the same source."""
        self.store.add_architecture(facts)
        return self.store.supersede_other_nets(facts, torch_version=torch.__version__, engine_version=ENGINE_VERSION)

    def events(self) -> Generator[Event, None, None]:
        """First the runs and their portraits, then the quiet phase for what was never timed on this machine."""
        yield from self.keep_facts()
        yield from self.compare(self.stages, self.architectures)

    def compare(
        self,
        stages: Stages,
        architectures: Sequence[Architecture],
        recipe_names: Mapping[str, str] | None = None,
    ) -> Generator[Event, None, None]:
        """Train runs to compare, then keep what pictures need, then time what works.

        Args:
            stages: The runs.
            architectures: What they train.
            recipe_names: What people call the recipe of a request, by its id; that of the command line without.
        """
        names = recipe_names or {request.id: self.arguments.recipe_name for request in stages.requests}
        works: set[str] = set()

        def begin(requests: Sequence[RunRequest], plan: Plan) -> None:
            self.store.plan_study(
                self.name,
                command=self.command,
                requests=requests,
                role="compare",
                settings=self.arguments.settings,
                seed_plan=str(stages.seed_plan),
                recipe_names=names,
            )
            works.update(record.architecture for record in plan.reused if record.status == "ok")
            self.begun.append(plan)

        with contextlib.closing(stages.run(self.store, self.workplace, begin)) as runs:
            for event in runs:
                if isinstance(event, RunFinished) and event.record.status == "ok":
                    works.add(event.record.architecture)
                yield event
        yield from portray(stages.requests, facts=self.dataset, workplace=self.workplace, store=self.store)
        if self._times:
            working = [architecture for architecture in architectures if architecture.name in works]
            yield from run_timings(self._timings(working), self.store)
