"""Training images/s of both engines against the usual torchvision + DataLoader loop, side by side in one run.

    python -m tests.speed.usual_loop --data-dir DIR

The usual loop gets both cores and, each time, a process of its own as it has in a script, because what a process
allocated before changes how fast it trains: once with DataLoader's default of loading in the training process and once
with two loader processes. Its environment is what a script has; the suite's workers have their own
(`bench.system.worker_environment`), as in a study. The suite trains two runs at once, one thread each, with one engine
and then with the other in every round. A rate is the sum of both training clocks, and beside that of the lanes stands
what the wall clock bears out: images over the time in which both runs were under way, evaluation included.

The share of the peak is arithmetic done by one worker over what this machine's sgemm does on one thread in the same
run, its best: three passes of 2 MACs an image, although the first layer needs no gradient of its images.
"""

from __future__ import annotations

import argparse
import dataclasses
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
from bench.data.published.download import import_torchvision
from bench.execution.pool import open_pool
from bench.execution.profiling.phase import fresh_process
from bench.models.counts import count_architecture
from bench.models.fingerprint import architecture_hash
from bench.models.registry import discover
from bench.models.rewriting.kernels.library import kernels_name, load_kernels
from bench.models.rewriting.rewrite import layouts
from bench.spec import Architecture, Budget, Recipe
from bench.store.store import open_store
from bench.system.environment import describe_environment
from bench.training.loop import ENGINE_VERSION
from tests import ROOT
from tests.speed.peak import sgemm_peak

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.execution.pool import Pool

BATCH = 128
WORKERS = 2
FUNCTIONAL = ROOT / "tests" / "speed" / "functional_net.py"
"""A net without an `nn.Sequential`, measured beside those that are asked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """Images/s of one round, and its sgemm peak in operations/s."""

    usual: float
    loaders: float
    torch: float
    lanes: float
    lanes_wall: float
    peak: float


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


def suite_rates(
    pool: Pool, architecture: Architecture, data_hash: str, *, seeds: Sequence[int], engine: str = "torch"
) -> tuple[float, float]:
    """Images/s of busy workers, one a seed: summed over their training clocks, and over the wall clock."""
    started = time.perf_counter()
    futures = [pool.submit(make_task(architecture, data_hash, seed=seed, engine=engine)) for seed in seeds]
    records = [future.result() for future in futures]
    wall = time.perf_counter() - started
    rate = sum(record.train_images_per_second or 0.0 for record in records)
    return rate, sum((record.steps or 0) * BATCH for record in records) / wall


def make_task(architecture: Architecture, data_hash: str, *, seed: int, epochs: int = 1, engine: str = "torch") -> Task:
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
        engine=engine,
    )
    proof = Proof(layout=layouts(architecture.build(), "cpu", engine=engine)[0])
    return Task(
        request=request, attempt=1, recipe_name="shared", params=0, macs=0, timeout_seconds=3_600.0, proof=proof
    )


def _unpack(data_dir: Path, folder: Path) -> None:
    """MNIST as torchvision wants it: unpacked, in its own layout."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in (data_dir / "MNIST" / "raw").glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))


def measure(pool: Pool, architecture: Architecture, folder: Path, given: argparse.Namespace) -> list[Round]:
    """Rounds of: usual loop, usual loop with loader processes, the suite with each engine; peak."""
    data_hash = load_dataset("mnist", given.data_dir).metadata.data_hash
    rounds = []
    for number in range(given.rounds + 1):
        usual, loaders = (
            usual_rate(architecture, folder, steps=given.steps, loader_workers=processes) for processes in (0, 2)
        )
        seeds = range(WORKERS * number, WORKERS * (number + 1))
        plain, _ = suite_rates(pool, architecture, data_hash, seeds=seeds)
        lanes, wall = suite_rates(pool, architecture, data_hash, seeds=seeds, engine="lanes")
        with fresh_process(limit_seconds=60) as fresh:
            peak = fresh.submit(sgemm_peak).result()
        rounds.append(Round(usual=usual, loaders=loaders, torch=plain, lanes=lanes, lanes_wall=wall, peak=peak))
    return rounds[1:]  # the first round warms everything up


def share_of_peak(rate: float, *, macs: int, peak: float) -> float:
    """Share of the peak (operations/s) at which each worker trains, of all workers' images/s: 2 MACs, three passes."""
    return 2 * 3 * macs * rate / WORKERS / peak


HEADINGS = (
    "architecture",
    "usual loop",
    "with 2 loader processes",
    "torch engine",
    "ratio",
    "of the peak",
    "lanes engine",
    "ratio",
    "of the peak",
    "lanes by the wall clock",
    "lanes / torch",
)


def row(name: str, rounds: list[Round], *, macs: int, peak: float) -> str:
    """A line of the table: medians, behind ratios their range; `peak` is the best of the whole run."""

    def median(field: str) -> float:
        return float(statistics.median(getattr(one, field) for one in rounds))

    def ratio(above: str, below: str) -> str:
        ratios = sorted(getattr(one, above) / getattr(one, below) for one in rounds)
        return f"{statistics.median(ratios):.2f}× ({ratios[0]:.2f}–{ratios[-1]:.2f})"

    def share(field: str) -> str:
        return f"{share_of_peak(median(field), macs=macs, peak=peak):.0%}"

    cells = [name, *(f"{median(field):,.0f}" for field in ("usual", "loaders"))]
    for engine in ("torch", "lanes"):
        cells += [f"{median(engine):,.0f}", ratio(engine, "usual"), share(engine)]
    cells += [f"{median('lanes_wall'):,.0f}", ratio("lanes", "torch")]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--arch", action="append", help="default: every architecture that is no variant")
    parser.add_argument("--steps", type=int, default=100, help="steps of the usual loop in a round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    load_kernels()  # compiled here, or refused in one line
    registry = discover(ROOT / "architectures")
    nets = [*(registry.select(given.arch) if given.arch else registry.all()), *registry.select([str(FUNCTIONAL)])]
    environment = describe_environment()
    print(f"{environment['cpu']}, {environment['cores']} cores, torch {torch.__version__}, kernels {kernels_name()}")
    print(f"| {' | '.join(HEADINGS)} |\n|---|{'---:|' * (len(HEADINGS) - 1)}", flush=True)
    peak = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _unpack(given.data_dir, folder)
        store_url = f"sqlite:///{folder}/bench.db"
        open_store(store_url).close()
        workplace = Workplace(results=folder, store_url=store_url, data_dir=given.data_dir, jobs=WORKERS)
        with open_pool(workplace) as pool:
            for net in nets:
                rounds = measure(pool, net, folder, given)
                peak = max(peak, *(one.peak for one in rounds))
                print(row(net.name, rounds, macs=count_architecture(net).macs, peak=peak), flush=True)
    print(f"\nMedians of {given.rounds} rounds; sgemm peak of one thread: {peak / 1e9:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
