"""How a large store behaves on SQLite and on PostgreSQL: 10,000 made-up runs with curves and small predictions.

    python -m tests.speed.store_size

Seconds to fill it run by run, to open it, to plan the same runs again (requests of the repository's nets, their sources
read, and what of them is stored), and to list its study without details. Nothing but filling may take two seconds.
Needs PostgreSQL's programs; starts a server of its own, without its flush to disk.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from bench.core.recipe import Budget, Recipe
from bench.models.counts import count_architecture
from bench.models.registry import discover
from bench.store.store import open_store
from bench.studies import planning
from bench.studies.machine import Hardware
from bench.system.environment import PROJECT, describe_environment
from tests.bench.store.examples import make_curve, make_dataset_metadata, make_predictions
from tests.cluster.postgres_server import PostgresServer
from tests.factories import record_of

if TYPE_CHECKING:
    from bench.core.run import RunRequest

RUNS = 10_000
MOST_SECONDS = 2.0
NETS = discover(PROJECT / "architectures").all()
FACTS = {net.name: count_architecture(net) for net in NETS}


def make_requests() -> list[RunRequest]:
    """Every architecture of the repository with as many seeds as make 10,000 runs."""
    return planning.make_requests(
        NETS, training={net.name: [(Recipe(), Budget(epochs=3))] for net in NETS}, dataset=make_dataset_metadata(),
        seeds=range(RUNS // len(NETS)), hardware=Hardware(device="cpu", machine="", jobs=1),
    )  # fmt: skip


def fill(url: str) -> None:
    """Store a study of these runs, each with its curve and answers to 100 images."""
    requests, curve, predictions = make_requests(), make_curve(), [make_predictions("test", 100)]
    with open_store(url) as store:
        store.studies.plan("large", command="made up", requests=requests, role="compare")
        for request in requests:
            metadata = FACTS[request.architecture.name]
            counts: dict[str, Any] = {
                "params": metadata.params,
                "macs": metadata.macs,
                "initial_hash": metadata.initial_hash,
            }
            store.runs.add(record_of(request, **counts), curve, predictions)


def measure(url: str) -> list[float]:
    """Seconds to open, to plan and to list.

    Raises:
        RuntimeError: Runs are missing.
    """
    times = [time.perf_counter()]
    with open_store(url) as store:
        times.append(time.perf_counter())
        plan = planning.make_plan(
            make_requests(),
            store,
            metadata=FACTS,
            name_recipe=lambda _request: "shared",
            train_images=4_000,
            machine="m1",
        )
        times.append(time.perf_counter())
        study = store.studies.load("large", with_details=False)
        times.append(time.perf_counter())
    if (len(plan.reused), len(plan.tasks), len(study.records)) != (RUNS, 0, RUNS):
        raise RuntimeError(f"The store holds {len(plan.reused):,} of {RUNS:,} runs.")
    return [after - before for before, after in itertools.pairwise(times)]


def main() -> None:
    """Fill a store of each kind and print how long it takes; exit code 1 when something takes too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    environment = describe_environment()
    print(f"{environment['cpu']}, {environment['cores']} cores; {RUNS:,} runs\n")
    print("| store | fill (s) | open (s) | plan (s) | list (s) |")
    print("|---|---:|---:|---:|---:|", flush=True)
    server, slowest = PostgresServer(), 0.0
    try:
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            for name, url in (("SQLite", f"sqlite:///{folder}/bench.db"), ("PostgreSQL", server.make_database())):
                started = time.perf_counter()
                fill(url)
                filled = time.perf_counter() - started
                times = measure(url)
                slowest = max(slowest, *times)
                print(f"| {name} | {filled:.0f} | {' | '.join(f'{seconds:.2f}' for seconds in times)} |", flush=True)
    finally:
        server.remove()
    if slowest >= MOST_SECONDS:
        sys.exit(f"{slowest:.1f} s is too long; at most {MOST_SECONDS:g} s were promised.")


if __name__ == "__main__":
    main()
