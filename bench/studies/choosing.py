"""Which architectures a command trains: those that it chooses and that can be trained on the dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import ArchitectureError, MisfitError
from bench.core.metadata import Diagnosis, Finding
from bench.models.registry import discover
from bench.system.environment import usable_cores
from bench.system.process import work_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.core.architecture import Architecture
    from bench.core.metadata import ArchitectureMetadata
    from bench.core.options import StudyOptions
    from bench.data.datasets import Sample
    from bench.models.doctor.trial import Trial
    from bench.studies.machine import Hardware


@dataclasses.dataclass(kw_only=True)
class LeftOut:
    """What a command goes on without, each in one line.

    Attributes:
        broken: Files that cannot be loaded and nets that cannot be trained.
        misfits: Sound nets that cannot take the images of the dataset, which is no fault of anybody.
    """

    broken: list[str] = dataclasses.field(default_factory=list)
    misfits: list[str] = dataclasses.field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """All of them."""
        return self.broken + self.misfits


def choose(options: StudyOptions, folder: Path, trial: Trial) -> tuple[list[Architecture], LeftOut]:
    """The architectures asked for, and what is wrong with other registered files.

    Raises:
        UnknownNameError: Nothing has a name that is asked for.
        ArchitectureError: A file that is asked for cannot be loaded.
    """
    registry = discover(folder, trial.load)
    if options.patterns:
        return registry.select(options.patterns), LeftOut()
    broken = [str(error) for error in registry.broken.values()]
    return registry.all(variants=options.variants), LeftOut(broken=broken)


def choose_each(options: StudyOptions, folder: Path, trial: Trial) -> tuple[list[Architecture], list[Diagnosis]]:
    """The architectures asked for, and of files that cannot be loaded a diagnosis that says so.

    Raises:
        UnknownNameError: Nothing has a name that is asked for.
        ArchitectureError: A file that is asked for does not exist, or the folder cannot be read.
    """
    registry = discover(folder, trial.load)
    if not options.patterns:
        broken = [_cannot_load(path.name, fault) for path, fault in registry.broken.items()]
        return registry.all(variants=options.variants), broken
    nets: list[Architecture] = []
    broken = []
    for pattern in options.patterns:
        try:
            nets += [net for net in registry.select([pattern]) if net.name not in {known.name for known in nets}]
        except ArchitectureError as fault:
            file = Path(pattern if pattern.endswith(".py") else pattern.rpartition(":")[0])
            if not (file.suffix == ".py" and file.is_file()) and pattern not in {path.stem for path in registry.broken}:
                raise
            broken.append(_cannot_load(pattern, fault))
    return nets, broken


def _cannot_load(name: str, fault: ArchitectureError) -> Diagnosis:
    return Diagnosis(
        architecture=name, findings=(Finding(level="error", check="loads", message=str(fault).rstrip(".")),)
    )


def diagnose_all(
    architectures: Iterable[Architecture],
    sample: Sample,
    *,
    trial: Trial,
    left_out: list[str] | None = None,
    watch: Callable[[int], None] = lambda _done: None,
) -> list[Diagnosis]:
    """What the doctor finds in each, fitted to the dataset; sound nets that cannot take its images are left out.

    `watch` is told how many have been examined.

    Raises:
        MisfitError: One cannot take the images, and none may be left out.
    """
    fitted = [architecture.fitted_to(sample.metadata) for architecture in architectures]

    def examine_one(net: Architecture) -> Diagnosis | MisfitError:
        try:
            return trial.twin().examine(net, sample)
        except MisfitError as misfit:
            return misfit

    diagnoses = []
    for found in work_at_once(examine_one, fitted, at_once=_at_once(fitted), watch=watch):
        if not isinstance(found, MisfitError):
            diagnoses.append(found)
        elif left_out is None:
            raise found
        else:
            left_out.append(str(found))
    return diagnoses


def _at_once(nets: Sequence[Architecture]) -> int:
    """How many nets are tried at once: who is known to this program alone is tried in it, and by nobody beside."""
    return usable_cores() if all(net.can_be_sent for net in nets) else 1


def fit_all(
    architectures: Iterable[Architecture],
    sample: Sample,
    *,
    trial: Trial,
    hardware: Hardware,
    folder: Path,
    left_out: LeftOut | None = None,
    diagnoses: list[Diagnosis] | None = None,
    watch: Callable[[int], None] = lambda _done: None,
) -> tuple[list[Architecture], dict[str, ArchitectureMetadata]]:
    """Those that can be trained on the dataset, fitted to it, and what was counted of each, by name.

    Those that cannot be run join what is left out so far; without that the first is raised, and the others are named.
    What the doctor finds of the others joins the diagnoses, and those with an error are left out too, so that none may
    be left; without diagnoses it is not asked. `watch` is told how many have been tried.

    Raises:
        ArchitectureError: One cannot be run and none may be left out, or there is none that can.
    """
    fitted = [architecture.fitted_to(sample.metadata) for architecture in architectures]
    nets: list[Architecture] = []
    metadata: dict[str, ArchitectureMetadata] = {}
    refused: dict[str, ArchitectureError] = {}

    is_examined = diagnoses is not None
    results = try_each(fitted, sample, trial=trial, hardware=hardware, is_examined=is_examined, watch=watch)
    for net, tried in zip(fitted, results, strict=True):
        trial.notes += tried.notes
        if isinstance(tried.outcome, ArchitectureError):
            refused[net.name] = tried.outcome
            continue
        if diagnoses is not None and tried.diagnosis is not None:
            diagnoses.append(tried.diagnosis)
            if tried.diagnosis.errors:
                continue
        metadata[net.name] = tried.outcome
        nets.append(net)
    if left_out is not None:
        for refusal in refused.values():
            (left_out.misfits if isinstance(refusal, MisfitError) else left_out.broken).append(str(refusal))
    elif refused:
        first, *others = refused
        also = f" Refused as well: {', '.join(others)}." if others else ""
        raise ArchitectureError(f"{refused[first]}{also}") from refused[first].__cause__
    if not metadata and not diagnoses:
        lines = left_out.lines if left_out else []
        raise ArchitectureError(lines[0] if lines else f"No architecture in {folder}; add a file.")
    return nets, metadata


class Tried(NamedTuple):
    """What came of a net: what was counted of it or why it cannot be run, what the doctor finds, and what is noted."""

    outcome: ArchitectureMetadata | ArchitectureError
    diagnosis: Diagnosis | None
    notes: list[str]


def try_each(
    fitted: Sequence[Architecture],
    sample: Sample,
    *,
    trial: Trial,
    hardware: Hardware,
    is_examined: bool = False,
    watch: Callable[[int], None] = lambda _done: None,
) -> list[Tried]:
    """What comes of each net, in order, several being tried at once; `watch` is told how many have been."""

    def try_one(net: Architecture) -> Tried:
        return _try_net(net, sample, trial.twin(), hardware, is_examined=is_examined)

    return work_at_once(try_one, fitted, at_once=_at_once(fitted), watch=watch)


def _try_net(net: Architecture, sample: Sample, trial: Trial, hardware: Hardware, *, is_examined: bool) -> Tried:
    try:
        counted = trial.check(net, sample, device=hardware.device, engine=hardware.engine)
    except ArchitectureError as error:
        return Tried(error, None, trial.notes)
    return Tried(counted, trial.examine(net, sample, was_checked=True) if is_examined else None, trial.notes)
