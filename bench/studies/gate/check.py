"""A check: which architectures it trains, the first seeds of each, then fresh ones of those that fell."""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.core.errors import (
    ArchitectureError,
    BenchError,
    DataError,
    MachineError,
    UnknownNameError,
    UsageError,
    first_line,
)
from bench.core.events import Note
from bench.core.recipe import spell
from bench.core.work.gate import DEFAULT_THRESHOLDS, GateOutcome, Judgement
from bench.data.catalogue import is_path
from bench.models.doctor.check import check as check_here
from bench.models.doctor.trial import Trial
from bench.models.registry import discover
from bench.studies.choosing import Fitted
from bench.studies.experiment import open_experiment
from bench.studies.gate.judge import judge_counts, judge_runs
from bench.studies.gate.rule import FIRST_SEEDS, FRESH_SEEDS
from bench.studies.gate.runs import draw_fresh_seeds, find_source, make_gate_requests, train
from bench.studies.gate.thresholds import read_thresholds
from bench.studies.machine import Hardware
from bench.system.program import program_words
from bench.training.run import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.metadata import ArchitectureMetadata, DatasetMetadata, Diagnosis
    from bench.core.options import GateOptions, StudyOptions
    from bench.core.reading import ReadingOptions
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest
    from bench.core.work.gate import Reference, Thresholds
    from bench.data.datasets import Sample
    from bench.models.registry import Registry
    from bench.studies.experiment import Experiment


@contextlib.contextmanager
def open_check(
    options: StudyOptions, gate: GateOptions, *, folder: Path, find_dataset: Callable[[str, ReadingOptions], Sample]
) -> Iterator[GateWork]:
    """A check of architectures against their references.

    Args:
        options: Which architectures, and where.
        gate: How to check.
        folder: Where the registered architectures lie.
        find_dataset: Finds a dataset by its name or path and how it is read, says what it found and gives some of its
            images.

    Raises:
        BenchError: The thresholds file, a flag beside it, an architecture, the data or the store cannot be used.
    """
    thresholds, trial = read_thresholds(gate.file), Trial()
    refuse_contradiction(options, thresholds)
    selection, registry = Selection(thresholds), discover(folder, trial.load)
    if gate.every:
        selection.add_all(registry, variants=options.variants)
    elif options.patterns:
        selection.add_named(options.patterns, registry)
    else:
        selection.add_references(registry)
    hardware = Hardware.find(options, thresholds.device)
    here = thresholds.are_own and is_path(options.dataset)
    images = options.dataset if here else thresholds.find_images(gate.file.parent)
    sample = find_dataset(images, thresholds.reading)
    check_data(thresholds, sample.metadata)
    selection.count(sample, device=hardware.device, engine=hardware.engine, check=trial.check)
    diagnoses, nets = selection.examine(sample, trial) if options.doctor else [], selection.nets
    fitted = Fitted(nets=nets, metadata=selection.metadata, diagnoses=diagnoses)
    with open_experiment(options, fitted, sample=sample, hardware=hardware, is_gate=True) as experiment:
        source = find_source(gate.file, thresholds, nets)
        yield GateWork(
            experiment=experiment,
            thresholds=thresholds,
            judged=selection.judged,
            source=source,
            recordings={net.name: spell_recording(net, gate.file, folder=folder) for net in nets},
        )


def spell_recording(net: Architecture, file: Path, *, folder: Path) -> str:
    """The command that records a net's reference in a file anew; the registered nets lie in the folder."""
    registered = net.file is None or net.file.parent == folder
    which = net.name if registered else f"{net.file}:{net.name}"
    where = [] if file == Path(DEFAULT_THRESHOLDS) else [str(file)]
    return shlex.join([*program_words(), "--arch", which, "--write-thresholds", *where])


def refuse_contradiction(options: StudyOptions, thresholds: Thresholds) -> None:
    """Raises UsageError when options say other than the thresholds file does: its references would mean nothing."""
    pairs: list[tuple[str, object, object]] = [
        (f"--{name.replace('_', '-')}", value, getattr(thresholds.recipe, name))
        for name, value in options.recipe_changes.items()
    ]
    pairs += [("--epochs", budget.epochs, thresholds.epochs) for budget in options.budgets]
    # Images of one's own may lie elsewhere on another machine: whether they are the same ones, their hash will say.
    if options.dataset != "auto" and not (is_path(options.dataset) and thresholds.are_own):
        pairs.append(("--dataset", options.dataset, thresholds.images or thresholds.dataset))
    recorded = thresholds.reading.flags
    pairs += [(flag, text, recorded.get(flag)) for flag, text in options.reading.flags.items()]
    if options.device != "auto":
        pairs.append(("--device", options.device, thresholds.device))
    for flag, given, in_thresholds in pairs:
        if given != in_thresholds:
            typed, in_file = (
                f"{flag} {spell(given)}".rstrip(),
                "none" if in_thresholds is None else spell(in_thresholds),
            )
            raise UsageError(
                f"{typed} contradicts the thresholds file, which says {in_file}; leave it out, or record other "
                "references with --write-thresholds."
            )


def check_data(thresholds: Thresholds, dataset: DatasetMetadata) -> None:
    """Raises DataError when images are not those that the references saw."""
    if dataset.data_hash != thresholds.data_hash:
        fix = "bring those back" if thresholds.are_own else "fix --data-dir"
        raise DataError(
            f"'{dataset.name}' holds other images ({dataset.data_hash[:12]}) than the references saw "
            f"({thresholds.data_hash[:12]}); {fix}, or record them anew with --write-thresholds."
        )


_GONE = (
    "It has a reference, and no net of that name is registered. Bring it back; one in a file of yours is named by "
    "--arch FILE.py; if it is meant to be gone, delete its entry."
)


class Selection:
    """The architectures of one check.

    Attributes:
        nets: Those that can be trained and have a reference.
        metadata: What was counted of them, by name.
        judged: Those that have failed already, by name: not registered, without a reference, broken.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self.nets: list[Architecture] = []
        self.metadata: dict[str, ArchitectureMetadata] = {}
        self.judged: dict[str, Judgement] = {}
        self._references = thresholds.references

    def add_all(self, registry: Registry, *, variants: bool) -> None:
        """Every registered architecture, every one that has a reference, and every file that cannot be loaded."""
        self.add_references(registry)
        self._add(registry.all(variants=variants))
        known = " ".join(judgement.reason for judgement in self.judged.values())
        for path, fault in registry.broken.items():
            if str(fault) not in known:
                self._fail(path.name, f"Cannot be loaded: {fault}")

    def add_references(self, registry: Registry) -> None:
        """Every architecture that has a reference."""
        for name in self._references:
            self._add_recorded(name, registry)

    def add_named(self, patterns: Iterable[str], registry: Registry) -> None:
        """The architectures that names, globs and paths choose; one that has a reference may be missing.

        Raises:
            UnknownNameError: Nothing has that name, nor has it a reference.
            ArchitectureError: The registered file of a name cannot be loaded, and nothing of it has a reference.
        """
        for pattern in patterns:
            recorded = [name for name in self._references if name == pattern or fnmatch.fnmatchcase(name, pattern)]
            for name in recorded:
                self._add_recorded(name, registry)
            try:
                nets = registry.select([pattern])
            except ArchitectureError as fault:
                if pattern in recorded:  # a name, not a file to load
                    continue
                # A watched file that is gone or broken is a change that hurts.
                if pattern.endswith(".py") or ".py:" in pattern:
                    self._fail(pattern, f"Cannot be loaded: {fault}")
                elif not recorded:
                    raise
            except UnknownNameError:
                if not recorded:
                    raise
            else:
                self._add(nets)

    def _add_recorded(self, name: str, registry: Registry) -> None:
        """One that has a reference and may be gone, or broken."""
        exact = [net for net in registry.architectures if net.name == name]
        if not exact and name.endswith(".py"):  # a name, not a file to load
            self._fail(name, _GONE)
            return
        try:
            self._add(exact or registry.select([name]))
        except UnknownNameError:
            self._fail(name, _GONE)
        except ArchitectureError as fault:
            self._fail(name, f"Cannot be loaded: {fault}")

    def _add(self, nets: Sequence[Architecture]) -> None:
        """Architectures that are registered; raises ArchitectureError when one of another file has that name."""
        for net in nets:
            twin = next((chosen for chosen in self.nets if chosen.name == net.name), net)
            if twin.file != net.file:
                raise ArchitectureError(
                    f"The name '{net.name}' is taken by {twin.file}; give the one in {net.file} another name."
                )
            if net.name not in self._references:
                self._fail(net.name, "It has no reference. --write-thresholds in place of --check records one.")
            elif twin is net and net not in self.nets:  # a path loads a file again, and its nets are other objects
                self.nets.append(net)

    def count(
        self,
        sample: Sample,
        *,
        device: str,
        engine: str = "torch",
        check: Callable[..., ArchitectureMetadata] = check_here,
    ) -> None:
        """Count parameters and MACs of each; what cannot be built, or does not fit the data, has failed.

        Raises:
            MachineError: The machine is at fault: it is out of memory, or a file cannot be read.
        """
        self.nets = [net.fitted_to(sample.metadata) for net in self.nets]
        for net in list(self.nets):
            try:
                self.metadata[net.name] = check(net, sample, device=device, engine=engine)
            except BenchError as fault:
                cause = fault.__cause__
                if isinstance(cause, OSError) or (cause is not None and is_out_of_memory(cause)):
                    raise MachineError(f"{net.name} cannot be counted on this machine: {first_line(cause)}.") from cause
                self._fail(net.name, str(fault))
                self.nets.remove(net)

    def examine(self, sample: Sample, trial: Trial) -> list[Diagnosis]:
        """What the doctor finds in each that was counted; one with an error has failed."""
        diagnoses = [trial.examine(net, sample, was_checked=True) for net in self.nets]
        for net, diagnosis in zip(list(self.nets), diagnoses, strict=True):
            if diagnosis.errors:
                first = diagnosis.errors[0]
                self._fail(net.name, f"The doctor found an error ({first.check}): {first.message}.")
                self.nets.remove(net)
                del self.metadata[net.name]
        return diagnoses

    def _fail(self, name: str, reason: str) -> None:
        reference = self._references.get(name)
        self.judged[name] = Judgement(architecture=name, passed=False, reason=reason, reference=reference)


@dataclasses.dataclass(kw_only=True)
class GateWork:
    """A check of some architectures.

    Attributes:
        experiment: What is checked, on what and where.
        thresholds: What they are held against.
        judged: Those that cannot be trained, and how they are judged therefore; the others join as they are judged.
        source: What the fresh seeds are drawn from.
        recordings: The command that records an architecture anew, by name.
    """

    experiment: Experiment
    thresholds: Thresholds
    judged: dict[str, Judgement]
    source: str
    recordings: Mapping[str, str]

    def first_requests(self) -> list[RunRequest]:
        """What the first stage trains of the architectures that are not judged yet."""
        by_name = self._requests({one.architecture: one.first_seeds for one in self._open()})
        return [request for requests in by_name.values() for request in requests]

    def events(self) -> Generator[Event, None, None]:
        """Train and judge; how the check before ended is forgotten first."""
        self.experiment.store.studies.forget_gate(self.experiment.name)
        yield from self.experiment.keep_metadata()
        asked = self._open()
        first = yield from self._train({one.architecture: one.first_seeds for one in asked})
        for reference in asked:
            self._take(judge_runs(reference, [first[reference.architecture]]))
        fallen = self._open()
        if not fallen:
            return
        names = ", ".join(reference.architecture for reference in fallen)
        yield Note(text=f"{names}: the first {FIRST_SEEDS} seeds fell; {FRESH_SEEDS} fresh ones decide.")
        seeds = draw_fresh_seeds(self.source)
        fresh = yield from self._train({reference.architecture: seeds for reference in fallen})
        for reference in fallen:
            self._take(judge_runs(reference, [first[reference.architecture], fresh[reference.architecture]]))

    def outcome(self, *, file: str, drop: float) -> GateOutcome:
        """How the check ended; the file as the user named it, the drop that shall be caught an accuracy fraction."""
        references = [self.thresholds.references[net.name] for net in self.experiment.architectures]
        recorded = [reference.now for reference in references]
        engine = self.experiment.engine
        torches = sorted({measured.torch for measured in recorded} - {torch.__version__, ""})
        engines = sorted({measured.engine for measured in recorded} - {engine})
        notes = (
            f"References were recorded with torch {', '.join(torches)}; this is {torch.__version__}."
            if torches
            else "",
            f"References were recorded with the {engines[0]} engine; this is the {engine} engine." if engines else "",
        )
        return GateOutcome(
            file=file,
            judgements=tuple(self.judged[name] for name in sorted(self.judged)),
            drop=drop,
            dataset=self.thresholds.dataset,
            trained=self.thresholds.trained,
            notes=tuple(filter(None, notes)),
        )

    def keep(self, outcome: GateOutcome) -> None:
        """Store how the check ended; raises StoreError."""
        self.experiment.store.studies.add_gate(self.experiment.name, outcome)

    def _open(self) -> list[Reference]:
        """The references of those that are not judged yet; another net than the recorded one is judged by that."""
        names = [net.name for net in self.experiment.architectures]
        for name in names:
            if name not in self.judged:
                reference, metadata = self.thresholds.references[name], self.experiment.metadata[name]
                self._take(judge_counts(reference, metadata, recording=self.recordings[name]))
        return [self.thresholds.references[name] for name in names if name not in self.judged]

    def _requests(self, seeds: Mapping[str, Sequence[int]]) -> dict[str, list[RunRequest]]:
        thresholds = self.thresholds
        return make_gate_requests(self.experiment, recipe=thresholds.recipe, epochs=thresholds.epochs, seeds=seeds)

    def _train(self, seeds: Mapping[str, Sequence[int]]) -> Generator[Event, None, dict[str, list[RunRecord]]]:
        return train(self.experiment, self._requests(seeds), role="gate")

    def _take(self, judgement: Judgement | None) -> None:
        if judgement is not None:
            self.judged[judgement.architecture] = judgement
