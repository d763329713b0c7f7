"""From a command line to a check or a recording that can begin."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from bench.models.doctor.trial import Trial
from bench.models.registry import discover
from bench.studies.choosing import check_all
from bench.studies.gate.check import GateWork, check_data
from bench.studies.gate.record import Recording, find_baseline, on_data
from bench.studies.gate.seeds import find_source
from bench.studies.gate.selection import Selection
from bench.studies.gate.settings import refuse_contradiction
from bench.studies.gate.thresholds import read_thresholds
from bench.studies.machine import Hardware
from bench.studies.opening import open_experiment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.cli.arguments import Arguments
    from bench.core.gate import Thresholds
    from bench.data.datasets import Sample
    from bench.models.registry import Registry
    from bench.studies.gate.settings import GateSettings


@contextlib.contextmanager
def open_check(
    arguments: Arguments,
    settings: GateSettings,
    command: str,
    *,
    folder: Path,
    find_dataset: Callable[[str], Sample],
) -> Iterator[GateWork]:
    """A check of architectures against their references.

    Args:
        arguments: What the user asked for.
        settings: How to check.
        command: The command line that repeats it.
        folder: Where the registered architectures lie.
        find_dataset: Finds a dataset by its name, says what it found and gives some of its images.

    Raises:
        BenchError: The thresholds file, a flag beside it, an architecture, the data or the store cannot be used.
    """
    thresholds = read_thresholds(settings.file)
    refuse_contradiction(arguments, thresholds)
    trial = Trial()
    selection = _select(arguments, thresholds, discover(folder, trial.load))
    hardware, sample = Hardware.find(arguments, thresholds.device), find_dataset(thresholds.dataset)
    check_data(thresholds, sample.facts)
    selection.count(sample, device=hardware.device, check=trial.check)
    with open_experiment(
        dataclasses.replace(arguments, dataset=thresholds.dataset),
        command,
        architectures=selection.nets,
        facts=selection.facts,
        sample=sample,
        hardware=hardware,
    ) as experiment:
        yield GateWork(
            experiment=experiment,
            thresholds=thresholds,
            judged=selection.judged,
            source=find_source(settings.file, thresholds, selection.nets),
        )


def _select(arguments: Arguments, thresholds: Thresholds, registry: Registry) -> Selection:
    selection = Selection(thresholds)
    if arguments.all:
        selection.add_all(registry, variants=arguments.variants)
    elif arguments.patterns:
        selection.add_named(arguments.patterns, registry)
    else:
        selection.add_references(registry)
    return selection


@contextlib.contextmanager
def open_recording(
    arguments: Arguments,
    settings: GateSettings,
    command: str,
    *,
    folder: Path,
    find_dataset: Callable[[str], Sample],
) -> Iterator[Recording]:
    """A recording of references; for the arguments see `open_check`.

    Raises:
        BenchError: Nothing says what to record, an architecture, the data or the store cannot be used, or tracked files
            are changed.
    """
    trial = Trial()
    baseline = find_baseline(arguments, settings, discover(folder, trial.load))
    hardware, sample = Hardware.find(arguments, baseline.device), find_dataset(baseline.dataset)
    baseline = on_data(baseline, sample.facts)
    facts = check_all(baseline.nets, sample, trial=trial, device=hardware.device, folder=folder)
    with open_experiment(
        dataclasses.replace(arguments, dataset=baseline.dataset),
        command,
        architectures=baseline.nets,
        facts=facts,
        sample=sample,
        hardware=hardware,
    ) as experiment:
        yield Recording(experiment=experiment, baseline=baseline, runs=settings.runs)
