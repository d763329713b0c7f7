"""From a command line to a check or a recording that can begin."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from bench.gate.baseline import find_baseline, on_data
from bench.gate.file import read_thresholds
from bench.gate.recording import Recording
from bench.gate.seeds import find_source
from bench.gate.selection import Selection
from bench.gate.settings import refuse_contradiction
from bench.gate.work import GateWork, check_data
from bench.hardware import Hardware
from bench.nets.choosing import check_all
from bench.nets.registry import discover
from bench.nets.trial import Trial
from bench.opening import open_experiment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.arguments import Arguments
    from bench.data.sample import Sample
    from bench.gate.references import Thresholds
    from bench.gate.settings import GateSettings
    from bench.nets.registry import Registry


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
