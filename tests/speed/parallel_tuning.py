"""Training images per second of a search on one worker and on two: the same trials, none of them pruned.

    python -m tests.speed.parallel_tuning --data-dir DIR

What counts is the wall clock from the start of the search to its last trial, evaluation, storing and the start of the
workers included. Each round searches anew, in a directory of its own, first with one worker and then with two.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from bench.cli.arguments import parse_arguments
from bench.core.events import TrialFinished, TuningStarted
from bench.core.run import Workplace
from bench.data.datasets import find_dataset, take_sample
from bench.models.doctor.check import check
from bench.models.registry import discover
from bench.store.store import open_store
from bench.studies.experiment import Experiment
from bench.studies.machine import Hardware
from bench.studies.tuning.study import TuningWork
from bench.system.environment import describe_environment
from tests import ROOT


def images_per_second(given: argparse.Namespace, *, jobs: int) -> float:
    """Training images of all trials over the wall clock of the search."""
    with tempfile.TemporaryDirectory() as name:
        words = ["--arch", given.arch, "--tune", "--trials", str(given.trials), "--epochs", str(given.epochs)]
        words += ["--pruner", "none", "--sampler", "random", "--jobs", str(jobs), "--seeds", "1", "--no-timing"]
        arguments = parse_arguments([*words, "--results", name, "--data-dir", str(given.data_dir)])
        sample = take_sample(find_dataset("mnist", given.data_dir))
        architectures = discover(ROOT / "architectures").select([given.arch])
        place = Workplace(results=Path(name), store_url=arguments.options.store_url, data_dir=given.data_dir, jobs=jobs)
        with open_store(arguments.options.store_url) as store:
            experiment = Experiment(
                name="speed", options=arguments.options, architectures=architectures, sample=sample,
                hardware=Hardware.find(arguments.options, "cpu"), workplace=place, store=store,
                metadata={net.name: check(net, sample, device="cpu") for net in architectures},
            )  # fmt: skip
            assert arguments.tune is not None
            images, started, ended = 0, 0.0, 0.0
            events = TuningWork(experiment=experiment, tune_options=arguments.tune).events()
            for event in events:
                if isinstance(event, TuningStarted):
                    started = time.perf_counter()
                if isinstance(event, TrialFinished):
                    images, ended = images + event.trial.images, time.perf_counter()
                    if event.done == event.total:
                        break
            events.close()
    return images / (ended - started)


def main() -> None:
    """Measure and print both rates, their ratio's median and its range."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--arch", default="bn25k")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    environment = describe_environment()
    print(f"{environment['cpu']}, {environment['cores']} cores, {given.arch}, {given.trials} trials", flush=True)
    rates = [[images_per_second(given, jobs=jobs) for jobs in (1, 2)] for _ in range(given.rounds)]
    one, two = (statistics.median(values) for values in zip(*rates, strict=True))
    ratios = sorted(rate[1] / rate[0] for rate in rates)
    print(f"one worker {one:,.0f} images/s, two {two:,.0f}: {statistics.median(ratios):.2f}× "
          f"({ratios[0]:.2f}–{ratios[-1]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
