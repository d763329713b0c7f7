"""One command's check: the first seeds of every architecture, then fresh ones of those that fell."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from bench.core.errors import DataError
from bench.core.events import Note
from bench.core.gate import GateOutcome, Judgement
from bench.studies.gate.judge import judge_counts, judge_runs
from bench.studies.gate.rule import FIRST_SEEDS, FRESH_SEEDS
from bench.studies.gate.runs import make_gate_requests, train
from bench.studies.gate.seeds import draw_fresh_seeds

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from bench.core.events import Event
    from bench.core.gate import Reference, Thresholds
    from bench.core.metadata import DatasetFacts
    from bench.core.run import RunRequest
    from bench.studies.experiment import Experiment


def check_data(thresholds: Thresholds, dataset: DatasetFacts) -> None:
    """Refuse to hold nets against references of other images.

    Raises:
        DataError: They are not those that the references saw.
    """
    if dataset.data_hash != thresholds.data_hash:
        raise DataError(
            f"'{dataset.name}' holds other images ({dataset.data_hash[:12]}) than the references saw "
            f"({thresholds.data_hash[:12]}); fix --data-dir, or record them anew with --write-thresholds."
        )


@dataclasses.dataclass(kw_only=True)
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
        """Train and judge; how the check before ended is forgotten first."""
        self.experiment.store.studies.forget_gate(self.experiment.name)
        yield from self.experiment.keep_facts()
        asked = self._open()
        first = yield from train(self.experiment, self.first_requests(), role="gate")
        for reference in asked:
            self._take(judge_runs(reference, [first[reference.architecture]]))
        fallen = self._open()
        if not fallen:
            return
        names = ", ".join(reference.architecture for reference in fallen)
        yield Note(text=f"{names}: the first {FIRST_SEEDS} seeds fell; {FRESH_SEEDS} fresh ones decide.")
        seeds = draw_fresh_seeds(self.source)
        requests = self._requests({reference.architecture: seeds for reference in fallen})
        fresh = yield from train(self.experiment, requests, role="gate")
        for reference in fallen:
            self._take(judge_runs(reference, [first[reference.architecture], fresh[reference.architecture]]))

    def outcome(self, *, file: str, drop: float) -> GateOutcome:
        """How the check ended.

        Args:
            file: The thresholds file, as the user named it.
            drop: The drop that the user wants caught, an accuracy fraction.
        """
        return GateOutcome(
            file=file,
            judgements=tuple(self.judged[name] for name in sorted(self.judged)),
            drop=drop,
            dataset=self.thresholds.dataset,
            trained=self.thresholds.trained,
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        """What a reader should know beside the judgements."""
        others = sorted({reference.now.torch for reference in self._references()} - {torch.__version__, ""})
        if not others:
            return ()
        return (f"References were recorded with torch {', '.join(others)}; this is {torch.__version__}.",)

    def _references(self) -> list[Reference]:
        return [self.thresholds.references[net.name] for net in self.experiment.architectures]

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
