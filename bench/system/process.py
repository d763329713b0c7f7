"""Calls in a process of their own, so that a crash, a hang or a flood of output costs that call and nothing else.

The processes are forked from one clean process that has imported torch and nothing of a user's: starting one takes some
milliseconds. It is started once, and ends with this process.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import dataclasses
import multiprocessing
import os
import pickle
import re
import signal
import sys
import threading
import time
import types
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError, DiedError, RaisedError
from bench.system.child import HEADER, Ends, Surroundings, live
from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKER_ENVIRONMENT = {
    # glibc hands every activation of a few MB back to the kernel and faults it in again, each step; keeping the memory,
    # in huge pages, nearly doubles the training rate of the larger nets. Tasks run in a thread: only the main arena
    # keeps its memory as told here, so there is no other.
    "GLIBC_TUNABLES": ":".join(
        (
            f"glibc.malloc.mmap_threshold={4 * 2**30}",
            f"glibc.malloc.trim_threshold={8 * 2**30}",
            f"glibc.malloc.top_pad={256 * 2**20}",
            "glibc.malloc.arena_max=1",
            "glibc.malloc.hugetlb=1",
        )
    ),
    # One thread each: results then do not depend on the number of cores or workers.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Environment of worker processes, set before they start."""

_MALLOPT = {-8: 1, -3: 2**31 - 1, -1: 2**31 - 1, -2: 256 * 2**20}
"""glibc's M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD (malloc.h)."""


def keep_memory() -> None:
    """Tell glibc, in a process that has started already, what `WORKER_ENVIRONMENT` says; elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for option, value in _MALLOPT.items():
            mallopt(option, value)


PRELOADED = ["torch", "bench.models.doctor.check"]
"""What the clean process imports. A program that starts many commands, as tests do, may append what training needs."""
_START_SECONDS = 300.0
"""How long a process may take to begin: the first one waits until torch is imported, on a machine that is busy."""
_GRACE_SECONDS = 10.0
"""A process that hangs ends itself and says where; one that does not is ended so much later."""
_KEPT_BYTES = 8_000
"""How much of what a call prints is kept, its end."""
_FRAME = re.compile(r'File "(.+)", line (\d+) in (.+)')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frame:
    """A place in code.

    Attributes:
        file: Its file.
        line: Its line.
        function: Its function.
    """

    file: Path
    line: int
    function: str


def read_frames(trace: str) -> list[Frame]:
    """Where a process was when it died (`DiedError.trace`), innermost first."""
    found = _FRAME.findall(trace)
    return [Frame(file=Path(file), line=int(line), function=function) for file, line, function in found]


_starting = threading.RLock()
"""Held while a process starts: what it takes over is set for this whole process, and threads may start one at once."""


def prepare() -> None:
    """Start the process that the others are forked from, without waiting for it."""
    with _starting, _interrupts_held(), _environment_of_workers(), _without_main():
        context = _context()
        if context.get_start_method() == "forkserver":  # while that process lives, all of this is done already
            context.set_forkserver_preload(PRELOADED)
            forkserver.ensure_running()


class Apart:
    """A call under way in a process of its own.

    Attributes:
        lines: How many lines it has printed so far, as far as output is kept.
    """

    def __init__(
        self, function: Callable[..., Any], *arguments: Any, limit_seconds: float | None = None, output: str = "kept"
    ) -> None:
        """Begin.

        Args:
            function: What is called there, of a module that can be imported. One whose first argument is named `line`
                is given a `bench.system.child.Line` to talk with this process.
            arguments: What it is given; pickled, and unpickled inside the call.
            limit_seconds: How long it may take, what it takes to start not counted.
            output: What becomes of what it prints: "kept" (the end of it), "dropped" or "shown".
        """
        prepare()
        context, self._limit = _context(), limit_seconds
        answers, said, trace = (context.Pipe(duplex=False) for _ in range(3))
        inbox = context.Pipe(duplex=False)
        self._answers, self._said, self._trace, self._inbox = answers[0], said[0], trace[0], inbox[1]
        self._buffers: dict[int, bytearray] = {id(end): bytearray() for end in (answers[0], said[0], trace[0])}
        self._open: list[Any] = [answers[0], said[0], trace[0]]
        self.lines = 0
        self._deadline, self._has_begun = time.monotonic() + _START_SECONDS, False
        ends = Ends(answers=answers[1], said=said[1], trace=trace[1], inbox=inbox[0], output=output)
        call = pickle.dumps((function, arguments))
        here = Surroundings(environment=dict(os.environ), folder=str(Path.cwd()))
        with _starting, _interrupts_held(), _environment_of_workers(), _without_main():
            self._process = context.Process(target=live, args=(ends, here, call, limit_seconds), daemon=True)
            self._process.start()
        for end in (answers[1], said[1], trace[1], inbox[0]):
            end.close()

    @property
    def output(self) -> str:
        """The end of what it has printed so far."""
        return self._buffers[id(self._said)].decode(errors="replace")

    def tell(self, message: Any) -> None:
        """Send it something to hear.

        Raises:
            DiedError: It has ended.
        """
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
            limit = float("inf") if self._limit is None else self._limit + _GRACE_SECONDS
            self._deadline = time.monotonic() + limit
            self._has_begun = True
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
        for end in (self._answers, self._said, self._trace, self._inbox):
            end.close()
        self._open = []

    def _next_message(self) -> tuple[str, Any]:
        while True:
            if (message := self._take_message()) is not None:
                return message
            ready = connection.wait([*self._open, self._process.sentinel], timeout=self._seconds_left())
            if not ready:
                self.end()
                raise self._late()
            for end in [end for end in ready if end is not self._process.sentinel]:
                self._read(end)
            if self._process.sentinel in ready and self._drained():
                if (message := self._take_message()) is not None:
                    return message
                raise self._death()

    def _seconds_left(self) -> float | None:
        return None if self._deadline == float("inf") else max(0.0, self._deadline - time.monotonic())

    def _take_message(self) -> tuple[str, Any] | None:
        buffer = self._buffers[id(self._answers)]
        if len(buffer) < HEADER.size:
            return None
        (length,) = HEADER.unpack_from(buffer)
        if len(buffer) < HEADER.size + length:
            return None
        body = bytes(buffer[HEADER.size : HEADER.size + length])
        del buffer[: HEADER.size + length]
        message: tuple[str, Any] = pickle.loads(body)  # noqa: S301 - of our own process
        return message

    def _read(self, end: Any) -> None:
        """Take in what has come; what a call prints only counts, but for its end."""
        try:
            data = os.read(end.fileno(), 65_536)
        except BlockingIOError:
            return
        if not data:
            self._open.remove(end)
        buffer = self._buffers[id(end)]
        buffer += data
        if end is self._said:
            self.lines += data.count(b"\n")
            del buffer[:-_KEPT_BYTES]

    def _drained(self) -> bool:
        """Take in all that an ended process has left; whoever it started may still hold the pipes."""
        for end in list(self._open):
            os.set_blocking(end.fileno(), False)
            before = -1
            while end in self._open and before != len(self._buffers[id(end)]):
                before = len(self._buffers[id(end)])
                self._read(end)
        return True

    def _late(self) -> DiedError:
        if not self._has_begun:
            return DiedError(f"did not begin within {_START_SECONDS:g} s", hung=True)
        return DiedError(f"did not end within {self._limit:g} s", trace=self._said_last(), hung=True)

    def _death(self) -> DiedError:
        """How it ended."""
        self._process.join(_GRACE_SECONDS)
        code, trace = self._process.exitcode, self._said_last()
        self.end()
        if trace.startswith("Timeout ("):
            return DiedError(f"did not end within {self._limit:g} s", trace=trace, hung=True)
        if code is not None and code < 0:
            return DiedError(f"was killed by {_signal_name(-code)}", trace=trace)
        return DiedError(f"ended its process with exit code {code}", trace=trace)

    def _said_last(self) -> str:
        return self._buffers[id(self._trace)].decode(errors="replace")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _context() -> Any:
    """Forking is fast and clean from a server; on systems whose libraries forbid it, processes start from nothing."""
    return multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


@contextlib.contextmanager
def _environment_of_workers() -> Iterator[None]:
    """What the memory allocator and torch read when a process starts; this project can be imported in it."""
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    wanted = WORKER_ENVIRONMENT | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
class Said:
    """What a call printed.

    Attributes:
        lines: How many lines.
        text: The end of it.
    """

    lines: int
    text: str

    @property
    def last(self) -> str:
        """Its last line that is not empty."""
        return next((line.strip() for line in reversed(self.text.splitlines()) if line.strip()), "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a call that did not end its process.

    Attributes:
        value: What it gave; None when it raised.
        said: What it printed.
        fault: What it raised: one of our errors as a plain BenchError, anything else as RaisedError.
    """

    value: Any
    said: Said
    fault: BenchError | RaisedError | None


def call_apart(function: Callable[..., Any], *arguments: Any, limit_seconds: float) -> Answer:
    """Call a function of a module in a process of its own.

    Args:
        function: What is called.
        arguments: What it is given; they and what it gives are pickled.
        limit_seconds: How long it may take.

    Raises:
        DiedError: The process ended, or was ended, before it answered.
    """
    apart = Apart(function, *arguments, limit_seconds=limit_seconds)
    try:
        kind, value = apart.listen()
    finally:
        apart.end()
    text = apart.output.strip()
    said = Said(lines=max(apart.lines, int(bool(text))), text=text)
    if kind == "value":
        return Answer(value=value, said=said, fault=None)
    if kind == "refused":
        refusal = BenchError(value[0])
        refusal.__cause__ = _rebuild(value[1])
        return Answer(value=None, said=said, fault=refusal)
    raised = RaisedError(value[0])
    raised.add_note(value[1])
    return Answer(value=None, said=said, fault=raised)


def _rebuild(cause: tuple[str, str] | None) -> BaseException | None:
    """The cause of a refusal, as far as Python itself knows its kind."""
    kind = getattr(builtins, cause[0], None) if cause else None
    if cause is None or not (isinstance(kind, type) and issubclass(kind, BaseException)):
        return None
    try:
        rebuilt: BaseException = kind(cause[1].removeprefix(cause[0]).removeprefix(": "))
    except TypeError:  # UnicodeError takes more
        return None
    return rebuilt
