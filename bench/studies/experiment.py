"""What one command trains: its runs, their plan, and what is known of its nets, with a store that is open."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bench.core.errors import DataError, NoStoreError, RecipeError, UsageError
from bench.core.events import Note
from bench.core.recipe import default_budget, join_own
from bench.core.run import Workplace
from bench.execution.profiling.phase import estimate_timings, lacks_timing, run_timings
from bench.execution.profiling.speed import TimingRequest
from bench.models.doctor.trial import Trial
from bench.store.store import open_store
from bench.studies import planning
from bench.studies.load import keep_verdicts
from bench.system.device import has_device
from bench.system.files import check_could_be_made, make_results_folder
from bench.system.text import first_ones, listing
from bench.system.urls import read_url
from bench.training.loop import ENGINE_VERSION

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.metadata import ArchitectureMetadata, DatasetMetadata, Diagnosis
    from bench.core.options import StudyOptions
    from bench.core.recipe import Budget, Recipe
    from bench.core.run import Plan, RunRequest
    from bench.data.datasets import Sample
    from bench.store.store import Store
    from bench.studies.choosing import Fitted
    from bench.studies.machine import Hardware


@dataclasses.dataclass(kw_only=True)
class Experiment:
    """What is trained under one command, and what has begun of it.

    Attributes:
        name: Name of the study.
        options: How it is trained and judged.
        architectures: What is compared, each fit for the dataset.
        sample: Images of the dataset.
        hardware: What trains.
        metadata: What was counted of each architecture, by name; variations join as tuning finds them.
        workplace: Where workers find data and leave results.
        store: Where runs are kept.
        begun: The plans of everything that began, in order.
        diagnoses: What the doctor found in these architectures, and in those that are not trained for it.
    """

    name: str
    options: StudyOptions
    architectures: Sequence[Architecture]
    sample: Sample
    hardware: Hardware
    metadata: dict[str, ArchitectureMetadata]
    workplace: Workplace
    store: Store
    begun: list[Plan] = dataclasses.field(default_factory=list)
    diagnoses: Sequence[Diagnosis] = ()

    def training(self, architecture: Architecture) -> list[tuple[Recipe, Budget]]:
        """Recipe and budgets of an architecture under these options.

        Raises:
            RecipeError: A published recipe is wanted and none is declared.
        """
        options, shared_budget = self.options, default_budget(self.train_images)
        if not options.published:
            recipe = _with_own(options.recipe(), architecture)
            return [(recipe, budget) for budget in options.budgets or (shared_budget,)]
        if architecture.recipe is None:
            raise RecipeError(
                f"{architecture.name} declares no published recipe; use --recipe shared, or leave it out."
            )
        recipe = _with_own(options.recipe(architecture.recipe), architecture)
        return [(recipe, budget) for budget in options.budgets or (architecture.budget or shared_budget,)]

    def recipe_name(self, architecture: Architecture) -> str:
        """What people call the recipe of an architecture."""
        return join_own(self.options.recipe_name, architecture.recipe_changes)

    def refuse_own_recipes(self, beside: str) -> None:
        """Raises UsageError where a net has changes of its own to the recipe, which cannot be beside an action."""
        if own := next((net.name for net in self.architectures if net.recipe_changes), None):
            raise UsageError(f"--arch '{own}' beside {beside}: it has one recipe for all nets; leave the recipe's out.")

    def requests(
        self,
        architectures: Sequence[Architecture],
        training: Mapping[str, Sequence[tuple[Recipe, Budget]]],
        *,
        seeds: Sequence[int] | None = None,
        protocol: str = "select",
        split_seed: int | None = None,
    ) -> list[RunRequest]:
        """The runs to compare, or others; for the arguments see `bench.studies.planning.make_requests`."""
        return planning.make_requests(
            architectures,
            training=training,
            dataset=self.dataset,
            seeds=self.options.seed_plan.seeds if seeds is None else seeds,
            hardware=self.hardware,
            protocol=protocol,
            split_seed=split_seed,
        )

    def plan(self, requests: Sequence[RunRequest], recipe_names: Mapping[str, str] | None = None) -> Plan:
        """Divide requests into what is stored and what must be trained; recipes have their names by request id."""
        names = recipe_names or {}
        return planning.make_plan(
            requests,
            self.store,
            metadata=self.metadata,
            name_recipe=lambda request: names.get(request.id) or self.recipe_name(request.architecture),
            train_images=self._epoch_images(requests),
            machine=self.hardware.machine,
            fresh=self.options.fresh,
            run_timeout_seconds=self.options.run_timeout_seconds,
        )

    def estimate(self, requests: Sequence[RunRequest]) -> list[float]:
        """About how many seconds each run takes on one worker, stored or not."""
        speeds = self.store.runs.training_speeds(self.hardware.machine, device=self.device, engine=self.engine)
        known, images = self.metadata, self._epoch_images(requests)
        return [
            planning.estimate_seconds(r, known[r.architecture.name], speeds=speeds, train_images=images)
            for r in requests
        ]

    def _epoch_images(self, requests: Sequence[RunRequest]) -> int:
        """Images of an epoch of these runs; of unlike protocols the most, for an estimate."""
        found = {planning.epoch_images(self.dataset, request.protocol) for request in requests}
        return max(found, default=self.train_images)

    @property
    def dataset(self) -> DatasetMetadata:
        """What is known of the dataset."""
        return self.sample.metadata

    @property
    def train_images(self) -> int:
        """Images of an epoch."""
        return self.dataset.pool_images - self.dataset.validation_images

    @property
    def device(self) -> str:
        """Kind of device."""
        return self.hardware.device

    @property
    def engine(self) -> str:
        """What trains, "torch" or "lanes"."""
        return self.hardware.engine

    def add_metadata(self, architecture: Architecture) -> ArchitectureMetadata:
        """Try and count an architecture that is new to the experiment, and store what was counted.

        Raises:
            ArchitectureError: It cannot be trained.
        """
        if architecture.name not in self.metadata:
            self.metadata[architecture.name] = Trial().check(
                architecture, self.sample, device=self.device, engine=self.engine
            )
            self._keep(self.metadata[architecture.name])
        return self.metadata[architecture.name]

    def timing_seconds(self) -> float:
        """About how long the quiet phase will take; 0 when it is not needed."""
        return self._timing_estimate(self.architectures) if self._wants_timing(self.architectures) else 0.0

    def _timing_estimate(self, architectures: Sequence[Architecture]) -> float:
        return estimate_timings(self.metadata[architecture.name].macs for architecture in architectures)

    def _wants_timing(self, architectures: Sequence[Architecture]) -> bool:
        """Whether speed and memory are to be measured now: where they are missing, or asked for again."""
        if not (self._times and architectures):
            return False
        return self.options.time_again or lacks_timing(self._timings(architectures), self.store)

    @property
    def _times(self) -> bool:
        """Whether speed and memory are measured; the quiet phase is this machine's, also when a cluster trains."""
        return self.options.timing and has_device(self.device)

    def _timings(self, architectures: Sequence[Architecture]) -> list[TimingRequest]:
        return [
            TimingRequest(
                architecture=architecture,
                device=self.device,
                recipe=self.training(architecture)[0][0],
                initial_hash=self.metadata[architecture.name].initial_hash,
                layout=self.metadata[architecture.name].proof.layout,
            )
            for architecture in architectures
        ]

    def keep_metadata(self) -> list[Note]:
        """Store what is known of the dataset and the architectures, and what the doctor found, before anything trains.

        Returns:
            What to say of nets that are no longer what they were, though their source is.

        Raises:
            DataError: The store has the same images in classes that are called otherwise.
        """
        self._keep_dataset()
        if self.diagnoses:
            self.store.studies.add_diagnoses(self.name, self.diagnoses, command=self.options.command)
        return [
            Note(
                text=f"{metadata.architecture}: its file builds another net than before, though its source is the same "
                f"(a helper, data or the environment changed): {set_aside} run{' is' if set_aside == 1 else 's are'} "
                "superseded, and what is asked for and not stored is trained anew."
            )
            for metadata in self.metadata.values()
            if (set_aside := self._keep(metadata))
        ]

    def events_without_nets(self) -> Generator[Event, None, None]:
        """What is left to do where the doctor leaves no net: to store what it found."""
        yield from self.keep_metadata()

    def _keep_dataset(self) -> None:
        """Store what is known of the dataset, but let no class of an earlier report be called otherwise."""
        known = self.store.artifacts.datasets([self.dataset.data_hash]).get(self.dataset.data_hash)
        if known is not None and known.classes != self.dataset.classes:
            before, now = (listing(first_ones([*each.classes])) for each in (known, self.dataset))
            raise DataError(
                f"'{self.dataset.name}' has the very images of '{known.name}', whose classes are called {before}, not "
                f"{now}; call them alike, or name another --results."
            )
        self.store.artifacts.add_dataset(self.dataset)

    def _keep(self, metadata: ArchitectureMetadata) -> int:
        """Store metadata; how many runs are superseded because they are of another net of the same source."""
        self.store.artifacts.add_architecture(metadata)
        return self.store.runs.supersede_other_nets(
            metadata, torch_version=torch.__version__, engine_version=ENGINE_VERSION
        )

    def remember_verdicts(self, requests: Sequence[RunRequest], seed_plan: str) -> None:
        """Keep the verdicts that the study shows, where what is about to begin changes what is judged."""
        studies, options = self.store.studies, self.options
        if self.name not in studies.names():
            return
        study = studies.load(self.name, with_details=False)
        compared = {run.request_id for run in study.records if study.roles[run.run_id] == "compare"}
        known = {text for texts in study.seed_plans.values() for text in texts}
        same = not self.plan(requests).tasks and compared.issuperset(request.id for request in requests)
        if same and seed_plan in known and options.judged_by(study.margins) == study.margins:
            return
        keep_verdicts(self.store, study)

    def begin(self, requests: Sequence[RunRequest], *, role: str, names: Mapping[str, str], **study: Any) -> Plan:
        """Plan runs and make them part of the study, before anything of them trains; see `store.studies.plan`."""
        plan = self.plan(requests, names)
        self.store.studies.plan(
            self.name, command=self.options.command, requests=requests, role=role, recipe_names=names, **study
        )
        self.begun.append(plan)
        return plan

    def time(self, architectures: Sequence[Architecture]) -> Generator[Event, None, None]:
        """The quiet phase, for what was never timed on this machine or is to be timed again."""
        if self._wants_timing(architectures):
            estimate = self._timing_estimate(architectures)
            yield from run_timings(self._timings(architectures), self.store, estimate_seconds=estimate)


def _with_own(recipe: Recipe, architecture: Architecture) -> Recipe:
    """A recipe with an architecture's own changes to it."""
    own = dict(architecture.recipe_changes)
    try:
        changed = dataclasses.replace(recipe, **own)
    except RecipeError as error:
        raise RecipeError(f"--arch '{architecture.name}': {error}") from error
    needs = {"momentum": ("optimizer", "sgd"), "plateau_patience": ("schedule", "plateau")}
    for name, (field, value) in needs.items():
        if name in own and (has := getattr(changed, field)) != value:
            text = f"--arch '{architecture.name}': {name} does nothing for {has}; add {field}={value} to it."
            raise RecipeError(text)
    return changed


@contextlib.contextmanager
def open_experiment(
    options: StudyOptions,
    fitted: Fitted,
    *,
    sample: Sample,
    hardware: Hardware,
    is_gate: bool = False,
) -> Iterator[Experiment]:
    """What is trained, with a store that is open as long as the context; a study without a name may be the gate's.

    Raises:
        BenchError: The results directory or the store cannot be used, or a worker of a cluster cannot reach them.
    """
    (check_could_be_made if options.plan_only else make_results_folder)(options.results)
    url = read_url(options.store_url)
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=str(Path(url.database).resolve()))
    workplace = Workplace(  # with whole paths: workers may run in other folders, and nets may change theirs
        results=options.results.resolve(),
        store_url=url.render_as_string(hide_password=False),
        data_dir=options.data_dir.absolute() if options.data_dir.exists() else options.data_dir,
        jobs=hardware.jobs,
        cluster=hardware.cluster,
        shows_output=options.shows_output,
    )
    if hardware.cluster is not None:
        options = dataclasses.replace(options, results=workplace.results, store_url=workplace.store_url)
    with _open_for(options) as store:
        if hardware.cluster is not None and not options.plan_only:
            from bench.execution.cluster.survey import check_workers  # noqa: PLC0415 - Dask takes half a second

            check_workers(hardware.cluster, workplace, fitted.nets)
        usual = "gate" if is_gate else store.studies.last(compares=True) or "main"
        experiment = Experiment(
            name=options.study or usual,
            options=options,
            architectures=fitted.nets,
            sample=sample,
            hardware=hardware,
            metadata=dict(fitted.metadata),
            workplace=workplace,
            store=store,
            diagnoses=fitted.diagnoses,
        )
        if is_gate:
            experiment.refuse_own_recipes("the gate")
        yield experiment


def _open_for(options: StudyOptions) -> Store:
    """The store to train with. A plan where there is none is made in memory: planning leaves nothing behind."""
    if not options.plan_only:
        return open_store(options.store_url, whole=True)
    try:
        return open_store(options.store_url, create=False, whole=True)
    except NoStoreError:
        url = read_url(options.store_url)
        if url.get_backend_name() == "sqlite" and url.database:
            check_could_be_made(Path(url.database).parent)
        return open_store("sqlite://")
