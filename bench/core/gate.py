"""The nouns of the gate: what a check is held against (`Reference`), and how it ended (`GateOutcome`)."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from bench.core.recipe import Budget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.core.recipe import Recipe

ALLOWED_DEVIATIONS = 1.5
"""Standard deviations by which the mean of a stage may lie below that of the references (METHODOLOGY, "The gate").

A net whose references have a left tail is allowed more (`bench.studies.gate.rule`).
"""
SPLIT_SEED = 0
"""Seed of the one split of every reference and every check: another split would add its own noise."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """References of one architecture as they were recorded once.

    Attributes:
        mean: Mean validation accuracy of the reference runs, a fraction.
        deviation: Their standard deviation (n − 1), one image's worth at least.
        runs: How many there were.
        params: Exact number of parameters.
        macs: Exact multiply-accumulates per image.
        trained: Recipe and budget in words.
        recorded: Day, as 2026-11-21.
        commit: Commit of the repository; empty without one.
        torch: Version of torch that computed them.
        architecture_hash: Content hash of the net's source.
        allowed: Standard deviations by which the mean of a stage may lie below theirs.
        accuracies: Validation accuracy of each run, fractions; empty where they were not kept.
    """

    mean: float
    deviation: float
    runs: int
    params: int
    macs: int
    trained: str
    recorded: str
    commit: str = ""
    torch: str = ""
    architecture_hash: str = ""
    allowed: float = ALLOWED_DEVIATIONS
    accuracies: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Floors:
    """What a user demands beside the references.

    Attributes:
        accuracy: Mean validation accuracy below which a stage falls, a fraction.
        epochs_to_95: Median epochs to 95 % validation accuracy above which it does.
    """

    accuracy: float | None = None
    epochs_to_95: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """What one architecture is held against.

    Attributes:
        architecture: Its name.
        now: The references that count.
        first_seeds: Seeds of the first stage, chosen so that the net as recorded passes.
        floors: What is demanded beside them.
        history: Earlier references, the latest first, so that drift shows.
    """

    architecture: str
    now: Measurement
    first_seeds: tuple[int, ...]
    floors: Floors = Floors()
    history: tuple[Measurement, ...] = ()

    @property
    def limit(self) -> float:
        """The mean validation accuracy below which a stage falls, a fraction."""
        return max(self.now.mean - self.now.allowed * self.now.deviation, self.floors.accuracy or 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Everything that a check is held against: one dataset, one recipe, one budget.

    Attributes:
        dataset: Name of the dataset.
        data_hash: Content hash of its images and labels.
        device: Kind of device that the references were trained on.
        recipe: How every run is trained.
        epochs: How long.
        references: By name of the architecture.
    """

    dataset: str
    data_hash: str
    device: str
    recipe: Recipe
    epochs: int
    references: Mapping[str, Reference]

    @property
    def trained(self) -> str:
        """How every run is trained, in words."""
        return describe_training(self.recipe, self.epochs, dataset=self.dataset, device=self.device)


def describe_training(recipe: Recipe, epochs: int, *, dataset: str, device: str) -> str:
    """How the runs of a gate are trained, in words that its file compares: mnist, 5 epochs, shared, cpu."""
    return f"{dataset}, {Budget(epochs=epochs)}, {recipe.spelt}, {device}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """The runs of one stage of one architecture.

    Attributes:
        seeds: Their seeds.
        accuracies: Validation accuracy of each, a fraction.
        epochs_to_95: Epochs to 95 % of each, `math.inf` when it never got there.
    """

    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    epochs_to_95: tuple[float, ...]

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
    """How the check of one architecture ended.

    Attributes:
        architecture: Its name.
        passed: Whether it passed; None when the machine's fault let nobody say.
        reason: Why, one sentence.
        stages: The stages that ended, none when it failed before it trained.
        reference: What it was held against; None when there was nothing.
        detail: Where a run failed, for those who fix it.
    """

    architecture: str
    passed: bool | None
    reason: str
    stages: tuple[Stage, ...] = ()
    reference: Reference | None = None
    detail: str = ""

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
    """How a check ended.

    Attributes:
        file: The thresholds file, as the user named it.
        judgements: One for each architecture, by name.
        drop: The drop that the user wants caught, an accuracy fraction.
        notes: What a reader should know beside the judgements, one sentence each.
        dataset: Name of the dataset.
        trained: Recipe and budget in words.
    """

    file: str
    judgements: tuple[Judgement, ...]
    drop: float
    dataset: str
    trained: str
    notes: tuple[str, ...] = ()

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
