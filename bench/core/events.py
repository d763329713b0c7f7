"""What the engine says while it works: `bench.execution.scheduler.run` yields these, the front door shows them.

The engine prints nothing and asks nothing; whoever listens decides what a person sees.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from bench.core.records import RunRecord
    from bench.core.work.tuning import Trial


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planned:
    """The plan stands: said once, before anything trains."""

    to_train: int
    reused: int  # runs that are stored already and are not trained again
    estimate_seconds: float | None  # on the wall clock; None when nothing is known of it
    then_seconds: float = 0.0  # what follows the training takes: speed and memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunStarted:
    """A worker began a run."""

    run_id: str
    architecture: str
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunProgress:
    """A run got further."""

    run_id: str
    architecture: str
    seed: int
    epoch: float  # epochs done, as a fraction
    epochs: float  # that the budget holds or, for a budget of seconds, will hold at the present speed
    val_accuracy: float | None  # the latest, a fraction; None before the first
    images_per_second: float  # training images so far, evaluation excluded


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFinished:
    """A run ended, well or not, and is stored."""

    record: RunRecord
    done: int  # runs of this plan that have ended, this one included
    total: int
    seconds_left: float | None  # on the wall clock, until all have ended; None when nothing is known of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingStarted:
    """The quiet phase began: nothing trains while speed and memory are measured."""

    architectures: int  # how many are measured
    estimate_seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingFinished:
    """The quiet phase ended and its measurements are stored."""

    architectures: int  # how many were measured
    quiet: bool  # False when other work shared the machine, so that the timings are not compared
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningStarted:
    """The search began: said once, before any trial trains."""

    architectures: int  # how many are tuned
    trials: int  # that are wanted, of all architectures together
    done: int  # those of them that have ended already


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPutAside:
    """A worker is done with a run of a trial, for now or for good."""

    run_id: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialFinished:
    """A trial ended and is stored."""

    architecture: str
    trial: Trial
    best: float | None  # best validation accuracy of a complete trial so far; None before the first
    done: int  # trials that have ended, of all architectures
    total: int
    seconds_left: float | None  # to the end of the search, at the pace so far


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepStarted:
    """Something short began between two phases; it lasts until the next event."""

    text: str  # what is done, as the start of a sentence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Note:
    """Something a person should know, in one line."""

    text: str


_TuningEvent: TypeAlias = TuningStarted | RunPutAside | TrialFinished
_TimingEvent: TypeAlias = TimingStarted | TimingFinished
Event: TypeAlias = Planned | RunStarted | RunProgress | RunFinished | _TimingEvent | _TuningEvent | StepStarted | Note
