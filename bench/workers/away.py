"""What a worker of a cluster does with a task: it may be on another host, with data and files of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

from distributed import get_worker
from distributed.comm.addressing import get_address_host

from bench.data.datasets import load_dataset
from bench.data.directories import cache_directory, own_data_directory
from bench.errors import ClusterError, DataError
from bench.workers.inspection import describe_process, find_difference, sees_results
from bench.workers.memory import keep_memory
from bench.workers.remote import tell, train_here

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.events import Note, RunProgress
    from bench.records import RunRecord
    from bench.task import Task, Workplace
    from bench.workers.inspection import ProcessFacts


class DataMissingError(Exception):
    """A worker has not got the dataset; its argument is the worker's address."""


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

    def __init__(
        self,
        workplace: Workplace,
        *,
        token: str,
        topic: str,
        client: ProcessFacts,
        machine: str,
        neighbours: Mapping[str, int],
    ) -> None:
        """Know where.

        Args:
            workplace: Where the client finds data and leaves results; the store is the same for all.
            token: File that shows the client's results directory to who sees it.
            topic: What to send progress under.
            client: What the client is: a worker must not differ from it.
            machine: What its first workers are, as `bench.environment` names it.
            neighbours: Workers on each address of a host.
        """
        self._workplace, self._token, self._topic = workplace, token, topic
        self._client, self._machine, self._neighbours = client, machine, neighbours

    def __call__(self, task: Task, wait: bool) -> Delivery:  # noqa: FBT001 - the executor passes it by place
        """Train a task.

        Args:
            task: The run.
            wait: Wait for another runner that trains it.

        Raises:
            BusyError: Another runner trains it, and it is not waited for.
            ClusterError: This worker came later and is another version than the client.
            DataMissingError: The data must be sent first.
            StoreError: The run could not be stored.
        """
        worker = get_worker()
        here = describe_process()
        fault = find_difference(here, self._client)
        if not fault and task.request.budget.seconds is not None and here.machine != self._machine:
            fault = "it is an unlike machine, on which a second of --train-seconds is not the same"
        if fault:
            raise ClusterError(
                f"Worker {worker.address} came later: {fault}; stop it, then run the same command again."
            )
        if not has_data(task.request.dataset, task.request.data_hash):
            raise DataMissingError(worker.address)
        keep_memory()
        is_shared = sees_results(self._workplace, self._token)
        place = dataclasses.replace(
            self._workplace,
            results=self._workplace.results if is_shared else cache_directory() / "cluster",
            data_dir=own_data_directory(),
            jobs=self._neighbours.get(get_address_host(worker.address), 1),
        )
        record = train_here(task, place, functools.partial(self._tell, str(worker.get_current_task())), wait=wait)
        return Delivery(record=record, weights=b"" if is_shared else _take(place.results / task.weights))

    def _tell(self, key: str, message: RunProgress | Note) -> None:
        """Send progress; end the run, its state saved, when its client has gone or wants it no more."""
        known = get_worker().state.tasks.get(key)
        if known is None or known.state == "cancelled":
            raise InterruptedError("Nobody waits for this run any more.")
        tell(self._topic, message)


_there = set[str]()
"""Content hashes of datasets that this process has loaded once."""


def has_data(name: str, data_hash: str) -> bool:
    """Whether this process can load a dataset, from its own data directory or because a client sent it before."""
    if data_hash not in _there:
        with contextlib.suppress(DataError):
            load_dataset(name, own_data_directory(), expected_hash=data_hash, may_download=False)
            _there.add(data_hash)
    return data_hash in _there


def _take(path: Path) -> bytes:
    """A file of this host that nobody needs here any more; nothing when it is not there."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:  # another runner trained the run
        return b""
    path.unlink(missing_ok=True)
    return content
