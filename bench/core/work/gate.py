"""The nouns of the gate: what a check is held against (`Reference`), and how it ended (`GateOutcome`)."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from bench.core.reading import ReadingOptions
from bench.core.recipe import Budget

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.core.recipe import Recipe

DEFAULT_THRESHOLDS = "thresholds.toml"
"""The file of references, where none is named."""
ALLOWED_DEVIATIONS = 1.5
"""Standard deviations by which the mean of a stage may lie below that of the references (METHODOLOGY, "The gate").

A net whose references have a left tail is allowed more (`bench.studies.gate.rule`).
"""
SPLIT_SEED = 0
"""Seed of the one split of every reference and every check: another split would add its own noise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """References of one architecture as they were recorded once; accuracies are of validation images, fractions."""

    mean: float
    deviation: float  # standard deviation (n − 1), one image's worth at least
    runs: int
    params: int
    macs: int  # multiply-accumulates per image
    trained: str  # recipe and budget in words
    recorded: str  # day, as 2026-11-21
    commit: str = ""  # of the repository; empty without one
    torch: str = ""  # version that computed them
    engine: str = "torch"  # that trained them, or "lanes"
    architecture_hash: str = ""
    allowed: float = ALLOWED_DEVIATIONS  # by which the mean of a stage may lie below theirs
    accuracies: tuple[float, ...] = ()  # of each run; empty where they were not kept


@dataclasses.dataclass(frozen=True, kw_only=True)
class Floors:
    """What a user demands beside the references."""

    accuracy: float | None = None  # mean validation accuracy, a fraction, below which a stage falls
    epochs_to_95: float | None = None  # median epochs to 95 % validation accuracy above which it does


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """What one architecture is held against."""

    architecture: str
    now: Measurement  # the references that count
    first_seeds: tuple[int, ...]  # of the first stage, chosen so that the net as recorded passes
    floors: Floors = Floors()
    history: tuple[Measurement, ...] = ()  # earlier references, the latest first, so that drift shows

    @property
    def limit(self) -> float:
        """The mean validation accuracy below which a stage falls, a fraction."""
        return max(self.now.mean - self.now.allowed * self.now.deviation, self.floors.accuracy or 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Everything that a check is held against: one dataset, one recipe, one budget."""

    dataset: str  # what people call it
    data_hash: str
    device: str
    recipe: Recipe
    epochs: int
    references: Mapping[str, Reference]  # by name of the architecture
    images: str = ""  # what the dataset is made of: a name, or ./PATH from the folder of the file; empty for `dataset`
    reading: ReadingOptions = dataclasses.field(default_factory=ReadingOptions)  # how it is made of them

    @property
    def are_own(self) -> bool:
        """Whether the images are a user's own, which lie in a path."""
        return self.images.startswith((".", "/"))

    def find_images(self, folder: Path) -> str:
        """What a user would write after `--dataset`, for a file in that folder: a name, or a path from the root."""
        return str((folder / self.images).resolve()) if self.are_own else self.images or self.dataset

    @property
    def trained(self) -> str:
        """How every run is trained, in words."""
        return describe_training(self.recipe, self.epochs, dataset=self.dataset, device=self.device)


def describe_training(recipe: Recipe, epochs: int, *, dataset: str, device: str) -> str:
    """How the runs of a gate are trained, in words that its file compares: mnist, 5 epochs, shared, cpu."""
    return f"{dataset}, {Budget(epochs=epochs)}, {recipe.spelt}, {device}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """The runs of one stage of one architecture, each with its seed."""

    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]  # validation accuracy, fractions
    epochs_to_95: tuple[float, ...]  # `math.inf` when it never got to 95 %

    def __post_init__(self) -> None:
        if not len(self.seeds) == len(self.accuracies) == len(self.epochs_to_95) > 0:
            raise ValueError(f"A stage of {len(self.seeds)} seeds and {len(self.accuracies)} accuracies says nothing.")

    @property
    def mean(self) -> float:
        """Mean validation accuracy, a fraction."""
        return math.fsum(self.accuracies) / len(self.accuracies)

    @property
    def median_epochs_to_95(self) -> float:
        """The middle one; of an even number the later of the two in the middle."""
        return sorted(self.epochs_to_95)[len(self.epochs_to_95) // 2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judgement:
    """How the check of one architecture ended."""

    architecture: str
    passed: bool | None  # None when the machine's fault let nobody say
    reason: str  # one sentence
    stages: tuple[Stage, ...] = ()  # that ended; none when it failed before it trained
    reference: Reference | None = None
    detail: str = ""  # where a run failed, for those who fix it

    @property
    def mean(self) -> float | None:
        """Mean validation accuracy of the stage that decided, a fraction."""
        return self.stages[-1].mean if self.stages else None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the stage that decided."""
        return self.stages[-1].seeds if self.stages else ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateOutcome:
    """How a check ended."""

    file: str  # the thresholds file, as the user named it
    judgements: tuple[Judgement, ...]  # by name of the architecture
    drop: float  # that the user wants caught, an accuracy fraction
    dataset: str
    trained: str  # recipe and budget in words
    notes: tuple[str, ...] = ()  # what a reader should know beside the judgements, one sentence each

    @property
    def passed(self) -> bool:
        """Whether every architecture passed, and there was one."""
        return bool(self.judgements) and all(judgement.passed for judgement in self.judgements)

    @property
    def regressed(self) -> bool:
        """Whether an architecture failed for a reason of its own."""
        return any(judgement.passed is False for judgement in self.judgements)

    @property
    def references(self) -> list[Reference]:
        """What architectures were held against, where there was something."""
        return [judgement.reference for judgement in self.judgements if judgement.reference]
