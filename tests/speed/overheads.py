"""What keeping runs safe costs, what a second worker brings, and how a large store behaves. Wants a quiet machine.

    python -m tests.speed.overheads --data-dir DIR

1. One run of three epochs on full MNIST for each architecture, in a process with the workers' environment: seconds of
   saving its state, its final weights and its row, against its seconds of training.
2. Images/s by the training clocks of one worker process and of two.
3. A store of 10,000 made-up runs: seconds to open it, to plan against it, and to list its study.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.run import Task, Workplace
from bench.data.datasets import load_dataset
from bench.execution import worker
from bench.execution.pool import open_pool
from bench.execution.profiling.phase import fresh_process
from bench.models.counts import count_architecture
from bench.models.registry import discover
from bench.store.runs import Runs
from bench.store.store import open_store
from bench.studies import planning
from bench.system.environment import describe_environment
from tests import ROOT
from tests.speed.usual_loop import make_task, suite_rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.spec import Architecture

RUNS = 10_000


def safety_seconds(task: Task, workplace: Workplace) -> dict[str, float]:
    """Seconds of training, and of each step that keeps the run, in a process of its own."""
    seconds: dict[str, float] = collections.defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                seconds[name] += time.perf_counter() - started

        return call

    for name, label in (("save_state", "state"), ("keep_weights", "weights")):
        setattr(worker, name, timed(label, getattr(worker, name)))
    Runs.add = timed("row", Runs.add)  # type: ignore[method-assign]
    record = worker.train_run(task, workplace, lambda _message: None)
    return {"training": record.train_seconds or 0.0} | dict(seconds)


def show_safety(architectures: list[Architecture], data_hash: str, workplace: Workplace) -> None:
    """Print the first table."""
    print(
        "| architecture | training (s) | states (s) | weights (s) | row (s) | share |\n|---|---:|---:|---:|---:|---:|"
    )
    for architecture in architectures:
        task = make_task(architecture, data_hash, seed=9_000, epochs=3)
        with fresh_process(limit_seconds=600) as pool:
            found = pool.submit(safety_seconds, task, workplace).result()
        kept = found["state"] + found["weights"] + found["row"]
        columns = [f"{found[name]:.2f}" for name in ("training", "state", "weights", "row")]
        print(f"| {architecture.name} | {' | '.join(columns)} | {kept / found['training']:.1%} |", flush=True)


def show_scaling(architectures: list[Architecture], data_hash: str, workplace: Workplace) -> None:
    """Print the second table."""
    print("\n| architecture | one worker | two workers | ratio |\n|---|---:|---:|---:|")
    with open_pool(workplace) as pool:
        for number, architecture in enumerate(architectures):
            first = 10 * number
            suite_rates(pool, architecture, data_hash, seeds=(first, first + 1))  # both have loaded their data
            one, _ = suite_rates(pool, architecture, data_hash, seeds=(first + 2,))
            two, _ = suite_rates(pool, architecture, data_hash, seeds=(first + 3, first + 4))
            again, _ = suite_rates(pool, architecture, data_hash, seeds=(first + 5,))
            mean = (one + again) / 2
            print(f"| {architecture.name} | {mean:,.0f} | {two:,.0f} | {two / mean:.2f}× |", flush=True)


def show_store(architecture: Architecture, data_hash: str, folder: Path, data_dir: Path) -> None:
    """Print how long a large store takes."""
    url = f"sqlite:///{folder}/large.db"
    template = make_task(architecture, data_hash, seed=0)
    requests = [dataclasses.replace(template.request, seed=seed, split_seed=seed) for seed in range(RUNS)]
    place = Workplace(results=folder, store_url=f"sqlite:///{folder}/one.db", data_dir=data_dir, jobs=1)
    lost = worker.store_unfinished(template, place, status="failed", reason="made up")
    record = dataclasses.replace(lost, status="ok", test_accuracy=0.99)
    with open_store(url) as store:
        store.studies.plan("large", command="made up", requests=requests, role="compare")
        for request in requests:
            store.runs.add(dataclasses.replace(record, run_id=request.id, request_id=request.id, seed=request.seed))
    metadata = {architecture.name: count_architecture(architecture)}
    started = time.perf_counter()
    with open_store(url) as store:
        opened = time.perf_counter()
        plan = planning.make_plan(
            requests,
            store,
            metadata=metadata,
            name_recipe=lambda _request: "shared",
            train_images=50_000,
            machine="any",
        )
        planned = time.perf_counter()
        study = store.studies.load("large", with_details=False)
        listed = time.perf_counter()
    if (len(plan.reused), len(study.records)) != (RUNS, RUNS):
        raise RuntimeError("The store lost runs.")
    print(
        f"\n{RUNS:,} runs: opened in {opened - started:.2f} s, planned in {planned - opened:.2f} s, "
        f"listed in {listed - planned:.2f} s; {listed - started:.2f} s in all"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    given = parser.parse_args()
    environment = describe_environment()
    print(f"{environment['cpu']}, {environment['cores']} cores, torch {environment['libraries']['torch']}")
    architectures = discover(ROOT / "architectures").all()
    data_hash = load_dataset("mnist", given.data_dir).metadata.data_hash
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workplace = Workplace(
            results=folder, store_url=f"sqlite:///{folder}/bench.db", data_dir=given.data_dir.resolve(), jobs=2
        )
        open_store(workplace.store_url).close()
        show_safety(architectures, data_hash, workplace)
        show_scaling(architectures, data_hash, workplace)
        show_store(architectures[0], data_hash, folder, given.data_dir)


if __name__ == "__main__":
    main()
