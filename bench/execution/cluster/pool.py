"""The workers of a Dask scheduler, which may be on other hosts, as a pool."""

from __future__ import annotations

import contextlib
import pickle
import queue
import secrets
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

from distributed import KilledWorker

from bench.core.errors import ArchitectureError, ClusterError, LostRunError, first_line
from bench.core.events import Note, RunProgress
from bench.execution.cluster.client import shown_results
from bench.execution.cluster.executor import ClusterExecutor
from bench.execution.cluster.survey import describe_process
from bench.execution.cluster.worker import Delivery, RemoteTraining, unpack_message
from bench.execution.worker import DIED
from bench.system.files import write_atomically, writing

if TYPE_CHECKING:
    import distributed

    from bench.core.records import RunRecord
    from bench.core.run import Cluster, Task, Workplace


class ClusterPool:
    """Workers of a scheduler: they stay when this is left, and what is under way on them then stops."""

    def __init__(self, workplace: Workplace, cluster: Cluster) -> None:
        self.messages: queue.SimpleQueue[RunProgress | Note | Future[RunRecord]] = queue.SimpleQueue()
        self._workplace, self._cluster = workplace, cluster
        self._topic = f"bench-progress-{secrets.token_hex(8)}"  # a scheduler may serve several studies
        self._executor = ClusterExecutor(
            workplace, cluster, connected=self._subscribe, say=lambda text: self.messages.put(Note(text=text))
        )
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        client = describe_process(self._cluster.device)
        token = self._open.enter_context(shown_results(self._workplace))
        self._training = RemoteTraining(
            workplace=self._workplace, cluster=self._cluster, token=token, topic=self._topic, client=client
        )
        self._open.enter_context(self._executor)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def slots(self) -> int:
        """How many workers can train now."""
        there = max(1, self._executor.workers)  # one that is started again is there soon
        return min(self._cluster.most or there, there)

    def submit(self, task: Task, *, wait: bool = False) -> Future[RunRecord]:
        """Hand over a task, as `bench.execution.pool.Pool` says.

        It travels as a pickle that only its worker unpacks: that loads the net's file, and a scheduler unpacks what it
        passes on.
        """
        future: Future[RunRecord] = Future()
        future.add_done_callback(self.messages.put)
        delivered = self._executor.submit(self._training, pickle.dumps(task), wait=wait)
        delivered.add_done_callback(lambda delivered: self._finish(future, delivered))
        return future

    def _subscribe(self, client: distributed.Client) -> None:
        client.subscribe_topic(self._topic, lambda event: self.messages.put(unpack_message(event[1])))

    def _finish(self, future: Future[RunRecord], delivered: Future[Delivery]) -> None:
        try:
            future.set_result(self._keep(delivered.result()))
        except KilledWorker:
            future.set_exception(LostRunError(DIED))
        except (ImportError, ArchitectureError) as fault:  # both of unpacking it: a run stores its own faults
            future.set_exception(ClusterError(f"A worker cannot load a run: {first_line(fault)}"))
        except BaseException as fault:  # noqa: BLE001 - whoever holds the future must hear of it
            future.set_exception(fault)

    def _keep(self, delivery: Delivery) -> RunRecord:
        """Keep the weights that came with a record, where the worker could not do so itself."""
        if delivery.weights:
            with writing(self._workplace.results):
                write_atomically(self._workplace.results / delivery.record.checkpoint, delivery.weights)
        return delivery.record
