"""A way between two processes that can be cut: what connects to it is handed on to another port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Relay:
    """Hands on connections until it is cut.

    Attributes:
        port: Where it listens on 127.0.0.1.
        cuts: How many connections it has cut.
    """

    def __init__(self, to: int) -> None:
        self._to, self._open, self._lock = to, True, threading.Lock()
        self._ends: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port, self.cuts = int(self._server.getsockname()[1]), 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._server.close()

    def cut(self, *, seconds: float | None = None) -> None:
        """Break every connection, and refuse new ones until it is restored, by itself after so many seconds."""
        with self._lock:
            self._open = False
            ends, self._ends = self._ends, set()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.cuts += len(ends) // 2
        if seconds is not None:
            threading.Timer(seconds, self.restore).start()

    def restore(self) -> None:
        """Let connections through again."""
        self._open = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self._open:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                with self._lock:
                    self._ends |= {near, far}
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65_536):
                sink.sendall(content)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._ends -= {source, sink}
        source.close()
