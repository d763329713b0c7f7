"""From options to a check or a recording that can begin."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bench.core.errors import UsageError
from bench.core.recipe import spell
from bench.models.doctor.trial import Trial
from bench.models.registry import discover
from bench.studies.choosing import check_all
from bench.studies.gate.check import GateWork, check_data
from bench.studies.gate.record import Recording, find_baseline, on_data
from bench.studies.gate.seeds import find_source
from bench.studies.gate.selection import Selection
from bench.studies.gate.thresholds import read_thresholds
from bench.studies.machine import Hardware
from bench.studies.opening import open_experiment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.core.gate import Thresholds
    from bench.core.options import GateOptions, StudyOptions
    from bench.data.datasets import Sample
    from bench.models.registry import Registry


@contextlib.contextmanager
def open_check(
    options: StudyOptions, gate: GateOptions, *, folder: Path, find_dataset: Callable[[str], Sample]
) -> Iterator[GateWork]:
    """A check of architectures against their references.

    Args:
        options: Which architectures, and where.
        gate: How to check.
        folder: Where the registered architectures lie.
        find_dataset: Finds a dataset by its name, says what it found and gives some of its images.

    Raises:
        BenchError: The thresholds file, a flag beside it, an architecture, the data or the store cannot be used.
    """
    thresholds = read_thresholds(gate.file)
    refuse_contradiction(options, thresholds)
    trial = Trial()
    selection = _select(options, gate, thresholds, discover(folder, trial.load))
    hardware, sample = Hardware.find(options, thresholds.device), find_dataset(thresholds.dataset)
    check_data(thresholds, sample.facts)
    selection.count(sample, device=hardware.device, check=trial.check)
    with open_experiment(
        options,
        architectures=selection.nets,
        facts=selection.facts,
        sample=sample,
        hardware=hardware,
        is_gate=True,
    ) as experiment:
        yield GateWork(
            experiment=experiment,
            thresholds=thresholds,
            judged=selection.judged,
            source=find_source(gate.file, thresholds, selection.nets),
        )


def _select(options: StudyOptions, gate: GateOptions, thresholds: Thresholds, registry: Registry) -> Selection:
    selection = Selection(thresholds)
    if gate.every:
        selection.add_all(registry, variants=options.variants)
    elif options.patterns:
        selection.add_named(options.patterns, registry)
    else:
        selection.add_references(registry)
    return selection


@contextlib.contextmanager
def open_recording(
    options: StudyOptions, gate: GateOptions, *, folder: Path, find_dataset: Callable[[str], Sample]
) -> Iterator[Recording]:
    """A recording of references; for the arguments see `open_check`.

    Raises:
        BenchError: Nothing says what to record, an architecture, the data or the store cannot be used, or tracked files
            are changed.
    """
    trial = Trial()
    baseline = find_baseline(options, gate, discover(folder, trial.load))
    hardware, sample = Hardware.find(options, baseline.device), find_dataset(baseline.dataset)
    baseline = on_data(baseline, sample.facts)
    facts = check_all(baseline.nets, sample, trial=trial, device=hardware.device, folder=folder)
    with open_experiment(
        options,
        architectures=baseline.nets,
        facts=facts,
        sample=sample,
        hardware=hardware,
        is_gate=True,
    ) as experiment:
        yield Recording(experiment=experiment, baseline=baseline, runs=gate.runs)


def refuse_contradiction(options: StudyOptions, thresholds: Thresholds) -> None:
    """Refuse options that say other than the thresholds file does: its references would mean nothing.

    Raises:
        UsageError: An option contradicts the file.
    """
    said: list[tuple[str, object, object]] = [
        (f"--{name.replace('_', '-')}", value, getattr(thresholds.recipe, name))
        for name, value in options.recipe_changes.items()
    ]
    said += [("--epochs", budget.epochs, thresholds.epochs) for budget in options.budgets]
    if options.dataset != "auto":
        said.append(("--dataset", options.dataset, thresholds.dataset))
    if options.device != "auto":
        said.append(("--device", options.device, thresholds.device))
    for flag, given, recorded in said:
        if given != recorded:
            there = "none" if recorded is None else spell(recorded)
            raise UsageError(
                f"{flag} {spell(given)} contradicts the thresholds file, which says {there}; leave it out, "
                "or record other references with --write-thresholds."
            )
