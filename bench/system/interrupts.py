"""Ctrl-C, SIGTERM and SIGHUP end a command the same way, once, however often they come.

A signal that came while the first one is answered would cut the answer short with a traceback. What is stored is safe
at any moment, so one that comes later, when the answer takes too long, ends everything at once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from bench.system.program import program_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object] | int | None

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
INTERRUPTED = 130
"""Exit code of a command that was interrupted."""
_SAME_WISH_SECONDS = 5.0
"""A signal within this time says nothing new: keys repeat, and whoever reads nothing at once presses again."""


class Stop:
    """The handler of all of these signals.

    Attributes:
        announce: Called with the first of them, before KeyboardInterrupt is raised.
        told: Whether a user was told how far it came.
    """

    def __init__(self) -> None:
        self.announce: Callable[[], None] = lambda: None
        self.told = False
        self._heard: float | None = None

    @property
    def heard(self) -> bool:
        """Whether a signal came."""
        return self._heard is not None

    def install(self) -> dict[int, Handler]:
        """Hear the signals, in the main thread, which alone hears any; the handlers that were there.

        SIGHUP stays ignored where it is, as under `nohup`.
        """
        if threading.current_thread() is not threading.main_thread():
            return {}
        ignored = [number for number in STOPPING[1:] if signal.getsignal(number) == signal.SIG_IGN]
        return {number: signal.signal(number, self) for number in STOPPING if number not in ignored}

    def __call__(self, _number: int, _frame: object) -> None:
        """Hear a signal."""
        if self._heard is None:
            self._heard = time.monotonic()
            self.announce()
            raise KeyboardInterrupt
        if time.monotonic() - self._heard > _SAME_WISH_SECONDS:
            _end_at_once()


def _end_at_once() -> None:
    import psutil  # noqa: PLC0415 - hardly ever wanted, and the first import of all

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    with contextlib.suppress(OSError):
        said = f"{program_name()}: ended at once; what was finished is stored, the same command goes on from there.\n"
        os.write(2, said.encode())
    os._exit(INTERRUPTED)


def hear_to_the_end() -> None:
    """Hear the signals until this process has ended: it would die of one, or traceback, while it tidies up."""
    Stop().install()
    atexit.register(_ignore)  # the first to be registered runs last, after which the interpreter forgets its handlers


def _ignore() -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """One `Stop` hears the signals as long as the context: the one that is installed, where there is one."""
    installed = signal.getsignal(signal.SIGINT)
    if isinstance(installed, Stop):
        yield installed
        return
    stop = Stop()
    before = stop.install()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
