"""Which architectures a command trains: those that it chooses and that can be trained on the dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.core.errors import ArchitectureError, DiedError, MisfitError
from bench.core.metadata import Diagnosis, Finding
from bench.models.registry import discover
from bench.system.environment import usable_cores
from bench.system.process import work_at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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
            known = {(net.name, net.file) for net in nets}
            nets += [net for net in registry.select([pattern]) if (net.name, net.file) not in known]
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

    diagnoses, names = [], [net.name for net in fitted]
    examined = work_at_once(examine_one, fitted, at_once=_at_once(fitted), watch=watch)
    for net, found in zip(fitted, examined, strict=True):
        if not isinstance(found, MisfitError):
            label = f"{net.name} ({net.file.name})" if net.file and names.count(net.name) > 1 else net.name
            diagnoses.append(dataclasses.replace(found, architecture=label))
        elif left_out is None:
            raise found
        else:
            left_out.append(str(found))
    return diagnoses


def _at_once(nets: Sequence[Architecture]) -> int:
    """How many nets are tried at once: who is known to this program alone is tried in it, and by nobody beside."""
    return usable_cores() if all(net.can_be_sent for net in nets) else 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """Nets that can be trained on a dataset.

    Attributes:
        nets: They, fitted to it.
        metadata: What was counted of each, by name.
        diagnoses: What the doctor found in all that were examined, also in those that are left out for it.
    """

    nets: Sequence[Architecture]
    metadata: Mapping[str, ArchitectureMetadata]
    diagnoses: Sequence[Diagnosis]


def fit_all(
    architectures: Iterable[Architecture],
    sample: Sample,
    *,
    trial: Trial,
    hardware: Hardware,
    folder: Path,
    left_out: LeftOut | None = None,
    examines: bool = False,
    watch: Callable[[int], None] = lambda _done: None,
) -> Fitted:
    """Those that can be trained on the dataset, fitted to it.

    One that cannot take its images joins what is left out; without that it is raised. Where the doctor is asked, what
    cannot be run is a diagnosis like one with an error, as long as another can, and none may be left. `watch` is told
    how many have been tried.

    Raises:
        ArchitectureError: One cannot be run and none may be left out, or there is none that can.
    """
    fitted = [architecture.fitted_to(sample.metadata) for architecture in architectures]

    results = try_each(fitted, sample, trial=trial, hardware=hardware, examines=examines, watch=watch)
    outcomes = {net.name: tried.outcome for net, tried in zip(fitted, results, strict=True)}
    refused = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, ArchitectureError)}
    is_any_run = len(refused) < len(fitted)
    diagnoses = [tried.diagnosis for tried in results if tried.diagnosis is not None] if is_any_run else []
    diagnosed = {diagnosis.architecture for diagnosis in diagnoses}
    _leave_out([refusal for name, refusal in refused.items() if name not in diagnosed], refused, left_out)
    if not is_any_run:
        lines = left_out.lines if left_out else []
        raise ArchitectureError(lines[0] if lines else f"No architecture in {folder}; add a file.")
    ill = {diagnosis.architecture for diagnosis in diagnoses if diagnosis.errors}
    metadata = {
        name: outcome
        for name, outcome in outcomes.items()
        if not isinstance(outcome, ArchitectureError) and name not in ill
    }
    return Fitted(nets=[net for net in fitted if net.name in metadata], metadata=metadata, diagnoses=diagnoses)


def _leave_out(
    unsaid: Sequence[ArchitectureError], refused: Mapping[str, ArchitectureError], left_out: LeftOut | None
) -> None:
    """Let refusals that no diagnosis says join what is left out; without that raise the first, naming the others."""
    if left_out is not None:
        for refusal in unsaid:
            (left_out.misfits if isinstance(refusal, MisfitError) else left_out.broken).append(str(refusal))
    elif unsaid:
        others = [name for name, refusal in refused.items() if refusal is not unsaid[0]]
        also = f" Refused as well: {', '.join(others)}." if others else ""
        raise ArchitectureError(f"{unsaid[0]}{also}") from unsaid[0].__cause__


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
    examines: bool = False,
    watch: Callable[[int], None] = lambda _done: None,
) -> list[Tried]:
    """What comes of each net, in order, several being tried at once; `watch` is told how many have been.

    What is noted of them joins the notes of the trial.
    """

    def try_one(net: Architecture) -> Tried:
        return _try_net(net, sample, trial.twin(), hardware, examines=examines)

    results = work_at_once(try_one, fitted, at_once=_at_once(fitted), watch=watch)
    trial.notes += [note for tried in results for note in tried.notes]
    return results


def _try_net(net: Architecture, sample: Sample, trial: Trial, hardware: Hardware, *, examines: bool) -> Tried:
    try:
        counted = trial.check(net, sample, device=hardware.device, engine=hardware.engine)
    except MisfitError as misfit:
        return Tried(misfit, None, trial.notes)
    except ArchitectureError as refusal:
        return Tried(refusal, _diagnose_refused(net, sample, trial, refusal) if examines else None, trial.notes)
    return Tried(counted, trial.examine(net, sample, was_checked=True) if examines else None, trial.notes)


def _diagnose_refused(net: Architecture, sample: Sample, trial: Trial, refusal: ArchitectureError) -> Diagnosis:
    """Why a net cannot be run, in the doctor's words where it has some."""
    said = trial.refuse(net, sample, refusal)
    if isinstance(refusal.__cause__, DiedError):  # it would crash, or hang, once more
        return said
    found = trial.examine(net, sample)
    return found if found.errors else dataclasses.replace(found, findings=(*said.findings, *found.findings))
