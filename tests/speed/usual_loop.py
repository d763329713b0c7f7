"""Training images/s of the suite against the usual torchvision + DataLoader loop, measured side by side in one run.

    python -m tests.speed.usual_loop --data-dir DIR

The usual loop gets both cores and, each time, a process of its own as it has in a script, because what a process
allocated before changes how fast it trains: once with DataLoader's default of loading in the training process and once
with two loader processes. The suite trains two runs at once, one thread each, as a study does. Its rate is the sum of
both training clocks, and beside it stands what the wall clock bears out: images over the time in which both runs were
under way, evaluation included.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from bench.core.metadata import Proof
from bench.core.run import RunRequest, Task, Workplace
from bench.data.datasets import load_dataset
from bench.data.download import import_torchvision
from bench.execution.pool import open_pool
from bench.models.fingerprint import architecture_hash
from bench.models.registry import discover
from bench.models.rewriting.rewrite import layouts
from bench.spec import Architecture, Budget, Recipe
from bench.store.store import open_store
from bench.system.environment import describe_environment
from bench.training.loop import ENGINE_VERSION
from tests import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.execution.pool import Pool

BATCH = 128


def usual_rate(architecture: Architecture, folder: Path, *, steps: int, loader_workers: int) -> float:
    """Images/s of the loop that tutorials show, on all cores, in a fresh process."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_train_as_usual, architecture, folder, steps, loader_workers).result()


def _train_as_usual(architecture: Architecture, folder: Path, steps: int, loader_workers: int) -> float:
    torchvision = import_torchvision()
    transform = torchvision.transforms.Compose(
        [torchvision.transforms.ToTensor(), torchvision.transforms.Normalize((0.1307,), (0.3081,))]
    )
    dataset = torchvision.datasets.MNIST(folder, train=True, transform=transform)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        num_workers=loader_workers,
        multiprocessing_context="fork" if loader_workers else None,  # a script's default; here it would be "spawn"
    )
    model = architecture.build()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    started = time.perf_counter()
    for done, (images, labels) in enumerate(loader, start=1):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        if done == 10:  # the first steps warm up
            started = time.perf_counter()
        if done == steps + 10:
            break
    return steps * BATCH / (time.perf_counter() - started)


def suite_rates(pool: Pool, architecture: Architecture, data_hash: str, *, seeds: Sequence[int]) -> tuple[float, float]:
    """Images/s of busy workers, one a seed: summed over their training clocks, and over the wall clock."""
    started = time.perf_counter()
    futures = [pool.submit(make_task(architecture, data_hash, seed=seed)) for seed in seeds]
    records = [future.result() for future in futures]
    wall = time.perf_counter() - started
    rate = sum(record.train_images_per_second or 0.0 for record in records)
    return rate, sum((record.steps or 0) * BATCH for record in records) / wall


def make_task(architecture: Architecture, data_hash: str, *, seed: int, epochs: int = 1) -> Task:
    """A run of the shared recipe on MNIST."""
    request = RunRequest(
        architecture=architecture,
        architecture_hash=architecture_hash(architecture),
        recipe=Recipe(batch_size=BATCH),
        budget=Budget(epochs=epochs),
        dataset="mnist",
        data_hash=data_hash,
        seed=seed,
        split_seed=seed,
        device="cpu",
        torch_version=torch.__version__,
        engine_version=ENGINE_VERSION,
    )
    proof = Proof(layout=layouts(architecture.build(), "cpu")[0])
    return Task(
        request=request, attempt=1, recipe_name="shared", params=0, macs=0, timeout_seconds=3_600.0, proof=proof
    )


def _unpack(data_dir: Path, folder: Path) -> None:
    """MNIST as torchvision wants it: unpacked, in its own layout."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in (data_dir / "MNIST" / "raw").glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))


def measure(pool: Pool, architecture: Architecture, folder: Path, given: argparse.Namespace) -> list[list[float]]:
    """Rounds of: usual loop, usual loop with loader processes, suite, suite by the wall clock."""
    data_hash = load_dataset("mnist", given.data_dir).metadata.data_hash
    rounds = []
    for number in range(given.rounds + 1):
        usual, loaders = (
            usual_rate(architecture, folder, steps=given.steps, loader_workers=processes) for processes in (0, 2)
        )
        rates = suite_rates(pool, architecture, data_hash, seeds=(2 * number, 2 * number + 1))
        rounds.append([usual, loaders, *rates])
    return rounds[1:]  # the first round warms everything up


def main() -> None:
    """Measure and print the table: medians over the rounds, the ratios' range behind them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--arch", action="append", help="default: every architecture that is no variant")
    parser.add_argument("--steps", type=int, default=100, help="steps of the usual loop in a round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    registry = discover(ROOT / "architectures")
    environment = describe_environment()
    print(f"{environment['cpu']}, {environment['cores']} cores, torch {torch.__version__}, {given.rounds} rounds")
    print("| architecture | usual loop | with 2 loader processes | suite, 2 workers | ratio | by the wall clock |")
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _unpack(given.data_dir, folder)
        store_url = f"sqlite:///{folder}/bench.db"
        open_store(store_url).close()
        workplace = Workplace(results=folder, store_url=store_url, data_dir=given.data_dir, jobs=2)
        with open_pool(workplace) as pool:
            for architecture in registry.select(given.arch) if given.arch else registry.all():
                rounds = measure(pool, architecture, folder, given)
                usual, loaders, rate, wall = (statistics.median(values) for values in zip(*rounds, strict=True))
                ratios = sorted(one[2] / one[0] for one in rounds)
                ratio = f"{statistics.median(ratios):.2f}× ({ratios[0]:.2f}–{ratios[-1]:.2f})"
                columns = [f"{usual:,.0f}", f"{loaders:,.0f}", f"{rate:,.0f}", ratio, f"{wall:,.0f}"]
                print(f"| {architecture.name} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
