"""Runs as wanted (`RunRequest`), planned (`Plan`) and handed to a worker (`Task`); where it works, and its files."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.core.errors import UsageError
from bench.core.metadata import Proof
from bench.core.records import TableKey
from bench.core.work.claims.claim import AS_CLAIMED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.core.architecture import Architecture
    from bench.core.recipe import Budget, Recipe

PROTOCOLS = ("select", "validation", AS_CLAIMED)
"""Who may look at what."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRequest:
    """One run that is wanted: everything that decides its numbers, and nothing else.

    Under the protocol "select" a run sees train and validation images only and takes one look at the test set at its
    end, under "validation" none at all. Under "as_claimed" it trains on the whole pool and looks at the test set as its
    source did: what comes of it is selected on test and never ranked.
    """

    architecture: Architecture
    architecture_hash: str  # of its source and of what that imports from its project (`bench.models.fingerprint`)
    recipe: Recipe
    budget: Budget
    dataset: str
    data_hash: str  # of images and labels
    protocol: str = "select"
    seed: int  # of the five random streams
    split_seed: int  # of the split into training and validation images; the run's own unless given
    device: str  # kind of device: "cpu", "cuda" or "mps"
    torch_version: str
    engine_version: int  # of the training engine (`bench.training.loop.ENGINE_VERSION`)
    instruction_set: str = ""  # of a CPU (`bench.system.device`), which changes bits; empty where it is not known
    engine: str = "torch"  # that trains, or "lanes", the suite's own kernels
    kernels_version: int = 0  # of those kernels (`bench.models.rewriting.kernels.library.VERSION`); 0 where none train

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise UsageError(f"Protocol '{self.protocol}' is none of {', '.join(PROTOCOLS)}.")
        if self.seed < 0 or self.split_seed < 0:
            raise UsageError(f"Seed {min(self.seed, self.split_seed)} is negative; seeds count from 0.")

    @functools.cached_property
    def id(self) -> str:
        """Content hash of all that decides the numbers: 16 hexadecimal digits."""
        return _digest(self._identity() | {"seed": self.seed, "split_seed": self.split_seed})

    @functools.cached_property
    def cohort(self) -> str:
        """Content hash of all but the seeds: runs that share it differ only in seed."""
        return _digest(self._identity())

    def table(self, recipe_name: str) -> TableKey:
        """What it shares with the runs that stand in one table with it, under what people call its recipe."""
        return TableKey.of(self, recipe_name=recipe_name, recipe=self.recipe.to_json(), budget=vars(self.budget))

    def _identity(self) -> dict[str, Any]:
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del fields["seed"], fields["split_seed"]
        if not self.instruction_set:
            del fields["instruction_set"]
        if self.engine == "torch":  # as it was before there was another: stored results stay valid
            del fields["engine"], fields["kernels_version"]
        return fields | {
            "architecture": self.architecture.name,
            "recipe": self.recipe.to_json(),
            "budget": vars(self.budget),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """Workers of a Dask scheduler, as they were when the study began; later ones may join."""

    address: str  # of its scheduler
    device: str  # kind of device that its workers train on
    workers: int  # how many can train
    machine: str  # what most of them are, as `bench.system.environment` names it
    machines: int  # how many unlike ones there are
    hosts: int
    neighbours: Mapping[str, int]  # workers by the address of their host
    is_here: bool  # whether all of them are on this host
    instruction_set: str = ""  # what their CPUs compute with, the same everywhere; empty on another device
    engine: str = "torch"  # that trains, or "lanes"
    kernels: str = ""  # of the engine "lanes", the same everywhere (`bench.models.rewriting.kernels`)
    without_kernels: str = ""  # why the engine was not chosen to be "lanes"; empty where nobody asks
    most: int | None = None  # no more runs at once, however many join; None for as many as there are


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where workers find data and leave results."""

    results: Path
    store_url: str = dataclasses.field(repr=False)  # it may hold a password, and Dask logs what it is given
    data_dir: Path
    jobs: int  # runs that may train at once: on this machine, or on the cluster as it was when the study began
    cluster: Cluster | None = None  # whose workers train; None for those of this machine
    shows_output: bool = False  # whether what nets print while they train is shown

    @property
    def store_is_file(self) -> bool:
        """Whether the store is a file, which processes of one host share and no others."""
        return self.store_url.startswith("sqlite")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One run as it is handed to a worker; after `pause_after_epoch` it is put aside until it is handed out again."""

    request: RunRequest
    attempt: int  # 1 for the first try
    recipe_name: str
    params: int
    macs: int
    timeout_seconds: float  # when one try at it counts as hung
    initial_hash: str = ""  # of the net as it was counted (`bench.core.metadata.ArchitectureMetadata`)
    proof: Proof = dataclasses.field(default_factory=Proof)  # how to run its net, and whether it can be resumed
    pause_after_epoch: int | None = None  # from 1, its state saved; None to train to the end
    goes_on: bool = False  # whether it was put aside so before: that it goes on is then no news

    @property
    def run_id(self) -> str:
        """The request's id, with the attempt appended from the second on."""
        return self.request.id if self.attempt == 1 else f"{self.request.id}-{self.attempt}"

    @property
    def weights(self) -> str:
        """File of the final weights, relative to the results directory."""
        return f"checkpoints/{self.run_id}.pt"


_START_SECONDS = 6.0
"""Until a worker process has imported torch and loaded its data."""


class CountedRun(NamedTuple):
    """What a plan needs of the attempt that counts for a request: a record has fifty columns more to read and check."""

    run_id: str
    request_id: str
    architecture: str
    seed: int
    status: str
    params: int | None
    macs: int | None
    initial_hash: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What one command will do."""

    tasks: tuple[Task, ...]  # runs to train, the longest first
    seconds: Mapping[str, float]  # estimated, of each task, by run id
    reused: tuple[CountedRun, ...]  # stored already
    measured: bool  # True when every estimate comes from stored runs of this machine

    def wall_seconds(self, jobs: int) -> float:
        """Estimated duration on so many workers: their start, then the longest task or the sum shared among them."""
        if not self.tasks:
            return 0.0
        return _START_SECONDS + max(*self.seconds.values(), sum(self.seconds.values()) / jobs)


class RunFiles:
    """The files of a run under way, all under its id."""

    def __init__(self, run_id: str, results: Path) -> None:
        folder = results / "checkpoints"
        self.state = folder / f"{run_id}.unfinished"  # what it goes on from when it is cut short
        self.hang = folder / f"{run_id}.hang"  # where it hung, when it did

    def read_hang(self) -> str:
        """Where the run hung; empty when it did not."""
        return self.hang.read_text(encoding="utf-8", errors="replace") if self.hang.is_file() else ""

    def set_aside(self) -> Path:
        """Move a state that cannot be used out of the way; where it is now."""
        aside = self.state.with_suffix(".damaged")
        self.state.replace(aside)
        return aside

    def clean_up(self) -> None:
        """Remove what a stored run needs no more, and what killed tries left half written."""
        leftovers = self.state.parent.glob(f".{self.state.stem}.*")
        for path in (self.state, self.hang, *leftovers):
            path.unlink(missing_ok=True)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
