"""Calls in a process of their own, so that a crash, a hang or a flood of output costs that call and nothing else.

The processes are forked from one clean process that has imported torch and nothing of a user's: starting one takes some
milliseconds. It is started once, and ends with this process.
"""

from __future__ import annotations

import builtins
import contextlib
import dataclasses
import math
import multiprocessing
import os
import pickle
import re
import signal
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bench.core.errors import BenchError, DiedError, RaisedError
from bench.system.child import HEADER, Setup, live
from bench.system.worker_environment import environment_of_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Item = TypeVar("Item")
    Result = TypeVar("Result")

PRELOADED = ["torch", "bench.models.doctor.check", "bench.models.doctor.examine"]
"""What the clean process imports, which loading a net takes."""
TO_TRAIN = ["bench.execution.worker", "torch._dynamo", "sklearn.model_selection"]
"""What it imports as well where something trains: a first optimizer and a first split import the last two."""
_START_SECONDS = 300.0
"""How long a process may take to begin: the first one waits until torch is imported, on a machine that is busy."""
_GRACE_SECONDS = 10.0
"""A process that hangs ends itself and says where; one that does not is ended so much later."""
_KEPT_BYTES = 8_000
"""How much of what a call prints is kept, its end."""
_FRAME = re.compile(r'File "(.+)", line (\d+) in (.+)')


class Frame(NamedTuple):
    """A line of code."""

    file: Path
    line: int
    function: str


def read_frames(trace: str) -> list[Frame]:
    """Where a process was when it died (`DiedError.trace`), innermost first."""
    return [Frame(Path(file), int(line), function) for file, line, function in _FRAME.findall(trace)]


_also: list[str] = []
"""What the clean process imports beside `PRELOADED`, once something is to train."""
_calls: set[ChildProcess] = set()
"""Calls of `call_apart` that are under way."""
_KILLING_SECONDS = 0.05
"""A thread whose call was ended may have begun another one just then."""
_starting = threading.RLock()
"""Held while a process starts: what it takes over is set for this whole process, and threads may start one at once."""


def prepare(*, to_train: bool = False) -> None:
    """Start the process that the others are forked from, without waiting for it; it stays as it was started first."""
    if to_train:
        _also[:] = TO_TRAIN  # for one that has to be started again as well
    with _starting, _interrupts_held(), environment_of_workers(), _without_main():
        context = clean_context()
        if context.get_start_method() == "forkserver":  # while that process lives, all of this is done already
            context.set_forkserver_preload([*PRELOADED, *_also])
            forkserver.ensure_running()


class ChildProcess:
    """A call under way in a process of its own.

    Attributes:
        lines: How many lines it has printed so far, as far as output is kept.
    """

    def __init__(
        self, function: Callable[..., Any], *arguments: Any, limit_seconds: float | None = None, output: str = "kept"
    ) -> None:
        """Start it.

        Args:
            function: What is called there, of a module that can be imported. One whose first argument is named `line`
                is given a `bench.system.child.Line` to talk with this process.
            arguments: Unpickled inside the call.
            limit_seconds: How long it may take, what it takes to start not counted.
            output: What becomes of what it prints: "kept" (the end of it), "dropped" or "shown".
        """
        prepare()
        context = clean_context()
        pipes = [context.Pipe(duplex=False) for _ in range(4)]
        self._answers, self._printed, self._trace = self._open = [reading for reading, _ in pipes[:3]]
        inbox, self._inbox = pipes[3]
        answers, printed, trace = (writing for _, writing in pipes[:3])
        self._buffers: dict[Any, bytearray] = {end: bytearray() for end in self._open}
        self.lines = 0
        self._limit, self._has_begun, self._deadline = limit_seconds, False, time.monotonic() + _START_SECONDS
        setup = Setup(answers, printed, trace, inbox, output, dict(os.environ), str(Path.cwd()), limit_seconds)
        call = pickle.dumps((function, arguments))
        with _starting, _interrupts_held(), environment_of_workers(), _without_main():
            self._process = context.Process(target=live, args=(setup, call), daemon=True)
            self._process.start()
        for end in (answers, printed, trace, inbox):
            end.close()

    @property
    def output(self) -> str:
        """The end of what it has printed so far."""
        return self._text(self._printed)

    def tell(self, message: Any) -> None:
        """Send it something to hear; DiedError when it has ended."""
        try:
            self._inbox.send(message)
        except OSError as fault:
            raise self._death() from fault

    def listen(self) -> tuple[str, Any]:
        """The next thing it says: ("told", message), or in the end ("value", …), ("refused", …) or ("raised", …).

        Raises:
            DiedError: It has ended without an answer, or was ended since it took too long.
        """
        kind, message = self._next_message()
        if kind == "begun":
            self._has_begun = True
            self._deadline = math.inf if self._limit is None else time.monotonic() + self._limit + _GRACE_SECONDS
            kind, message = self._next_message()
        return kind, message

    def kill(self) -> None:
        """End it and all that it has started, while another thread may listen; nothing happens when it has ended."""
        pid = self._process.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._process.kill()

    def end(self) -> None:
        """End it and all that it has started, and let go of it."""
        self.kill()
        self._process.join()
        for end in (*self._buffers, self._inbox):
            end.close()
        self._open = []

    def _next_message(self) -> tuple[str, Any]:
        while (message := self._take_message()) is None:
            seconds = None if math.isinf(self._deadline) else max(0.0, self._deadline - time.monotonic())
            ready = connection.wait([*self._open, self._process.sentinel], timeout=seconds)
            if not ready:
                self.end()
                raise self._late()
            for end in [end for end in ready if end is not self._process.sentinel]:
                self._read(end)
            if self._process.sentinel in ready:
                self._drain()
                if (message := self._take_message()) is None:
                    raise self._death()
                break
        return message

    def _take_message(self) -> tuple[str, Any] | None:
        """The first message of the buffer, when all of it has come; a net's own process may hold the pipe open."""
        buffer = self._buffers[self._answers]
        if len(buffer) < HEADER.size:
            return None
        end = HEADER.size + HEADER.unpack_from(buffer)[0]
        if len(buffer) < end:
            return None
        message: tuple[str, Any] = pickle.loads(bytes(buffer[HEADER.size : end]))  # noqa: S301 - of our own process
        del buffer[:end]
        return message

    def _read(self, end: Any) -> None:
        """Take in what has come; what a call prints only counts, but for its end."""
        try:
            data = os.read(end.fileno(), 65_536)
        except BlockingIOError:
            return
        if not data:
            self._open.remove(end)
        self._buffers[end] += data
        if end is self._printed:
            self.lines += data.count(b"\n")
            del self._buffers[end][:-_KEPT_BYTES]

    def _drain(self) -> None:
        """Take in all that an ended process has left; whoever it started may still hold the pipes."""
        for end in list(self._open):
            os.set_blocking(end.fileno(), False)
            before = -1
            while end in self._open and before != len(self._buffers[end]):
                before = len(self._buffers[end])
                self._read(end)

    def _late(self) -> DiedError:
        if not self._has_begun:
            return DiedError(f"did not begin within {_START_SECONDS:g} s", hung=True)
        return DiedError(f"did not end within {self._limit:g} s", trace=self._text(self._trace), hung=True)

    def _death(self) -> DiedError:
        self._process.join(_GRACE_SECONDS)
        code, trace = self._process.exitcode, self._text(self._trace)
        self.end()
        if trace.startswith("Timeout ("):
            return DiedError(f"did not end within {self._limit:g} s", trace=trace, hung=True)
        if code is not None and code < 0:
            name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
            return DiedError(f"was killed by {name}", trace=trace)
        return DiedError(f"ended its process with exit code {code}", trace=trace)

    def _text(self, end: Any) -> str:
        return self._buffers[end].decode(errors="replace")


def clean_context() -> Any:
    """Forking is fast and clean from a server; on systems whose libraries forbid it, processes start from nothing."""
    return multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module: a new process would import it, and it has no part in what is called there."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C and a terminal's end reach all its processes: those started in here never hear it, this one at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a call gave, the end of what it printed and how many lines that was, and its fault.

    The fault is one of our errors as a plain BenchError, anything else as RaisedError.
    """

    value: Any = None
    printed: str
    lines: int
    fault: BenchError | RaisedError | None = None

    @property
    def last_line(self) -> str:
        """The last line printed that is not empty."""
        return next((line.strip() for line in reversed(self.printed.splitlines()) if line.strip()), "")


def call_apart(
    function: Callable[..., Any],
    *arguments: Any,
    limit_seconds: float | None = None,
    hear: Callable[[Any], None] | None = None,
) -> Answer:
    """Call a function of a module in a process of its own; arguments and value are pickled.

    Args:
        function: What is called, as `ChildProcess` takes it.
        arguments: What it is given.
        limit_seconds: How long it may take; as long as it likes when None.
        hear: Is given what the call tells before it answers; needed by one that tells anything.

    Raises:
        DiedError: The process ended, or was ended, before it answered.
    """
    child = ChildProcess(function, *arguments, limit_seconds=limit_seconds)
    _calls.add(child)
    try:
        kind, value = child.listen()
        while kind == "told" and hear is not None:
            hear(value)
            kind, value = child.listen()
    finally:
        _calls.discard(child)
        child.end()
    printed = child.output.strip()
    lines = max(child.lines, int(bool(printed)))
    if kind == "value":
        return Answer(value=value, printed=printed, lines=lines)
    text, behind = value
    fault: BenchError | RaisedError
    if kind == "refused":
        fault = BenchError(text)
        fault.__cause__ = _rebuild(behind)
    else:
        fault = RaisedError(text)
        fault.add_note(behind)
    return Answer(fault=fault, printed=printed, lines=lines)


def work_at_once(
    work: Callable[[Item], Result], items: Sequence[Item], *, at_once: int, watch: Callable[[int], None]
) -> list[Result]:
    """Work on each item, several at once in threads that make calls apart; what comes of them, in order.

    What one raises, or Ctrl-C, ends the calls that are under way. Without others beside it the work is this thread's.
    `watch` is told how many are done.
    """
    watch(0)
    if at_once == 1:
        results = []
        for item in items:
            results.append(work(item))
            watch(len(results))
        return results
    pool = ThreadPoolExecutor(at_once)
    working = [pool.submit(work, item) for item in items]
    try:
        for done, each in enumerate(as_completed(working), 1):
            each.result()
            watch(done)
        return [each.result() for each in working]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        while not all(each.done() for each in working):
            for call in tuple(_calls):
                call.kill()
            wait([each for each in working if not each.done()], timeout=_KILLING_SECONDS)
        raise
    finally:
        pool.shutdown()


def _rebuild(cause: tuple[str, str] | None) -> BaseException | None:
    """The cause of a refusal, as far as Python itself knows its kind."""
    kind = getattr(builtins, cause[0], None) if cause else None
    if cause is None or not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    with contextlib.suppress(TypeError):  # UnicodeError takes more
        return kind(cause[1].removeprefix(cause[0]).removeprefix(": "))
    return None
