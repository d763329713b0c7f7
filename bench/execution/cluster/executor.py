"""Hands tasks to a scheduler elsewhere, once more after what passes: a lost connection, data that was not there yet."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import threading
import time
from concurrent.futures import CancelledError, Executor, Future
from typing import TYPE_CHECKING, Any, Self

from distributed.client import ClosedClientError

from bench.core.errors import ArchitectureError, BenchError, ClusterError, DataMissingError, first_line
from bench.data import transfer
from bench.data.datasets import load_dataset
from bench.execution.cluster.client import CONNECT_SECONDS, GPU, list_members, make_client
from bench.execution.cluster.worker import Delivery, has_data
from bench.system.files import cannot_write, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import distributed

    from bench.core.run import Cluster, Workplace
    from bench.execution.pool import Packed

PATIENCE_SECONDS = 300.0
"""How long a scheduler that was there may be away, or have no worker, before the study ends."""
_LOOK_EVERY_SECONDS = 1.0
_MOST_LOSSES = 20
"""How often a connection may break within that time."""
_SENDINGS = 3
"""How often a worker is sent data for one task before something else must be wrong."""

_LOST = (OSError, TimeoutError, RuntimeError, CancelledError, ClosedClientError, KeyError)
"""What Dask's client raises, here or there in it, when its connection breaks."""


@dataclasses.dataclass(kw_only=True, eq=False)
class _Handed:
    """A task under way.

    Attributes:
        train: What trains it.
        words: What that is given.
        future: What the caller holds.
        inner: Dask's, held so that the scheduler does not forget the task; None until it is sent.
        sendings: How often each worker was sent data for it.
    """

    train: Callable[..., Any]
    words: tuple[Any, ...]
    future: Future[Any] = dataclasses.field(default_factory=Future)
    inner: Any = None
    sendings: dict[str, int] = dataclasses.field(default_factory=dict)


class Handover(Executor):
    """An executor on a scheduler. What it was given ends once, however often the connection breaks meanwhile.

    One thread does all that has to do with the connection, in the order in which it comes: it sends what was submitted,
    hears how it ended, and looks after the connection every second. When that is lost it makes another and sends
    everything under way again; workers find what was stored meanwhile.

    Attributes:
        workers: How many workers can take tasks now.
    """

    def __init__(
        self,
        workplace: Workplace,
        cluster: Cluster,
        *,
        begin: Callable[[distributed.Client], None] = lambda _client: None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Stand ready; the connection is made when the executor is entered.

        Args:
            workplace: Where data to send lies, and where weights that come back are kept.
            cluster: Whose workers take the tasks.
            begin: Called with every new connection, before anything is sent.
            say: Hears what a person should know.
        """
        self._workplace, self._cluster, self._begin, self._say = workplace, cluster, begin, say
        self.workers = cluster.workers
        self._under_way: set[_Handed] = set()  # of the thread alone, as the client is
        self._client: distributed.Client | None = None
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._fault: Exception | None = None
        self._losses: list[float] = []
        self._thread = threading.Thread(target=self._work, name="bench-cluster", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go: what is under way is wanted no more, and its workers stop at their next report."""
        self._closed.set()
        self._inbox.put(lambda: None)
        self._thread.join()

    def submit(self, fn: Callable[..., Any], /, *words: Any, **_none: Any) -> Future[Any]:
        """Hand over a call; a `Delivery` that comes back is unpacked to its record."""
        handed = _Handed(train=fn, words=words)
        self._inbox.put(functools.partial(self._take, handed))
        return handed.future

    def _work(self) -> None:
        """Until the end: do what comes, in order; connect again when something says that it is lost."""
        last_look = alone_since = time.monotonic()
        while not self._closed.is_set():
            try:
                if self._client is None and self._fault is None:
                    self._connect()
                with contextlib.suppress(queue.Empty):
                    self._inbox.get(timeout=_LOOK_EVERY_SECONDS)()
                if time.monotonic() - last_look > _LOOK_EVERY_SECONDS:
                    last_look = time.monotonic()
                    if self._look():
                        alone_since = last_look
                    if last_look - alone_since > PATIENCE_SECONDS:
                        self._give_up("had no worker")
            except _LOST:
                self._lose()
            except Exception as bug:  # noqa: BLE001 - the study must end by it, not wait for ever
                self._end_all(bug)
        self._disconnect()

    def _connect(self) -> None:
        """Make a connection and send what is under way; give up after a while."""
        deadline, told = time.monotonic() + PATIENCE_SECONDS, False
        while not self._closed.is_set():
            try:
                self._client = make_client(self._cluster.address)
                self._begin(self._client)
                break
            except ClusterError:
                if not told:
                    self._say(f"The scheduler at {self._cluster.address} does not answer; waiting for it.")
                told = True
                if time.monotonic() > deadline:
                    self._give_up("did not answer")
                    return
                self._closed.wait(_LOOK_EVERY_SECONDS)
        if self._client is not None:
            for handed in self._under_way:
                self._send(handed)

    def _lose(self) -> None:
        """Drop a connection that broke; another is made, unless they break again and again."""
        self._disconnect()
        self._say("The connection to the scheduler was lost; what was under way is handed over again.")
        now = time.monotonic()
        self._losses = [*(then for then in self._losses if now - then < PATIENCE_SECONDS), now]
        if len(self._losses) > _MOST_LOSSES:
            self._give_up(f"lost the connection {_MOST_LOSSES} times")

    def _disconnect(self) -> None:
        """Close the connection; futures of Dask's that speak of it later are of nobody."""
        for handed in self._under_way:
            handed.inner = None
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.close(timeout=CONNECT_SECONDS)

    def _look(self) -> bool:
        """Count the workers, a broken connection shows; whether there are any."""
        if self._client is not None:
            before, self.workers = self.workers, len(list_members(self._client, self._cluster.device))
            if before and not self.workers:
                self._say(f"The scheduler has no workers any more; waiting {PATIENCE_SECONDS / 60:g} minutes for some.")
        return self.workers > 0

    def _take(self, handed: _Handed) -> None:
        self._under_way.add(handed)
        if self._fault is not None:
            self._end(handed, fault=self._fault)
        elif self._client is not None:
            self._send(handed)

    def _send(self, handed: _Handed) -> None:
        assert self._client is not None  # noqa: S101 - one is made before anything is done
        resources = None if self._cluster.device == "cpu" else {GPU: 1}
        handed.inner = self._client.submit(handed.train, *handed.words, pure=False, resources=resources)
        handed.inner.add_done_callback(lambda inner: self._inbox.put(functools.partial(self._hear, handed, inner)))

    def _hear(self, handed: _Handed, inner: distributed.Future[Any]) -> None:
        """How a task ended."""
        if handed.inner is not inner:
            return  # of a connection that was given up
        if inner.status == "error":
            self._hear_fault(handed, inner.exception())
            return
        outcome = inner.result(timeout=PATIENCE_SECONDS)  # raises when Dask has cancelled or lost it
        if isinstance(outcome, Delivery):
            try:
                self._keep_weights(outcome)
            except BenchError as fault:
                self._end(handed, fault=fault)
                return
            outcome = outcome.record
        self._end(handed, outcome)

    def _hear_fault(self, handed: _Handed, fault: BaseException) -> None:
        """What a task raised: the data it lacked is sent, what the worker itself could not do ends the study."""
        if isinstance(fault, DataMissingError):
            self._send_data(handed, str(fault))
        elif isinstance(fault, ImportError | ArchitectureError):  # both of unpacking it: a run stores its own faults
            self._end(handed, fault=ClusterError(f"A worker cannot load a run: {first_line(fault)}"))
        else:
            self._end(handed, fault=fault)

    def _keep_weights(self, transfer: Delivery) -> None:
        if transfer.weights:
            try:
                write_atomically(self._workplace.results / transfer.record.checkpoint, transfer.weights)
            except OSError as fault:
                raise cannot_write(self._workplace.results, fault) from fault

    def _send_data(self, handed: _Handed, address: str) -> None:
        """Send a worker the dataset of a task, unless a neighbour on its host has it by now; then the task again."""
        assert self._client is not None  # noqa: S101 - it has just brought news
        request: Packed = handed.words[0]
        handed.sendings[address] = handed.sendings.get(address, 0) + 1
        try:
            if handed.sendings[address] > _SENDINGS:
                raise ClusterError(f"it was sent {_SENDINGS} times and is not found; look into its cache folder")
            there = self._client.run(has_data, request.dataset, request.data_hash, workers=[address])
            if not there.get(address):
                dataset = load_dataset(request.dataset, self._workplace.data_dir, expected_hash=request.data_hash)
                content = transfer.pack(dataset)
                said = self._client.run(transfer.keep, content, request.data_hash, workers=[address])
                if why := said.get(address):
                    raise ClusterError(why)
        except BenchError as fault:
            said_of = f"Worker {address} could not be given {request.dataset}: {first_line(fault).rstrip('.')}."
            self._end(handed, fault=ClusterError(said_of))
        else:
            self._send(handed)

    def _end(self, handed: _Handed, outcome: Any = None, *, fault: BaseException | None = None) -> None:
        self._under_way.discard(handed)
        handed.inner = None
        if fault is not None:
            handed.future.set_exception(fault)
        else:
            handed.future.set_result(outcome)

    def _give_up(self, why: str) -> None:
        fault = ClusterError(
            f"The scheduler at {self._cluster.address} {why} within {PATIENCE_SECONDS:g} s; what was finished is "
            "stored: start it and its workers, then run the same command again."
        )
        self._end_all(fault)

    def _end_all(self, fault: Exception) -> None:
        """End what is under way, and what is yet submitted, by a fault."""
        self._fault = fault
        for handed in list(self._under_way):
            self._end(handed, fault=fault)
