"""What a cluster costs beside the training: 100, 1,000 and 10,000 tasks that only sleep, on eight worker processes.

    python -m tests.speed.cluster_scale

Everything but the training is real: tasks with their requests and nets, handed over and heard of by the engine's own
loop, on workers that were started as a user starts them. Overhead is wall-clock time a task above what eight sleepers
would need; memory is what the client's process has grown by. Both must grow no faster than the number of tasks.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import pickle
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.core.recipe import Budget, Recipe
from bench.core.run import Task, Workplace
from bench.data.datasets import find_dataset
from bench.execution.cluster.pool import ClusterPool
from bench.execution.cluster.survey import survey
from bench.execution.cluster.worker import Delivery
from bench.execution.scheduler import feed
from bench.models.registry import discover
from bench.studies.machine import Hardware
from bench.studies.planning import make_requests
from bench.system.environment import PROJECT, describe_environment
from bench.training.result import Outcome, make_record
from tests.cluster.dask_cluster import DaskCluster

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.core.events import Event
    from bench.core.records import RunRecord

COUNTS = (100, 1_000, 10_000)
WORKERS = 8
SLEEP_SECONDS = 0.1


def sleep(pickled: bytes, *, wait: bool) -> Delivery:  # noqa: ARG001 - as the pool calls what trains
    """Train nothing, for a while; the record is as long as a real one."""
    task = pickle.loads(pickled)  # noqa: S301 - our own
    time.sleep(SLEEP_SECONDS)
    return Delivery(record=make_record(task, Outcome(), jobs=WORKERS, environment={}))


class Sleepers:
    """A supply of tasks that have never been trained, and never will be."""

    prompt = True

    def __init__(self, tasks: list[Task]) -> None:
        self._left, self.heard = tasks, set[str]()

    def take(self) -> Task | None:
        """The next one."""
        return self._left.pop() if self._left else None

    def hear(self, record: RunRecord, _seconds: float | None, /) -> None:
        """Count it."""
        self.heard.add(record.run_id)

    def news(self) -> Iterable[Event]:
        """Nothing."""
        return ()


def make_tasks(count: int) -> list[Task]:
    """So many runs of one net, a seed each."""
    net = next(net for net in discover(PROJECT / "architectures").architectures if net.name == "bn25k")
    dataset = find_dataset("mnist5k", Path("data")).metadata
    requests = make_requests(
        [net], training={net.name: [(Recipe(), Budget(epochs=3))]}, dataset=dataset,
        seeds=range(count), hardware=Hardware(device="cpu", machine="", jobs=1),
    )  # fmt: skip
    return [
        Task(request=request, attempt=1, recipe_name="shared", params=1, macs=1, timeout_seconds=3_600.0)
        for request in requests
    ]


def main() -> None:
    """Start the workers once, then let them sleep more and more often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    environment = describe_environment()
    print(f"{environment['cpu']}, {environment['cores']} cores; {WORKERS} workers, tasks of {SLEEP_SECONDS:g} s")
    print("| tasks | wall (s) | overhead a task (ms) | client grew by (MiB) |\n|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name, DaskCluster(Path(name)) as cluster:
        cluster.add("crowd", "--nworkers", str(WORKERS), count=WORKERS)
        place = Workplace(results=Path(name), store_url="sqlite://", data_dir=Path("data"), jobs=WORKERS)
        place = dataclasses.replace(place, cluster=survey(cluster.address, "cpu"))
        assert place.cluster is not None
        with ClusterPool(place, place.cluster) as pool:
            vars(pool)["_training"] = sleep
            for count in (WORKERS, *COUNTS):  # the first few load torch
                supply, process = Sleepers(make_tasks(count)), psutil.Process()
                gc.collect()
                before, started = process.memory_info().rss, time.perf_counter()
                for _ in feed(supply, place, pool, {}):
                    pass
                wall = time.perf_counter() - started
                gc.collect()
                grew = (process.memory_info().rss - before) / 2**20
                assert len(supply.heard) == count
                if count in COUNTS:
                    overhead = (wall - count * SLEEP_SECONDS / WORKERS) / count
                    print(f"| {count:,} | {wall:.1f} | {1_000 * overhead:.1f} | {grew:.1f} |", flush=True)


if __name__ == "__main__":
    main()
