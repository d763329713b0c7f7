"""What a worker of a cluster does with a task: it may be on another host, with data and files of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from typing import TYPE_CHECKING

from distributed import get_worker
from distributed.comm.addressing import get_address_host

from bench.core.errors import ClusterError, DataError, DataMissingError
from bench.data.datasets import load_dataset
from bench.data.directories import cache_directory, own_data_directory
from bench.execution.cluster.inspection import (
    GIVE_SERVER,
    LIKE_INSTRUCTIONS,
    ONE_THREAD,
    describe_process,
    find_difference,
    find_stale,
    sees_results,
)
from bench.execution.process import tell, train_here
from bench.system.process import keep_memory

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.events import Note, RunProgress
    from bench.core.records import RunRecord
    from bench.core.run import Cluster, Task, Workplace
    from bench.execution.cluster.inspection import ProcessFacts
    from bench.execution.pool import Packed


_KEPT_SECONDS = 7 * 86_400.0
"""How long a worker keeps weights, should a client have missed them, and states that nobody went on from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delivery:
    """A run as it comes back.

    Attributes:
        record: As stored.
        weights: Content of the weights' file, where the worker does not see the client's results directory.
    """

    record: RunRecord
    weights: bytes = b""


class AwayTrain:
    """Trains a task in a worker process of a cluster."""

    def __init__(self, workplace: Workplace, cluster: Cluster, *, token: str, topic: str, client: ProcessFacts) -> None:
        """Know where.

        Args:
            workplace: Where the client finds data and leaves results; the store is the same for all.
            cluster: What the workers were when the study began.
            token: File that shows the client's results directory to who sees it.
            topic: What to send progress under.
            client: What the client is: a worker must not differ from it.
        """
        self._workplace, self._cluster = workplace, cluster
        self._token, self._topic, self._client = token, topic, client

    def __call__(self, packed: Packed, wait: bool) -> Delivery:  # noqa: FBT001 - the executor passes it by place
        """Train a task, as `RemoteTrain` does.

        Raises:
            BusyError: Another runner trains it, and it is not waited for.
            ClusterError: This worker came later, or has changed, and cannot do what the first ones could.
            DataMissingError: The data must be sent first.
            StoreError: The run could not be stored.
        """
        task = packed.unpack()
        worker, request = get_worker(), task.request
        is_shared = sees_results(self._workplace, self._token)
        if fault := self._find_fault(task, is_shared=is_shared):
            raise ClusterError(f"Worker {worker.address}: {fault}; then run the same command again.")
        if not has_data(request.dataset, request.data_hash):
            raise DataMissingError(worker.address)
        keep_memory()
        place = dataclasses.replace(
            self._workplace,
            results=self._workplace.results if is_shared else _own_results(),
            data_dir=own_data_directory(),
            jobs=self._cluster.neighbours.get(get_address_host(worker.address), 1),
        )
        record = train_here(task, place, functools.partial(self._tell, str(worker.get_current_task())), wait=wait)
        return Delivery(record=record, weights=b"" if is_shared else _read(place.results / task.weights))

    def _find_fault(self, task: Task, *, is_shared: bool) -> str:
        """Why this worker cannot train a task as the first ones can, in words; empty when it can."""
        here, request, threads = describe_process(task.request.device), task.request, get_worker().state.nthreads
        if threads != 1:
            return ONE_THREAD.format(threads=threads)
        if fault := _find_other(here, self._client, request.instruction_set):
            return fault
        if fault := find_stale(request.architecture, request.architecture_hash):
            return fault
        if request.budget.seconds is not None and here.machine != self._cluster.machine:
            return "it is an unlike machine, on which a second of --train-seconds is not the same; stop it"
        if self._workplace.store_is_file and (here.host != self._client.host or not is_shared):
            return f"it came from another host, and the store is a file of this one; stop it, or {GIVE_SERVER}"
        return ""

    def _tell(self, key: str, message: RunProgress | Note) -> None:
        """Send progress; end the run, its state saved, when its client has gone or wants it no more."""
        known = get_worker().state.tasks.get(key)
        if known is None or known.state == "cancelled":
            raise InterruptedError("Nobody waits for this run any more.")
        tell(self._topic, message)


def _find_other(here: ProcessFacts, client: ProcessFacts, instruction_set: str) -> str:
    """What would give other results here than where the study began, in words; empty without."""
    if fault := find_difference(here, client):
        return f"{fault}; stop it, or install the same there"
    if instruction_set and here.instruction_set != instruction_set:
        return (
            f"it computes with {here.instruction_set}, others with {instruction_set}; stop it, or {LIKE_INSTRUCTIONS}"
        )
    return ""


_there = set[str]()
"""Content hashes of datasets that this process has loaded once."""


def has_data(name: str, data_hash: str) -> bool:
    """Whether this process can load a dataset, from its own data directory or because a client sent it before."""
    if data_hash not in _there:
        with contextlib.suppress(DataError):
            load_dataset(name, own_data_directory(), expected_hash=data_hash, may_download=False)
            _there.add(data_hash)
    return data_hash in _there


def _own_results() -> Path:
    """Where a worker that does not see the client's results keeps files of runs; those of long ago go."""
    results = cache_directory() / "cluster"
    for file in (results / "checkpoints").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > _KEPT_SECONDS:
                file.unlink()
    return results


def _read(path: Path) -> bytes:
    """A file; nothing when it is not there, as of a run that another host trained."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
