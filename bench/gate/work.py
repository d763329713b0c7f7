"""One command's check: the first seeds of every architecture, then fresh ones of those that fell."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from bench import suite
from bench.environment import PROJECT, find_checkout
from bench.errors import DataError
from bench.events import Note
from bench.gate.judging import judge_counts, judge_runs
from bench.gate.records import SPLIT_SEED, GateOutcome, Judgement
from bench.gate.rule import FIRST_SEEDS
from bench.gate.rule import FRESH_SEEDS as FRESH
from bench.planning import make_requests
from bench.recipe import Budget
from bench.spec import FRESH_SEEDS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.events import Event
    from bench.experiment import Experiment
    from bench.facts import DatasetFacts
    from bench.gate.records import Reference, Thresholds
    from bench.recipe import Recipe
    from bench.records import RunRecord
    from bench.spec import RunRequest

_HIGHEST_SEED = 2**31


def draw_fresh_seeds(source: str) -> tuple[int, ...]:
    """Seeds of the second stage: the same for the same commit, others for the next.

    Whoever checks one commit again and again gets no other seeds until one of them passes.

    Args:
        source: The commit, or what else tells one check from another.
    """
    digest = hashlib.sha256(source.encode()).digest()
    generator = np.random.default_rng(list(digest))
    drawn = generator.choice(_HIGHEST_SEED - FRESH_SEEDS, size=FRESH, replace=False, shuffle=False)
    return tuple(FRESH_SEEDS + int(seed) for seed in drawn)


def find_source(file: Path, thresholds: Thresholds) -> str:
    """What tells one check from another: the commit, or where there is none all that is asked.

    Args:
        file: The thresholds file.
        thresholds: What it holds.
    """
    return find_commit(file) or json.dumps(dataclasses.asdict(thresholds), sort_keys=True, default=str)


def find_commit(file: Path) -> str:
    """The commit of the checkout that holds the thresholds file, else of the suite's own; empty without either."""
    checkouts = (find_checkout(file), find_checkout(PROJECT))
    return next((found.commit for found in checkouts if found and found.commit), "")


def check_data(thresholds: Thresholds, dataset: DatasetFacts) -> None:
    """Refuse to hold nets against references of other images.

    Raises:
        DataError: They are not those that the references saw.
    """
    if dataset.data_hash != thresholds.data_hash:
        raise DataError(
            f"'{dataset.name}' holds other images ({dataset.data_hash[:12]}) than the references saw "
            f"({thresholds.data_hash[:12]}); mend --data-dir, or record them anew with --write-thresholds."
        )


def make_gate_requests(
    experiment: Experiment, *, recipe: Recipe, epochs: int, seeds: Mapping[str, Sequence[int]]
) -> dict[str, list[RunRequest]]:
    """Runs that see validation images only, on one split for all.

    Args:
        experiment: What is trained, on what and where.
        recipe: How.
        epochs: How long.
        seeds: Which seeds of which architecture.

    Returns:
        The requests of each architecture, in the order of its seeds.
    """
    training = [(recipe, Budget(epochs=epochs))]
    return {
        net.name: make_requests(
            [net], training={net.name: training}, dataset=experiment.dataset, seeds=seeds[net.name],
            device=experiment.device, protocol="validation", split_seed=SPLIT_SEED,
        )
        for net in experiment.architectures
        if net.name in seeds
    }  # fmt: skip


def train(
    experiment: Experiment, requests: Mapping[str, Sequence[RunRequest]], *, role: str
) -> Generator[Event, None, dict[str, list[RunRecord]]]:
    """Train what is not stored of the requests.

    Args:
        experiment: What is trained, on what and where.
        requests: The runs, by architecture.
        role: "gate" or "reference".

    Returns:
        The runs of each architecture, in the order of its requests.
    """
    every = [request for of in requests.values() for request in of]
    if not every:
        return {}
    names = {request.id: request.recipe.spelt for request in every}
    plan = experiment.plan(every, names)
    experiment.store.plan_study(
        experiment.name, command=experiment.command, requests=every, role=role, recipe_names=names
    )
    experiment.begun.append(plan)
    yield from suite.run(plan, experiment.workplace)
    stored = experiment.store.counted_runs([request.id for request in every])
    return {name: [stored[request.id] for request in of] for name, of in requests.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateWork:
    """A check of some architectures.

    Attributes:
        experiment: What is checked, on what and where.
        thresholds: What they are held against.
        judged: Those that cannot be trained, and how they are judged therefore; the others join as they are judged.
        source: What the fresh seeds are drawn from.
    """

    experiment: Experiment
    thresholds: Thresholds
    judged: dict[str, Judgement]
    source: str

    def first_requests(self) -> dict[str, list[RunRequest]]:
        """What the first stage trains of the architectures that are not judged yet."""
        return self._requests({one.architecture: one.first_seeds for one in self._open()})

    def events(self) -> Generator[Event, None, None]:
        """Train and judge."""
        self.experiment.keep_facts()
        asked = self._open()
        first = yield from train(self.experiment, self.first_requests(), role="gate")
        for reference in asked:
            self._take(judge_runs(reference, [first[reference.architecture]]))
        fallen = self._open()
        if not fallen:
            return
        names = ", ".join(reference.architecture for reference in fallen)
        yield Note(text=f"{names}: the first {FIRST_SEEDS} seeds fell; {FRESH} fresh ones decide.")
        seeds = draw_fresh_seeds(self.source)
        requests = self._requests({reference.architecture: seeds for reference in fallen})
        fresh = yield from train(self.experiment, requests, role="gate")
        for reference in fallen:
            self._take(judge_runs(reference, [first[reference.architecture], fresh[reference.architecture]]))

    def outcome(self, *, file: str, drop: float, notes: Iterable[str] = ()) -> GateOutcome:
        """How the check ended.

        Args:
            file: The thresholds file, as the user named it.
            drop: The drop that the user wants caught, an accuracy fraction.
            notes: What a reader should know beside it.
        """
        return GateOutcome(
            file=file,
            judgements=tuple(self.judged[name] for name in sorted(self.judged)),
            drop=drop,
            dataset=self.thresholds.dataset,
            trained=describe_training(self.thresholds.recipe, self.thresholds.epochs),
            notes=tuple(notes),
        )

    def _open(self) -> list[Reference]:
        """The references of those that are not judged yet; another net than the recorded one is judged by that."""
        names = [net.name for net in self.experiment.architectures]
        for name in names:
            if name not in self.judged:
                self._take(judge_counts(self.thresholds.references[name], self.experiment.facts[name]))
        return [self.thresholds.references[name] for name in names if name not in self.judged]

    def _requests(self, seeds: Mapping[str, Sequence[int]]) -> dict[str, list[RunRequest]]:
        thresholds = self.thresholds
        return make_gate_requests(self.experiment, recipe=thresholds.recipe, epochs=thresholds.epochs, seeds=seeds)

    def _take(self, judgement: Judgement | None) -> None:
        if judgement is not None:
            self.judged[judgement.architecture] = judgement


def describe_training(recipe: Recipe, epochs: int) -> str:
    """Recipe and budget in words."""
    return f"{Budget(epochs=epochs)}, {recipe.spelt}"
