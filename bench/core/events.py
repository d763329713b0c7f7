"""What the engine says while it works: `bench.execution.scheduler.run` yields these, the front door shows them.

The engine prints nothing and asks nothing; whoever listens decides what a person sees.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from bench.core.records import RunRecord
    from bench.core.tuning import Trial


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planned:
    """The plan stands: said once, before anything trains.

    Attributes:
        to_train: Runs that will be trained.
        reused: Runs that are stored already and are not trained again.
        estimate_seconds: Wall-clock seconds that the training will take; None when nothing is known of it.
    """

    to_train: int
    reused: int
    estimate_seconds: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A worker began a run.

    Attributes:
        run_id: Id that the run's later events and its record share.
        architecture: Name of the architecture.
        seed: Seed of the run.
    """

    run_id: str
    architecture: str
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunProgress:
    """A run got further.

    Attributes:
        run_id: Id of the run.
        architecture: Name of the architecture.
        seed: Seed of the run.
        epoch: Epochs done, as a fraction.
        epochs: Epochs that the budget holds or, for a budget of seconds, will hold at the present speed.
        val_accuracy: Latest validation accuracy, a fraction; None before the first.
        images_per_second: Training images per second so far, evaluation excluded.
    """

    run_id: str
    architecture: str
    seed: int
    epoch: float
    epochs: float
    val_accuracy: float | None
    images_per_second: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFinished:
    """A run ended, well or not, and is stored.

    Attributes:
        record: What was stored.
        done: Runs of this plan that have ended, this one included.
        total: Runs of this plan.
        seconds_left: Wall-clock seconds until all have ended; None when nothing is known of it.
    """

    record: RunRecord
    done: int
    total: int
    seconds_left: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingStarted:
    """The quiet phase began: nothing trains while speed and memory are measured.

    Attributes:
        architectures: How many architectures are measured.
        estimate_seconds: Wall-clock seconds that the phase takes, about.
    """

    architectures: int
    estimate_seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingFinished:
    """The quiet phase ended and its measurements are stored.

    Attributes:
        architectures: How many architectures were measured.
        quiet: False when other work shared the machine, so that the timings are not compared.
        seconds: Wall-clock seconds that the phase took.
    """

    architectures: int
    quiet: bool
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningStarted:
    """The search began: said once, before any trial trains.

    Attributes:
        architectures: How many are tuned.
        trials: Trials that are wanted, of all architectures together.
        done: Those of them that have ended already.
    """

    architectures: int
    trials: int
    done: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPutAside:
    """A worker is done with a run of a trial, for now or for good.

    Attributes:
        run_id: Id of the run.
    """

    run_id: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialFinished:
    """A trial ended and is stored.

    Attributes:
        architecture: Name of the architecture that is tuned.
        trial: How it ended.
        best: Best validation accuracy of a complete trial so far; None before the first.
        done: Trials that have ended, of all architectures.
        total: Trials that are wanted.
        seconds_left: Wall-clock seconds to the end of the search, at the pace so far.
    """

    architecture: str
    trial: Trial
    best: float | None
    done: int
    total: int
    seconds_left: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Note:
    """Something a person should know, in one line.

    Attributes:
        text: The line.
    """

    text: str


Event: TypeAlias = (
    Planned
    | RunStarted
    | RunProgress
    | RunFinished
    | TuningStarted
    | RunPutAside
    | TrialFinished
    | TimingStarted
    | TimingFinished
    | Note
)
