"""The recording of references: many runs of each architecture, and first seeds with which it passes its own gate."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
import statistics
from typing import TYPE_CHECKING

import torch

from bench.events import Note
from bench.gate.judging import judge_runs
from bench.gate.references import Floors, Measurement, Reference, Thresholds, describe_training
from bench.gate.rule import FIRST_SEEDS
from bench.gate.training import make_gate_requests, train
from bench.gate.widening import find_allowed
from bench.nets.fingerprint import architecture_hash
from bench.spec import GATE_SEEDS, REFERENCE_SEEDS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from bench.events import Event
    from bench.experiment import Experiment
    from bench.gate.baseline import Baseline
    from bench.records import RunRecord
    from bench.spec import Architecture, RunRequest

_MOST_SHIFTS = 12
"""A net of which three seeds in a row fall so often is not what its references say."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """References of some architectures, made anew.

    Attributes:
        experiment: What is recorded, on what and where.
        baseline: How, and what was recorded before: floors stay, references become history.
        runs: Reference runs of each architecture.
        recorded: What came out, by name.
        faults: Why an architecture could not be recorded, by name.
    """

    experiment: Experiment
    baseline: Baseline
    runs: int
    recorded: dict[str, Reference] = dataclasses.field(default_factory=dict)
    faults: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def seeds(self) -> range:
        """Seeds of the reference runs."""
        return range(REFERENCE_SEEDS, REFERENCE_SEEDS + self.runs)

    def requests(self) -> list[RunRequest]:
        """The reference runs and the first seeds that are tried."""
        names = [net.name for net in self.experiment.architectures]
        made = [self._requests(dict.fromkeys(names, seeds)) for seeds in (self.seeds, _window(0))]
        return [request for each in made for of in each.values() for request in of]

    def events(self) -> Generator[Event, None, None]:
        """Train the references, then look for first seeds that pass."""
        self.experiment.store.forget_gate(self.experiment.name)  # it speaks of references that are replaced now
        yield from self.experiment.keep_facts()
        nets = {net.name: net for net in self.experiment.architectures}
        found = yield from self._train(dict.fromkeys(nets, self.seeds), role="reference")
        wanted: dict[str, Reference] = {}
        for name, records in found.items():
            fault = next((record for record in records if record.status != "ok"), None)
            if fault is not None:
                self.faults[name] = f"reference run of seed {fault.seed} {fault.status}: {fault.error}"
                continue
            reference = self._reference(nets[name], records)
            floor = reference.floors.accuracy or 0.0
            if reference.now.mean < floor:
                self.faults[name] = f"its mean {reference.now.mean:.5f} lies below its accuracy floor {floor}"
            else:
                wanted[name] = reference
        yield from self._find_first_seeds(wanted)

    def _find_first_seeds(self, wanted: dict[str, Reference]) -> Generator[Event, None, None]:
        """Try seeds until each passes its own gate; what does, or cannot, leaves `wanted`."""
        for shift in range(_MOST_SHIFTS):
            window = _window(shift)
            tried = yield from self._train(dict.fromkeys(wanted, window), role="gate")
            for name, records in tried.items():
                wanted[name] = dataclasses.replace(wanted[name], first_seeds=window)
                judgement = judge_runs(wanted[name], [records])
                if judgement is not None and judgement.passed:
                    self.recorded[name] = wanted.pop(name)
                elif judgement is not None:
                    self.faults[name] = f"gate seeds: {judgement.reason}"
                    del wanted[name]
            if not wanted:
                return
            yield Note(text=f"{', '.join(wanted)}: seeds {window[0]} to {window[-1]} fall; the next are tried.")
        for name in wanted:
            self.faults[name] = (
                f"of its first {_MOST_SHIFTS + FIRST_SEEDS - 1} gate seeds no {FIRST_SEEDS} in a row pass"
            )

    @property
    def writable(self) -> bool:
        """Whether there is something to write; not references of two kinds, when some could not be made in the new."""
        return bool(self.recorded) and not (self.faults and self.baseline.changed)

    @property
    def dropped(self) -> list[str]:
        """Names whose references go, as nothing registered has them."""
        return sorted(
            self.baseline.before.keys() - self.baseline.kept.keys() - self.recorded.keys() - self.faults.keys()
        )

    def thresholds(self) -> Thresholds:
        """What the file shall hold: what was recorded, and what stays; what could not be recorded keeps its old one."""
        failed = {name: self.baseline.before[name] for name in self.faults if name in self.baseline.before}
        return Thresholds(
            dataset=self.experiment.dataset.name,
            data_hash=self.experiment.dataset.data_hash,
            device=self.experiment.device,
            recipe=self.baseline.recipe,
            epochs=self.baseline.epochs,
            references={**self.baseline.kept, **failed, **dict(sorted(self.recorded.items()))},
        )

    def _train(
        self, seeds: Mapping[str, Sequence[int]], *, role: str
    ) -> Generator[Event, None, dict[str, list[RunRecord]]]:
        return train(self.experiment, self._requests(seeds), role=role)

    def _requests(self, seeds: Mapping[str, Sequence[int]]) -> dict[str, list[RunRequest]]:
        baseline = self.baseline
        return make_gate_requests(self.experiment, recipe=baseline.recipe, epochs=baseline.epochs, seeds=seeds)

    def _reference(self, net: Architecture, records: Sequence[RunRecord]) -> Reference:
        now, before = self._measure(net, records), self.baseline.before.get(net.name)
        if before is None:
            return Reference(architecture=net.name, now=now, first_seeds=(), floors=Floors())
        again = dataclasses.replace(
            before.now, recorded=now.recorded, commit=now.commit, allowed=now.allowed, accuracies=now.accuracies
        )
        earlier = dataclasses.replace(before.now, accuracies=())  # a history that people read
        history = before.history if again == now else (earlier, *before.history)
        return dataclasses.replace(before, now=now, history=history)

    def _measure(self, net: Architecture, records: Sequence[RunRecord]) -> Measurement:
        facts, dataset = self.experiment.facts[net.name], self.experiment.dataset
        accuracies = [round(record.val_accuracy or 0.0, 6) for record in records]
        # Runs that are all equal would make a gate that one image trips.
        deviation = round(max(statistics.stdev(accuracies), 1 / dataset.validation_images), 6)
        return Measurement(
            mean=round(math.fsum(accuracies) / len(accuracies), 6),
            deviation=deviation,
            runs=len(accuracies),
            params=facts.params,
            macs=facts.macs,
            trained=describe_training(
                self.baseline.recipe,
                self.baseline.epochs,
                dataset=self.experiment.dataset.name,
                device=self.experiment.device,
            ),
            recorded=dt.datetime.now(dt.UTC).date().isoformat(),
            commit=self.baseline.commit,
            torch=torch.__version__,
            architecture_hash=architecture_hash(net),
            allowed=find_allowed(accuracies, deviation),
            accuracies=tuple(accuracies),
        )


def _window(shift: int) -> tuple[int, ...]:
    return tuple(range(GATE_SEEDS + shift, GATE_SEEDS + shift + FIRST_SEEDS))
