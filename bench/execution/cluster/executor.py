"""Calls on a scheduler's workers, made again after what passes: a lost connection, data that was not there yet."""

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

from bench.core.errors import BenchError, ClusterError, DataMissingError, first_line
from bench.data.datasets import load_dataset
from bench.data.kept import decoded
from bench.execution.cluster.client import CONNECT_SECONDS, GPU, list_members, make_client
from bench.execution.cluster.worker import has_data

if TYPE_CHECKING:
    from collections.abc import Callable

    import distributed

    from bench.core.run import Cluster, Workplace

PATIENCE_SECONDS = 300.0
"""How long a scheduler that was there may be away, or have no worker, before the study ends."""
_POLL_SECONDS = 1.0
_MOST_LOSSES = 20
"""How often a connection may break within that time."""
_MOST_SENDINGS = 3
"""How often a worker is sent data for one call before something else must be wrong."""

_LOST = (OSError, TimeoutError, RuntimeError, CancelledError, ClosedClientError, KeyError)
"""What Dask's client raises, here or there in it, when its connection breaks."""


@dataclasses.dataclass(kw_only=True, eq=False)
class _Call:
    """A call under way, and the future that its caller holds.

    Attributes:
        inner: Dask's future, held so that the scheduler does not forget the call; None until it is sent.
        sendings: How often each worker was sent data for it.
    """

    function: functools.partial[Any]
    future: Future[Any] = dataclasses.field(default_factory=Future)
    inner: Any = None
    sendings: dict[str, int] = dataclasses.field(default_factory=dict)


class ClusterExecutor(Executor):
    """An executor on a scheduler. A call ends once, however often the connection breaks meanwhile.

    One thread does all that has to do with the connection, in the order in which it comes: it sends what was submitted,
    hears how it ended, and looks after the connection every second. When that is lost it makes another and sends
    everything under way again; workers find what was stored meanwhile.

    Attributes:
        workers: How many workers can take calls now.
    """

    def __init__(
        self,
        workplace: Workplace,
        cluster: Cluster,
        *,
        connected: Callable[[distributed.Client], None] = lambda _client: None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Make it; it connects when it is entered.

        Args:
            workplace: Where data to send lies.
            cluster: Whose workers take the calls.
            connected: Called with every new connection, before anything is sent.
            say: Called with what a person should know.
        """
        self._workplace, self._cluster, self._connected, self._say = workplace, cluster, connected, say
        self.workers = cluster.workers
        self._under_way: set[_Call] = set()  # of the thread alone, as the client is
        self._client: distributed.Client | None = None
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._fault: Exception | None = None
        self._losses: list[float] = []
        self._thread = threading.Thread(target=self._work, name="bench-cluster", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go: what is under way is wanted no more, and its workers stop at their next report."""
        self._closed.set()
        self._inbox.put(lambda: None)
        self._thread.join()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call a function on a worker; where that raises DataMissingError, once more after the data was sent."""
        call = _Call(function=functools.partial(fn, *args, **kwargs))
        self._inbox.put(functools.partial(self._take, call))
        return call.future

    def _work(self) -> None:
        """Until the end: do what comes, in order; connect again when something says that it is lost."""
        last_poll = alone_since = time.monotonic()
        while not self._closed.is_set():
            try:
                if self._client is None and self._fault is None:
                    self._connect()
                with contextlib.suppress(queue.Empty):
                    self._inbox.get(timeout=_POLL_SECONDS)()
                if time.monotonic() - last_poll > _POLL_SECONDS:
                    last_poll = time.monotonic()
                    if self._count_workers():
                        alone_since = last_poll
                    if last_poll - alone_since > PATIENCE_SECONDS:
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
                self._connected(self._client)
                break
            except ClusterError:
                if not told:
                    self._say(f"The scheduler at {self._cluster.address} does not answer; waiting for it.")
                told = True
                if time.monotonic() > deadline:
                    self._give_up("did not answer")
                    return
                self._closed.wait(_POLL_SECONDS)
        if self._client is not None:
            for call in self._under_way:
                self._send(call)

    def _lose(self) -> None:
        """Drop a connection that broke; another is made, unless they break again and again."""
        self._disconnect()
        self._say("The connection to the scheduler was lost; what was under way is handed over again.")
        now = time.monotonic()
        self._losses = [*(then for then in self._losses if now - then < PATIENCE_SECONDS), now]
        if len(self._losses) > _MOST_LOSSES:
            self._give_up(f"lost the connection {_MOST_LOSSES} times")

    def _disconnect(self) -> None:
        """Close the connection; what its futures say later is not listened to."""
        for call in self._under_way:
            call.inner = None
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                client.close(timeout=CONNECT_SECONDS)

    def _count_workers(self) -> int:
        """How many workers there are; a broken connection shows here."""
        if self._client is not None:
            before, self.workers = self.workers, len(list_members(self._client, self._cluster.device))
            if before and not self.workers:
                self._say(f"The scheduler has no workers any more; waiting {PATIENCE_SECONDS / 60:g} minutes for some.")
        return self.workers

    def _take(self, call: _Call) -> None:
        self._under_way.add(call)
        if self._fault is not None:
            self._end(call, fault=self._fault)
        elif self._client is not None:
            self._send(call)

    def _send(self, call: _Call) -> None:
        assert self._client is not None  # noqa: S101 - one is made before anything is done
        resources = None if self._cluster.device == "cpu" else {GPU: 1}
        part = call.function
        call.inner = self._client.submit(part.func, *part.args, **part.keywords, pure=False, resources=resources)
        call.inner.add_done_callback(lambda inner: self._inbox.put(functools.partial(self._hear, call, inner)))

    def _hear(self, call: _Call, inner: distributed.Future[Any]) -> None:
        if call.inner is not inner:
            return  # of a connection that was given up
        if inner.status != "error":
            self._fetch(call, inner)
        elif isinstance(fault := inner.exception(), DataMissingError):
            self._send_data(call, fault)
        else:
            self._end(call, fault=fault)

    def _fetch(self, call: _Call, inner: distributed.Future[Any]) -> None:
        """End a call with its result; one that went with its worker before it was fetched is handed over again.

        Raises:
            TimeoutError: The result is there and does not come; Dask raises more where it has cancelled the call.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS  # with its weights it may be large, and the network slow
        while True:
            try:
                outcome = inner.result(timeout=_POLL_SECONDS)
            except TimeoutError:
                if inner.status != "finished":
                    return self._send(call)
                if time.monotonic() > deadline:
                    raise
            else:
                return self._end(call, outcome)

    def _send_data(self, call: _Call, missing: DataMissingError) -> None:
        """Send a worker the data that it lacks, unless a neighbour on its host has it by now; then the call again."""
        assert self._client is not None  # noqa: S101 - it has just brought news
        worker, dataset, data_hash = missing.worker, missing.dataset, missing.data_hash
        call.sendings[worker] = call.sendings.get(worker, 0) + 1
        try:
            if call.sendings[worker] > _MOST_SENDINGS:
                raise ClusterError(f"it was sent {_MOST_SENDINGS} times and is not found; look into its cache folder")
            if not self._client.run(has_data, dataset, data_hash, workers=[worker]).get(worker):
                content = decoded.pack(load_dataset(dataset, self._workplace.data_dir, expected_hash=data_hash))
                if why := self._client.run(decoded.keep, content, dataset, data_hash, workers=[worker]).get(worker):
                    raise ClusterError(why)
        except BenchError as fault:
            message = f"Worker {worker} could not be given {dataset}: {first_line(fault).rstrip('.')}."
            self._end(call, fault=ClusterError(message))
        else:
            self._send(call)

    def _end(self, call: _Call, outcome: Any = None, *, fault: BaseException | None = None) -> None:
        self._under_way.discard(call)
        call.inner = None
        if fault is not None:
            call.future.set_exception(fault)
        else:
            call.future.set_result(outcome)

    def _give_up(self, why: str) -> None:
        message = (
            f"The scheduler at {self._cluster.address} {why} within {PATIENCE_SECONDS:g} s; what was finished is "
            "stored: start it and its workers, then run the same command again."
        )
        self._end_all(ClusterError(message))

    def _end_all(self, fault: Exception) -> None:
        self._fault = fault
        for call in list(self._under_way):
            self._end(call, fault=fault)
