"""What a process of its own does: it shuts itself off, makes one call, and says what became of it."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import inspect
import os
import pickle
import resource
import signal
import struct
import sys
import threading
import traceback
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import psutil

from bench.core.errors import BenchError, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.connection import Connection

HEADER = struct.Struct("!Q")
"""Length of the pickle that follows."""


class Setup(NamedTuple):
    """What a child takes over: pipes to say, print, leave traces and hear by, and what it starts with.

    `output` is what becomes of what it prints: "kept", "dropped" or "shown"; after `limit_seconds` it ends at once and
    says where it was.
    """

    answers: Connection
    printed: Connection
    trace: Connection
    inbox: Connection
    output: str
    environment: Mapping[str, str]
    folder: str
    limit_seconds: float | None


class Line:
    """How a call in a process of its own talks with the one that asked for it."""

    def __init__(self, setup: Setup) -> None:
        self._answers, self._inbox, self._owner = setup.answers, setup.inbox, os.getpid()

    def tell(self, message: Any) -> None:
        """Say something; it comes out of `ChildProcess.listen`."""
        self.send(("told", message))

    def hear(self) -> Any:
        """The next thing that `ChildProcess.tell` sends; EOFError when nobody will send anything any more."""
        return self._inbox.recv()

    def send(self, message: tuple[str, Any]) -> None:
        """Write a message; a process that a net has forked off says nothing and ends."""
        if os.getpid() != self._owner:
            os._exit(0)
        body = pickle.dumps(message)
        rest = memoryview(HEADER.pack(len(body)) + body)
        while rest:
            rest = rest[os.write(self._answers.fileno(), rest) :]


def live(setup: Setup, call: bytes) -> NoReturn:
    """Make one pickled call and end; nothing that it leaves behind (threads, handlers, buffers) is waited for."""
    code = 70
    try:
        line = Line(setup)
        _shut_off(setup)
        line.send(("begun", None))
        line.send(_answer(call, line))
        code = 0
    finally:
        os._exit(code)


def _answer(call: bytes, line: Line) -> tuple[str, Any]:
    try:
        function, arguments = pickle.loads(call)  # noqa: S301 - our own call
        talks = next(iter(inspect.signature(function).parameters), "") == "line"
        answer = ("value", function(*((line, *arguments) if talks else arguments)))
        pickle.dumps(answer)
    except BenchError as error:
        answer = ("refused", (str(error), _describe_cause(error.__cause__)))
    except BaseException as error:  # noqa: BLE001 - whatever a net does must not pass for the end of the process
        answer = ("raised", (first_line(error), traceback.format_exc()))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):  # a net may have closed or replaced them
            stream.flush()
    return answer


def _describe_cause(cause: BaseException | None) -> tuple[str, str] | None:
    """Kind and text of what lies behind a refusal, as far as Python itself knows the kind."""
    if cause is None or type(cause).__module__ != "builtins":
        return None
    return type(cause).__name__, first_line(cause)


def _shut_off(setup: Setup) -> None:
    """Take nothing from the terminal or the command line, be ended with all that is started here, and say where."""
    os.setsid()
    gc.freeze()  # what is imported is no garbage: looking through it takes 2 to 5 % of a small net's step
    threading.Thread(target=_end_with_parent, daemon=True).start()
    hear_own_signals()
    os.environ.clear()
    os.environ.update(setup.environment)
    os.chdir(setup.folder)
    sys.argv = ["runner.py"]
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    if setup.output != "shown":
        target = setup.printed.fileno() if setup.output == "kept" else nothing
        os.dup2(target, 1)
        os.dup2(target, 2)
    os.close(nothing)
    faulthandler.enable(file=setup.trace.fileno(), all_threads=False)
    if setup.limit_seconds is not None:
        faulthandler.dump_traceback_later(setup.limit_seconds, exit=True, file=setup.trace.fileno())
        _bound_memory()


def hear_own_signals() -> None:
    """Hear what is sent to this process from now on; what a terminal sent to all while it started is dropped."""
    handlers: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    for number in handlers:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handlers)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _bound_memory() -> None:
    """Let no more be allocated than the machine has: it would have to end some process then, perhaps another one.

    Not beside an accelerator, whose driver maps its own memory into the process as well.
    """
    if os.path.exists("/dev/nvidiactl"):  # noqa: PTH110 - nothing else here needs pathlib
        return
    most = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _end_with_parent() -> None:
    """End this process, and all that it has started, when the one that asked for it has gone."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)
