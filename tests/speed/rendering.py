"""How long a report takes, from the store to the last file: 24 runs, and 1,000 in two shapes.

    python -m tests.speed.rendering

Runs are made up (their curves and accuracies as in the tests of the reports), with predictions of 10,000 test images
each and the pictures of the embedded digits; what is timed is what `--report` does once it has started.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.core.records import Predictions
from bench.data.datasets import load_dataset
from bench.store.store import open_store
from bench.studies.pictures import take_pictures
from bench.system.environment import describe_environment
from reports.write import write_report
from tests.factories import MNIST, NETS, make_metadata, make_request, make_run

if TYPE_CHECKING:
    from bench.core.records import RunRecord
    from bench.store.store import Store

TEST_IMAGES = 10_000
SHAPES = ((4, 6), (4, 250), (50, 20))
"""Nets and seeds."""


def fill(store: Store, *, nets: int, seeds: int) -> None:
    """Store a study of so many made-up runs."""
    labels = np.random.default_rng(0).integers(10, size=TEST_IMAGES).astype(np.uint8)
    kinds = list(NETS)
    requests = []
    store.artifacts.add_dataset(MNIST)
    store.artifacts.add_pictures(MNIST.data_hash, take_pictures(load_dataset("mnist5k", Path("data"))))
    for number in range(nets):
        kind = kinds[number % len(kinds)]
        name = f"{kind}-{number}"
        metadata = dataclasses.replace(make_metadata(kind), architecture=name, architecture_hash=name)
        store.artifacts.add_architecture(metadata)
        for seed in range(seeds):
            request = make_request(seed, name=name, architecture_hash=name, data_hash=MNIST.data_hash)
            requests.append(request)
            record, curve = make_run(kind, seed=seed + 100 * number)
            named = dataclasses.replace(
                record, run_id=request.id, request_id=request.id, cohort=request.cohort, architecture=name,
                architecture_hash=name, seed=seed, split_seed=seed,
            )  # fmt: skip
            store.runs.add(named, curve, [predict(named, labels, seed=seed + 1_000 * number)])
    store.studies.plan("main", command="made up", requests=requests, role="compare")


def predict(record: RunRecord, labels: np.ndarray, *, seed: int) -> Predictions:
    """Answers with as many errors as the record's accuracy says, most of them on the same hard images."""
    noise = np.random.default_rng(seed)
    wrong = round((1 - (record.test_accuracy or 0.0)) * TEST_IMAGES)
    hard = np.random.default_rng(1).permutation(TEST_IMAGES)[: 2 * wrong]
    answers = labels.copy()
    for image in noise.permutation(hard)[:wrong]:
        answers[image] = (labels[image] + 1 + noise.integers(9)) % 10
    confidence = noise.uniform(0.6, 1.0, TEST_IMAGES).astype(np.float32)
    return Predictions(
        split="test", images=np.arange(TEST_IMAGES, dtype=np.int32), labels=labels, predicted=answers,
        confidence=confidence, true_probability=confidence,
    )  # fmt: skip


def main() -> None:
    """Fill a store of each shape, then read it and write its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    environment = describe_environment()
    print(f"{environment['cpu']}, {environment['cores']} cores")
    print("| nets × seeds | runs | read (s) | write (s) | together (s) | report.html (MB) | most memory so far (MiB) |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for nets, seeds in SHAPES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with open_store(f"sqlite:///{folder}/bench.db") as store:
                fill(store, nets=nets, seeds=seeds)
                started = time.perf_counter()
                study = store.studies.load("main")
                loaded = time.perf_counter()
                report = write_report(study, folder)
                ended = time.perf_counter()
            size = report.html.stat().st_size / 1e6
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kB on Linux; filling is in it
            times = (loaded - started, ended - loaded, ended - started)
            seconds = " | ".join(f"{s:.1f}" for s in times)
            print(
                f"| {nets} × {seeds} | {nets * seeds:,} | {seconds} | {size:.1f} | {memory:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
