"""What a worker process does first: it leaves Ctrl-C to the front door, also when it replaces one that died."""

from __future__ import annotations

import signal


def dask_setup(_worker: object) -> None:
    """Dask calls this in the main thread of every worker process that starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):  # the terminal was closed
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
