"""What the engine may be asked: how to train and compare, how to tune, how to check. Knows no command line."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.core.errors import UnknownNameError, UsageError
from bench.core.reading import ReadingOptions
from bench.core.recipe import Recipe, spell
from bench.core.records import Margins
from bench.core.seeds import MOST_TUNING_SEEDS, SeedPlan
from bench.core.work.tuning import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.core.recipe import Budget

DEVICES = ("auto", "cpu", "cuda", "mps")
ENGINES = ("auto", "torch", "lanes")
SAMPLERS = {"tpe": "TPE", "random": "random search"}
PRUNERS = {"halving": "successive halving", "none": "none"}

DEFAULT_DROP = 0.2
"""Percentage points: what a user of the gate usually wants caught."""
REFERENCE_RUNS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What is compared, how it is trained and judged, and where.

    Attributes:
        results: The results directory.
        store_url: SQLAlchemy URL of the results database.
        data_dir: Where datasets lie.
        study: Name of the study, or None for the last one run.
        command: The command line that repeats it.
        patterns: Architectures by name, glob or file; empty for all that are registered.
        variants: Whether all takes variants too.
        dataset: Name of the dataset, "auto", or the path of images of one's own.
        reading: How images of one's own are read.
        seed_plan: Seeds of the runs, and when they are judged.
        budgets: The shared budgets, one or several; empty for the default.
        published: Whether each source's own recipe and budget are used.
        recipe_changes: Fields of the recipe that are not as its base has them.
        margin_changes: Fields of `bench.core.records.Margins` that are asked for; the others are as the study was
            judged before, else the default.
        device: "auto", "cpu", "cuda" or "mps".
        engine: "auto", "torch" or "lanes", the suite's own kernels; auto takes these where they can be had.
        cluster: Address of a Dask scheduler whose workers train; None for this machine.
        jobs: Runs at once; None for one a core, or one a worker of the cluster.
        run_timeout_seconds: When one try at a run counts as hung; None for the default.
        fresh: Whether what is stored is trained again.
        timing: Whether speed and memory are measured after training.
        time_again: Whether that is done although it was done before.
        plan_only: Whether nothing is done: what would be is said.
        shows_output: Whether what nets print while they train is shown.
        doctor: Whether nets are examined before they train, and those with an error are not trained.

    Raises:
        UsageError: A number is out of range.
        UnknownNameError: A recipe has no such field, or there is no such kind of device, engine or metric.
    """

    results: Path
    store_url: str = dataclasses.field(repr=False)  # it may hold a password
    data_dir: Path
    study: str | None = None
    command: str = ""
    patterns: tuple[str, ...] = ()
    variants: bool = False
    dataset: str = "auto"
    reading: ReadingOptions = dataclasses.field(default_factory=ReadingOptions)
    seed_plan: SeedPlan = dataclasses.field(default_factory=lambda: SeedPlan.parse("6"))
    budgets: tuple[Budget, ...] = ()
    published: bool = False
    recipe_changes: Mapping[str, object] = dataclasses.field(default_factory=dict)
    margin_changes: Mapping[str, float | str] = dataclasses.field(default_factory=dict)
    device: str = "auto"
    engine: str = "auto"
    cluster: str | None = None
    jobs: int | None = None
    run_timeout_seconds: float | None = None
    fresh: bool = False
    timing: bool = True
    time_again: bool = False
    plan_only: bool = False
    shows_output: bool = False
    doctor: bool = True

    def __post_init__(self) -> None:
        if self.jobs is not None and not 1 <= self.jobs <= 1_024:
            raise UsageError(f"jobs {self.jobs}: from 1 to 1,024 runs can train at once.")
        if not 0 < (margin := self.judged_by().margin) <= 0.5:
            raise UsageError(f"margin {margin:g}: a share of accuracy above 0 is needed, 0.5 at most.")
        for kind, name, known in (("device", self.device, DEVICES), ("engine", self.engine, ENGINES)):
            if name not in known:
                raise UnknownNameError(kind, name, known)
        fields = [field.name for field in dataclasses.fields(Recipe)]
        for name in self.recipe_changes:
            if name not in fields:
                raise UnknownNameError("field of a recipe", name, fields)

    def judged_by(self, before: Margins | None = None) -> Margins:
        """How results are judged: of a study that was judged by these margins before, or of a new one."""
        return dataclasses.replace(before or Margins(), **self.margin_changes)  # type: ignore[arg-type]

    def recipe(self, base: Recipe | None = None) -> Recipe:
        """The base recipe (the shared one by default) with the changes."""
        return dataclasses.replace(base or Recipe(), **self.recipe_changes)  # type: ignore[arg-type]

    @property
    def recipe_name(self) -> str:
        """What people call the recipe: its base, and what was changed."""
        changes = [f"{name}={spell(value)}" for name, value in self.recipe_changes.items()]
        return " ".join(["published" if self.published else "shared", *changes])


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """How to tune; the same for every architecture.

    Attributes:
        trials: Trials of each architecture, in all.
        seeds: Seeds that every trial trains.
        objectives: From `OBJECTIVES`, "accuracy" first.
        sampler: One of `SAMPLERS`.
        pruner: One of `PRUNERS`; "none" with several objectives.
        seconds: After how many seconds no further trial begins; None for no bound.
        space: File of the search space; None for the shared one.
        architecture: Whether the knobs of the architecture are searched too.

    Raises:
        UsageError: A value cannot be used, or two contradict each other.
    """

    trials: int = 20
    seeds: int = 1
    objectives: tuple[str, ...] = ("accuracy",)
    sampler: str = "tpe"
    pruner: str = "halving"
    seconds: float | None = None
    space: Path | None = None
    architecture: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.trials <= 100_000:
            raise UsageError(f"--trials {self.trials}: from 1 to 100,000 trials of each architecture.")
        if not 1 <= self.seeds <= MOST_TUNING_SEEDS:
            raise UsageError(f"--tune-seeds {self.seeds}: from 1 to {MOST_TUNING_SEEDS:,} seeds of each trial.")
        if self.seconds is not None and not 0 < self.seconds < 1e9:
            raise UsageError(f"--tune-seconds {self.seconds:g}: seconds above 0 are needed.")
        for kind, name, known in (
            ("sampler", self.sampler, SAMPLERS),
            ("pruner", self.pruner, PRUNERS),
            *(("objective", objective, OBJECTIVES) for objective in self.objectives),
        ):
            if name not in known:
                raise UnknownNameError(kind, name, known)
        shown = ",".join(self.objectives)
        if self.objectives[0] != "accuracy" or len(set(self.objectives)) < len(self.objectives):
            raise UsageError(f"--tune-for {shown}: accuracy first, then macs or latency, each once.")
        if len(self.objectives) > 2:
            raise UsageError(f"--tune-for {shown}: two objectives at most; leave macs or latency out.")
        if len(self.objectives) > 1 and not self.architecture:
            raise UsageError(f"--tune-for {shown}: a recipe changes neither MACs nor latency; add --tune-architecture.")

    @property
    def prunes(self) -> bool:
        """Whether trials may be cut short; Optuna cannot with several objectives."""
        return self.pruner != "none" and len(self.objectives) == 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClaimOptions:
    """Which claims are run again.

    Attributes:
        ids: Of claims, or of parts of them; empty for all.
        file: What declares them; None for those of the source projects.
        bounded: Whether only claims whose further seeds take little time get some where they stay undecided.
    """

    ids: tuple[str, ...] = ()
    file: Path | None = None
    bounded: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateOptions:
    """How to check, or what to record.

    Attributes:
        file: The thresholds file.
        drop: The drop of validation accuracy that the user wants caught, a fraction.
        runs: Reference runs of each architecture to record.
        force: Record although tracked files differ from the commit.
        every: Whether every registered architecture is taken, also those that the file does not name.
    """

    file: Path
    drop: float = DEFAULT_DROP / 100
    runs: int = REFERENCE_RUNS
    force: bool = False
    every: bool = False
