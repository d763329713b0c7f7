"""The environment of worker processes: how they allocate memory, and one thread each."""

from __future__ import annotations

import contextlib
import ctypes
import os
from typing import TYPE_CHECKING

from bench.system.environment import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

# glibc hands every activation of a few MB back to the kernel and faults it in again, each step; keeping the memory, in
# huge pages, nearly doubles the training rate of the larger nets. Tasks run in a thread: only the main arena keeps its
# memory as told here, so there is no other.
_MEMORY = {
    "mmap_threshold": 4 * 2**30,
    "trim_threshold": 8 * 2**30,
    "top_pad": 256 * 2**20,
    "arena_max": 1,
    "hugetlb": 1,
}
WORKER_ENVIRONMENT = {
    "GLIBC_TUNABLES": ":".join(f"glibc.malloc.{name}={value}" for name, value in _MEMORY.items()),
    # One thread each: results then do not depend on the number of cores or workers.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_MALLOPT = {-8: 1, -3: 2**31 - 1, -1: 2**31 - 1, -2: 256 * 2**20}
"""glibc's M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD (malloc.h)."""


def keep_memory() -> None:
    """Tell glibc, in a process that has started already, what `WORKER_ENVIRONMENT` says; elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for option, value in _MALLOPT.items():
            mallopt(option, value)


@contextlib.contextmanager
def environment_of_workers() -> Iterator[None]:
    """Processes that start in here have the environment of workers, and this project can be imported in them."""
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
