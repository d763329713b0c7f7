"""What a worker of a cluster does with a task: it may be on another host, with data and files of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pickle
import time
from typing import TYPE_CHECKING, Any

from distributed import get_worker
from distributed.comm.addressing import get_address_host

from bench.core.errors import ClusterError, DataError, DataMissingError
from bench.core.events import Note, RunProgress
from bench.data.datasets import load_dataset
from bench.data.directories import cache_directory, own_data_directory
from bench.execution.cluster.survey import (
    GIVE_SERVER,
    LIKE_INSTRUCTIONS,
    LIKE_KERNELS,
    ONE_THREAD,
    describe_process,
    find_difference,
    find_kernels,
    find_stale,
    sees_results,
    state_of,
)
from bench.execution.worker import ended_when_hung, train_run
from bench.system.worker_environment import keep_memory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from distributed import Worker

    from bench.core.records import RunRecord
    from bench.core.run import Cluster, Task, Workplace
    from bench.execution.cluster.survey import ProcessDescription

_KEPT_SECONDS = 7 * 86_400.0
"""How long a worker keeps weights, should a client have missed them, and states that nobody went on from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delivery:
    """A run as it comes back, with its weights where the worker does not see the client's results directory."""

    record: RunRecord
    weights: bytes = b""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteTraining:
    """Trains tasks of one client, called in a worker process.

    Attributes:
        workplace: Where the client finds data and leaves results; the store is the same for all.
        cluster: What the workers were when the study began.
        token: File that shows the client's results directory to who sees it.
        topic: What progress is sent under.
        client: What the client is: a worker must not differ from it.
    """

    workplace: Workplace
    cluster: Cluster
    token: str
    topic: str
    client: ProcessDescription

    def __call__(self, pickled: bytes, *, wait: bool) -> Delivery:
        """Train a pickled task.

        Raises:
            BusyError: Another runner trains it, and it is not waited for.
            ClusterError: This worker came later, or has changed, and cannot do what the first ones could.
            DataMissingError: The data must be sent first.
            StoreError: The run could not be stored.
        """
        task: Task = pickle.loads(pickled)  # noqa: S301 - the scheduler hands on our own functions in the same way
        worker, request = get_worker(), task.request
        is_shared = sees_results(self.workplace, self.token)
        if fault := self._find_fault(task, is_shared=is_shared):
            raise ClusterError(f"Worker {worker.address}: {fault}; then run the same command again.")
        if not has_data(request.dataset, request.data_hash, worker):
            raise DataMissingError(worker.address, request.dataset, request.data_hash)
        keep_memory()
        workplace = dataclasses.replace(
            self.workplace,
            results=self.workplace.results if is_shared else _own_results(),
            data_dir=own_data_directory(),
            jobs=self.cluster.neighbours.get(get_address_host(worker.address), 1),
        )
        report = functools.partial(self._report, str(worker.get_current_task()))
        guard = ended_when_hung(task, workplace)
        record = train_run(task, workplace, report, wait=wait, guard=guard, state=state_of(worker))
        weights = workplace.results / task.weights  # not there where another host trained the run
        return Delivery(record=record, weights=b"" if is_shared or not weights.is_file() else weights.read_bytes())

    def _find_fault(self, task: Task, *, is_shared: bool) -> str:
        """Why this worker cannot train a task as the first ones can, in words; empty when it can."""
        here, request, threads = describe_process(task.request.device), task.request, get_worker().state.nthreads
        if threads != 1:
            return ONE_THREAD.format(threads=threads)
        fault = _find_other(here, self.client, request.instruction_set)
        if fault := fault or _find_other_kernels(request.engine, self.cluster.kernels):
            return fault
        if fault := find_stale(request.architecture, request.architecture_hash, state_of(get_worker())):
            return fault
        if request.budget.seconds is not None and here.machine != self.cluster.machine:
            return "it is an unlike machine, on which a second of --train-seconds is not the same; stop it"
        if self.workplace.store_is_file and (here.host != self.client.host or not is_shared):
            return f"it came from another host, and the store is a file of this one; stop it, or {GIVE_SERVER}"
        return ""

    def _report(self, key: str, message: RunProgress | Note) -> None:
        """Send progress; end the run, its state saved, when its client has gone or wants it no more."""
        worker = get_worker()
        known = worker.state.tasks.get(key)
        if known is None or known.state == "cancelled":
            raise InterruptedError("Nobody waits for this run any more.")
        worker.log_event(self.topic, {"kind": type(message).__name__, "fields": dataclasses.asdict(message)})


def unpack_message(sent: Mapping[str, Any]) -> RunProgress | Note:
    """A message as it comes out of the topic."""
    return (Note if sent["kind"] == "Note" else RunProgress)(**sent["fields"])


def _find_other(here: ProcessDescription, client: ProcessDescription, instruction_set: str) -> str:
    """What would give other results here than where the study began, in words; empty without."""
    if fault := find_difference(here, client):
        return f"{fault}; stop it, or install the same there"
    if instruction_set and here.instruction_set != instruction_set:
        others = f"others with {instruction_set}; stop it, or {LIKE_INSTRUCTIONS}"
        return f"it computes with {here.instruction_set}, {others}"
    return ""


def _find_other_kernels(engine: str, wanted: str) -> str:
    """Why this process does not have the kernels that an engine trains by, in words; empty when it has."""
    if engine != "lanes":
        return ""
    name, why = find_kernels()
    if why:
        return f"it has no kernels ({why.rstrip('.')}); stop it, or {LIKE_KERNELS}"
    return "" if name == wanted else f"it has the kernels {name}, others {wanted}; stop it, or {LIKE_KERNELS}"


def has_data(name: str, data_hash: str, dask_worker: Worker) -> bool:
    """Whether a worker can load a dataset, from its own data directory or because a client sent it before."""
    known = state_of(dask_worker).datasets
    if data_hash not in known:  # what failed is tried again
        with contextlib.suppress(DataError):
            load_dataset(name, own_data_directory(), expected_hash=data_hash, may_download=False)
            known.add(data_hash)
    return data_hash in known


def _own_results() -> Path:
    """Where a worker that does not see the client's results keeps files of runs; those of long ago go."""
    results = cache_directory() / "cluster"
    for file in (results / "checkpoints").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > _KEPT_SECONDS:
                file.unlink()
    return results
