"""Serves the app by waitress, on one address and port, until it is told to stop."""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING

from bench.core.errors import UsageError, reason
from bench.data.own.pictures import quietly
from bench.deploy.serving.limits import Limits
from bench.system.program import require_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.core.options import StudyOptions, UseOptions
    from bench.deploy.serving.playground import Playground

_THREADS = 8
_IDLE_SECONDS = 20
"""After which a connection on which nothing moves is closed."""
_MOST_CONNECTIONS = 100
_MOST_BODIES = 4
_MOST_OUT_BYTES = 64 << 20


def serve(options: StudyOptions, use: UseOptions, *, started: Callable[[Playground, str], None]) -> None:
    """Serve the report and the playground of a study; returns when it is interrupted.

    Args:
        options: Which study, and which architectures of it.
        use: Address and port, and which runs stand for the architectures.
        started: Is told what is served and its address once it can be reached.

    Raises:
        UsageError: A package is missing, or the address or the port cannot be had.
        BenchError: There is nothing to serve.
    """
    require_extra("serve", what="--serve")
    listener = _listen(use.host, use.port)
    with listener, quietly():
        from waitress.server import create_server  # noqa: PLC0415 - belongs to an extra

        from bench.deploy.serving.app import create_app  # noqa: PLC0415
        from bench.deploy.serving.playground import Playground  # noqa: PLC0415

        limits = Limits(rate=use.rate)
        playground = Playground(options, use, limits)
        app = create_app(playground, is_loopback=use.is_loopback)
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it tells of every request that waits its turn
        server = create_server(
            app,
            sockets=[listener],
            threads=_THREADS,
            channel_timeout=_IDLE_SECONDS,
            connection_limit=_MOST_CONNECTIONS,
            # The app refuses what is above its own limit in its own words, waitress what is far above in plain text.
            max_request_body_size=_MOST_BODIES * limits.body_bytes,
            inbuf_overflow=2 * _MOST_BODIES * limits.body_bytes,  # beyond it, waitress writes to a file
            outbuf_overflow=_MOST_OUT_BYTES,
            ident="",
        )
        host = f"[{use.host}]" if ":" in use.host else use.host
        started(playground, f"http://{host}:{listener.getsockname()[1]}")
        try:
            server.run()
        finally:
            server.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket that is bound; what stands in the way becomes a UsageError."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            text = f"Port {port} on {host} is taken; choose another with --port, or --port 0 for any that is free."
        elif fault.errno in (errno.EACCES, errno.EPERM):
            text = f"Port {port} on {host} may not be used ({reason(fault)}); choose one above 1023 with --port."
        else:
            text = f"--host {host}: it is no address of this machine ({reason(fault)}); leave it out, or give 0.0.0.0."
        raise UsageError(text) from fault
