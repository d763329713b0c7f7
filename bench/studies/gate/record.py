"""The recording of references: many runs of each architecture, and first seeds with which it passes its own gate."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import math
import os
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.core.errors import ActionError, ThresholdsError, UsageError
from bench.core.events import Note
from bench.core.reading import ReadingOptions
from bench.core.seeds import GATE_SEEDS, REFERENCE_SEEDS
from bench.core.work.gate import Floors, Measurement, Reference, Thresholds, describe_training
from bench.data.catalogue import is_path
from bench.data.datasets import call_dataset
from bench.models.doctor.trial import Trial
from bench.models.fingerprint import architecture_hash
from bench.models.registry import discover
from bench.studies.choosing import fit_all
from bench.studies.experiment import open_experiment
from bench.studies.gate.judge import judge_runs
from bench.studies.gate.rule import FIRST_SEEDS, find_allowed
from bench.studies.gate.runs import find_commit, make_gate_requests, train
from bench.studies.gate.thresholds import read_thresholds, write_thresholds
from bench.studies.machine import Hardware
from bench.system.environment import PROJECT, find_checkout, is_checkout
from bench.system.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.metadata import DatasetMetadata
    from bench.core.options import GateOptions, StudyOptions
    from bench.core.recipe import Recipe
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest
    from bench.data.datasets import Sample
    from bench.models.registry import Registry
    from bench.studies.experiment import Experiment


_MOST_SHIFTS = 12
"""A net of which three seeds in a row fall so often is not what its references say."""
_EPOCHS = 3
"""The budget of a first recording, unless the user says otherwise."""


@contextlib.contextmanager
def open_recording(
    options: StudyOptions, gate: GateOptions, *, folder: Path, find_dataset: Callable[[str, ReadingOptions], Sample]
) -> Iterator[Recording]:
    """A recording of references; for the arguments see `bench.studies.gate.check.open_check`.

    Raises:
        BenchError: Nothing says what to record, an architecture, the data or the store cannot be used, or tracked files
            are changed.
    """
    trial = Trial()
    baseline = find_baseline(options, gate, discover(folder, trial.load))
    hardware, sample = Hardware.find(options, baseline.device), find_dataset(baseline.images, baseline.reading)
    baseline = on_data(baseline, sample.metadata)
    nets = baseline.nets
    fitted = fit_all(nets, sample, trial=trial, hardware=hardware, folder=folder, examines=options.doctor)
    ill = {
        each.architecture: f"the doctor found an error: {each.errors[0].message}"
        for each in fitted.diagnoses
        if each.errors
    }
    with open_experiment(options, fitted, sample=sample, hardware=hardware, is_gate=True) as experiment:
        yield Recording(experiment=experiment, baseline=baseline, runs=gate.runs, faults=ill)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """What is to be recorded, and how.

    Attributes:
        nets: The architectures.
        images: Name of the dataset, "auto", or the path of images of one's own.
        reading: How the dataset is made of them.
        file: The thresholds file that is written.
        device: Kind of device, or "auto".
        recipe: How every run is trained.
        epochs: How long.
        before: References that the file holds, by name.
        kept: Those of them that stay as they are.
        commit: Commit of the checkout; empty without one.
        data_hash: Content hash of the images that the file's references saw; empty without a file.
        changed: What differs from how the references in the file were made, in words.
    """

    nets: tuple[Architecture, ...]
    images: str
    reading: ReadingOptions
    file: Path
    device: str
    recipe: Recipe
    epochs: int
    before: Mapping[str, Reference]
    kept: Mapping[str, Reference]
    commit: str
    data_hash: str = ""
    changed: tuple[str, ...] = ()


def find_baseline(options: StudyOptions, gate: GateOptions, registry: Registry) -> Baseline:
    """Read the file, if there is one; what the options do not say stays as it is there.

    Raises:
        UsageError: Tracked files are changed, or references of two recipes would stand in one file.
        ActionError: Nothing says what to record.
        ArchitectureError: A file of a net is broken.
        ThresholdsError: The file cannot be used.
    """
    file, folder = gate.file, gate.file.parent
    if file.is_dir() or not folder.is_dir() or not os.access(file if file.exists() else folder, os.W_OK):
        raise ThresholdsError(f"'{file}' cannot be written; name a file in a folder that can.")  # before hours of work
    if not gate.force and (files := _changed(file)):
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        raise UsageError(
            f"--write-thresholds: tracked files differ from the commit ({printable(files[0])}{more}); commit them "
            "first, or record all the same with --force."
        )
    before = read_thresholds(file) if file.exists() else None
    references = before.references if before else {}
    nets = _choose(options, gate, registry, references)
    budget, commit = options.budgets[0].epochs if options.budgets else None, find_commit(file)
    images, reading = _choose_images(options, before, folder)
    baseline = Baseline(
        nets=nets,
        images=images,
        reading=reading,
        file=file,
        device=options.device if options.device != "auto" or before is None else before.device,
        recipe=options.recipe(before.recipe if before else None),
        epochs=budget or (before.epochs if before else _EPOCHS),
        before=references,
        kept={} if gate.every else {n: r for n, r in references.items() if n not in {net.name for net in nets}},
        commit=commit and commit + ("+changes" if _changed(file) else ""),
        data_hash=before.data_hash if before else "",
    )
    if before is None:
        return baseline
    pairs = {
        "dataset": (before.dataset, call_dataset(images, reading)),
        "device": (before.device, baseline.device),
        "recipe": (before.recipe.spelt, baseline.recipe.spelt),
        "epochs": (before.epochs, baseline.epochs),
    }
    changed = [f"{noun} {old} → {new}" for noun, (old, new) in pairs.items() if old != new]
    return _changing(baseline, changed)


def _choose_images(options: StudyOptions, before: Thresholds | None, folder: Path) -> tuple[str, ReadingOptions]:
    """What the dataset is made of, and how: as the user says, else as the file in that folder does."""
    if before is None or options.dataset != "auto":
        return options.dataset, options.reading
    return before.find_images(folder), before.reading if options.reading == ReadingOptions() else options.reading


def on_data(baseline: Baseline, dataset: DatasetMetadata) -> Baseline:
    """The baseline on the data that was found: other images under the old name change it too.

    Raises:
        UsageError: References of other images would stand in one file.
    """
    if baseline.data_hash in ("", dataset.data_hash):
        return baseline
    return _changing(baseline, [f"images {baseline.data_hash[:12]} → {dataset.data_hash[:12]}"])


def _changing(baseline: Baseline, changed: Sequence[str]) -> Baseline:
    """The baseline with what else it changes: one file holds references of one dataset, recipe and budget."""
    baseline = dataclasses.replace(baseline, changed=(*baseline.changed, *changed))
    if baseline.changed and baseline.kept:
        raise UsageError(
            f"--write-thresholds: {', '.join(baseline.changed)}, while {', '.join(baseline.kept)} would keep "
            "references made before; record all of them in one command, or name another file."
        )
    return baseline


def _choose(
    options: StudyOptions, gate: GateOptions, registry: Registry, references: Mapping[str, Reference]
) -> tuple[Architecture, ...]:
    if options.patterns:
        return tuple(registry.select(options.patterns))
    for fault in registry.broken.values():
        raise fault
    if gate.every:
        wanted = registry.all(variants=options.variants)
        recorded = [net for net in registry.architectures if net.name in references and net not in wanted]
        return (*wanted, *recorded)
    if not references:
        raise ActionError("--write-thresholds: nothing says which architectures; add --all or --arch NAME.")
    return tuple(registry.select(references))


def _changed(file: Path) -> list[str]:
    """Tracked files, but for the thresholds, that differ from the commit: a reference must say of which code it is."""
    changed = []
    for folder in (PROJECT, file.resolve().parent):
        checkout = find_checkout(folder)
        if checkout is not None:
            changed += [name for name in checkout.changed if (checkout.folder / name) != file.resolve()]
        elif is_checkout(folder):
            changed.append(f"whatever git would say of {folder}")
    return list(dict.fromkeys(changed))


@dataclasses.dataclass(kw_only=True)
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
        return [request for by_name in made for requests in by_name.values() for request in requests]

    def events(self) -> Generator[Event, None, None]:
        """Train the references, then look for first seeds that pass."""
        self.experiment.store.studies.forget_gate(self.experiment.name)  # it speaks of references that are replaced now
        yield from self.experiment.keep_metadata()
        nets = {net.name: net for net in self.experiment.architectures}
        trained = yield from train(self.experiment, self._requests(dict.fromkeys(nets, self.seeds)), role="reference")
        wanted: dict[str, Reference] = {}
        for name, records in trained.items():
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
            tried = yield from train(self.experiment, self._requests(dict.fromkeys(wanted, window)), role="gate")
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
        stay = self.baseline.kept.keys() | self.recorded.keys() | self.faults.keys()
        return sorted(self.baseline.before.keys() - stay)

    def write(self, file: Path) -> None:
        """Write what was recorded, if anything is writable; raises ThresholdsError."""
        if self.writable:
            write_thresholds(file, self.thresholds())

    def thresholds(self) -> Thresholds:
        """What the file shall hold: what was recorded, and what stays; what could not be recorded keeps its old one."""
        baseline, dataset = self.baseline, self.experiment.dataset
        failed = {name: baseline.before[name] for name in self.faults if name in baseline.before}
        return Thresholds(
            dataset=dataset.name,
            data_hash=dataset.data_hash,
            device=self.experiment.device,
            recipe=baseline.recipe,
            epochs=baseline.epochs,
            references={**baseline.kept, **failed, **dict(sorted(self.recorded.items()))},
            images=self._images(),
            reading=baseline.reading,
        )

    def _images(self) -> str:
        """What the dataset is made of, as the file writes it; empty for one that is as it was published."""
        images = self.baseline.images
        if is_path(images):
            path = os.path.relpath(Path(images).resolve(), self.baseline.file.parent.resolve())
            return path if path.startswith(".") else f".{os.sep}{path}"
        return "" if self.baseline.reading == ReadingOptions() else images

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
        experiment, metadata, baseline = self.experiment, self.experiment.metadata[net.name], self.baseline
        dataset, device = experiment.dataset, experiment.device
        accuracies = [round(record.val_accuracy or 0.0, 6) for record in records]
        # Runs that are all equal would make a gate that one image trips.
        deviation = round(max(statistics.stdev(accuracies), 1 / dataset.validation_images), 6)
        return Measurement(
            mean=round(math.fsum(accuracies) / len(accuracies), 6),
            deviation=deviation,
            runs=len(accuracies),
            params=metadata.params,
            macs=metadata.macs,
            trained=describe_training(baseline.recipe, baseline.epochs, dataset=dataset.name, device=device),
            recorded=dt.datetime.now(dt.UTC).date().isoformat(),
            commit=baseline.commit,
            torch=torch.__version__,
            engine=experiment.engine,
            architecture_hash=architecture_hash(net),
            allowed=find_allowed(accuracies, deviation),
            accuracies=tuple(accuracies),
        )


def _window(shift: int) -> tuple[int, ...]:
    return tuple(range(GATE_SEEDS + shift, GATE_SEEDS + shift + FIRST_SEEDS))
