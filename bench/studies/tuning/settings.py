"""What a user says of a tuning on the command line. Needs neither torch nor Optuna."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.core.errors import UnknownNameError, UsageError
from bench.core.seeds import MOST_TUNING_SEEDS
from bench.core.tuning import OBJECTIVES
from bench.studies.tuning.space import SHARED_SPACE

if TYPE_CHECKING:
    from pathlib import Path

SAMPLERS = {"tpe": "TPE", "random": "random search"}
PRUNERS = {"halving": "successive halving", "none": "none"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneSettings:
    """How to tune; the same for every architecture.

    Attributes:
        trials: Trials of each architecture, in all.
        seeds: Seeds that every trial trains.
        objectives: From `OBJECTIVES`, "accuracy" first.
        sampler: One of `SAMPLERS`.
        pruner: One of `PRUNERS`; "none" with several objectives.
        seconds: After how many seconds no further trial begins; None for no bound.
        space: File of the search space.
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
    space: Path = SHARED_SPACE
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
