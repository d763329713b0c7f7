"""Hands tasks to a scheduler elsewhere, once more after what passes: a lost connection, data that was not there yet."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from concurrent.futures import CancelledError, Executor, Future
from typing import TYPE_CHECKING, Any

from bench.data import delivery
from bench.data.datasets import load_dataset
from bench.errors import ClusterError, first_line
from bench.files import cannot_write, write_atomically
from bench.workers.away import DataMissingError, Delivery, has_data
from bench.workers.scheduler import CONNECT_SECONDS, GPU, make_client, members

if TYPE_CHECKING:
    from collections.abc import Callable

    import distributed

    from bench.task import Cluster, Workplace

PATIENCE_SECONDS = 300.0
"""How long a scheduler that was there may be away, or have no worker, before the study ends."""
_LOOK_EVERY_SECONDS = 1.0
_SENDINGS = 3
"""How often data is sent for one task before something else must be wrong."""


@dataclasses.dataclass(kw_only=True, eq=False)
class _Handed:
    """A task under way.

    Attributes:
        train: What trains it.
        words: What that is given.
        future: What the caller holds.
        inner: Dask's, held so that the scheduler does not forget the task.
        sendings: How often data was sent for it.
    """

    train: Callable[..., Any]
    words: tuple[Any, ...]
    future: Future[Any]
    inner: Any = None
    sendings: int = 0


class Handover(Executor):
    """An executor on a scheduler. What it was given ends once, however often the connection breaks meanwhile.

    A thread looks after the connection: when it is lost, another is made, everything under way is handed over again,
    and workers find what was stored meanwhile.
    """

    def __init__(
        self,
        workplace: Workplace,
        cluster: Cluster,
        *,
        begin: Callable[[distributed.Client], None],
        say: Callable[[str], None],
    ) -> None:
        """Connect.

        Args:
            workplace: Where data to send lies, and where weights that come back are kept.
            cluster: Whose workers take the tasks.
            begin: Called with every new connection, before anything is handed over.
            say: Hears what a person should know.

        Raises:
            ClusterError: The scheduler does not answer.
        """
        self._workplace, self._cluster, self._begin, self._say = workplace, cluster, begin, say
        self._under_way: set[_Handed] = set()
        self._lock, self._closed, self._broken = threading.RLock(), threading.Event(), threading.Event()
        self._client = self._connect(seconds=CONNECT_SECONDS)
        self.workers = len(self.members())
        self._watch = threading.Thread(target=self._look_after, name="bench-cluster", daemon=True)
        self._watch.start()

    def members(self) -> list[str]:
        """Addresses of the workers that can take tasks now."""
        return list(members(self._client, self._cluster.device))

    def submit(self, fn: Callable[..., Any], /, *words: Any, **_none: Any) -> Future[Any]:
        """Hand over a call; a `Delivery` that comes back is unpacked to its record."""
        handed = _Handed(train=fn, words=words, future=Future())
        with self._lock:
            self._under_way.add(handed)
        self._send(handed)
        return handed.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Let go: what is under way is wanted no more, and its workers stop at their next report."""
        self._closed.set()
        with contextlib.suppress(OSError, TimeoutError):
            self._client.close(timeout=10)
        self._watch.join()

    def _connect(self, *, seconds: float) -> distributed.Client:
        client = make_client(self._cluster.address, seconds=seconds)
        self._begin(client)
        return client

    def _send(self, handed: _Handed) -> None:
        resources = None if self._cluster.device == "cpu" else {GPU: 1}
        with self._lock:
            client = self._client
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # a broken connection; it is sent on the next
                handed.inner = client.submit(handed.train, *handed.words, pure=False, resources=resources)
                handed.inner.add_done_callback(lambda inner: self._hear(handed, inner))

    def _hear(self, handed: _Handed, inner: distributed.Future[Any]) -> None:
        """What became of a task; Dask calls this in a thread, one at a time."""
        if handed.inner is not inner or self._closed.is_set():
            return  # of a connection that was given up
        try:
            outcome = self._unpack(inner.result())
        except DataMissingError as missing:
            self._send_data(handed, str(missing))
        except (CancelledError, OSError, TimeoutError):
            self._broken.set()  # Dask may have mended the connection, but what it was told before is forgotten
        except ImportError as fault:
            self._end(handed, ClusterError(f"A worker cannot run this project: {first_line(fault)}."))
        except Exception as fault:  # noqa: BLE001 - the caller asks the future
            self._end(handed, fault)
        else:
            self._end(handed, None, outcome)

    def _unpack(self, outcome: Any) -> Any:
        if not isinstance(outcome, Delivery):
            return outcome
        if outcome.weights:
            try:
                write_atomically(self._workplace.results / outcome.record.checkpoint, outcome.weights)
            except OSError as fault:
                raise cannot_write(self._workplace.results, fault) from fault
        return outcome.record

    def _end(self, handed: _Handed, fault: Exception | None, outcome: Any = None) -> None:
        with self._lock:
            if handed not in self._under_way:
                return
            self._under_way.remove(handed)
        if fault is not None:
            handed.future.set_exception(fault)
        else:
            handed.future.set_result(outcome)

    def _send_data(self, handed: _Handed, address: str) -> None:
        """Send a worker the dataset of a task, unless a neighbour on its host has it by now, and try again."""
        request = handed.words[0].request
        handed.sendings += 1
        if handed.sendings > _SENDINGS:
            fault = ClusterError(
                f"Worker {address} lacks {request.dataset} although it was sent; check its cache folder."
            )
            self._end(handed, fault)
            return
        try:
            there = self._client.run(has_data, request.dataset, request.data_hash, workers=[address])
            if not there.get(address):
                dataset = load_dataset(request.dataset, self._workplace.data_dir, expected_hash=request.data_hash)
                self._client.run(delivery.keep, delivery.pack(dataset), request.data_hash, workers=[address])
        except Exception as fault:  # noqa: BLE001 - the disk there, the data here, or the connection
            self._end(
                handed, ClusterError(f"Worker {address} could not be sent {request.dataset}: {first_line(fault)}.")
            )
        else:
            self._send(handed)

    def _look_after(self) -> None:
        """Until the end: mend the connection, count the workers."""
        alone_since = None
        while not self._closed.wait(_LOOK_EVERY_SECONDS):
            if (self._broken.is_set() or self._client.status != "running") and not self._mend():
                self._give_up("did not answer any more")
                return
            self._send_again()
            with contextlib.suppress(OSError, TimeoutError):
                self.workers = len(self.members())
            alone_since = None if self.workers else alone_since or time.monotonic()
            if alone_since and time.monotonic() - alone_since > PATIENCE_SECONDS:
                self._give_up("had no worker any more")
                return

    def _send_again(self) -> None:
        """Hand over once more what the scheduler has lost, or never got."""
        with self._lock:
            lost = [one for one in self._under_way if one.inner is None or one.inner.status == "lost"]
        for handed in lost:
            self._send(handed)

    def _mend(self) -> bool:
        """Connect anew; everything under way is then to be handed over again."""
        self._say(f"The connection to the scheduler was lost; trying to reach {self._cluster.address} again.")
        with contextlib.suppress(Exception):
            self._client.close(timeout=1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and not self._closed.is_set():
            with contextlib.suppress(ClusterError):
                client = self._connect(seconds=CONNECT_SECONDS)
                with self._lock:
                    self._client = client
                    self._broken.clear()
                    for handed in self._under_way:
                        handed.inner = None
                self._say("The scheduler answers again; what was under way is handed over once more.")
                return True
            self._closed.wait(_LOOK_EVERY_SECONDS)
        return self._closed.is_set()

    def _give_up(self, why: str) -> None:
        fault = ClusterError(
            f"The scheduler at {self._cluster.address} {why} for {PATIENCE_SECONDS:g} s; what was finished is stored: "
            "start it and its workers, then run the same command again."
        )
        with self._lock:
            left = list(self._under_way)
        for handed in left:
            self._end(handed, fault)
