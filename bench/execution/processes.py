"""Several jobs: worker processes of this machine, each with one thread, started and ended with the study."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from bench.execution.pool import DEATHS, Workers
from bench.execution.process import RemoteTrain, unpack
from bench.system.interrupts import unheard
from bench.system.process import WORKER_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.run import Workplace

_QUIET = {
    # Dask's own threads wake up for the interpreter's lock while a run trains: its sampling profiler every 10 ms, its
    # clock every 20 ms, its monitor every 500 ms. Together they cost fc3136 6 % of its training rate.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}


_TOPIC = "bench-progress"
"""What workers say of runs under way; their scheduler serves nobody else."""


@contextlib.contextmanager
def open_processes(workplace: Workplace, *, count: int) -> Iterator[Workers]:
    """One Dask worker process with one thread for each job; a dead one is started again and its run tried again."""
    import dask  # noqa: PLC0415 - half a second that --jobs 1 does not pay
    from distributed import Client, LocalCluster  # noqa: PLC0415

    settings = _QUIET | {
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        "distributed.worker.preload": ["bench.execution.uninterrupted"],
        "distributed.scheduler.allowed-failures": DEATHS,
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        with unheard():
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    dashboard_address=None,
                    # Without a port of its own it warns when another study has Dask's default one.
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                    memory_limit=0,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
        # Identical calls must not be merged: each is a run of its own.
        workers = Workers(client.get_executor(pure=False), RemoteTrain(workplace, _TOPIC), lambda: count, packs=True)
        client.subscribe_topic(_TOPIC, lambda event: workers.messages.put(unpack(event[1])))
        yield workers
