"""How a training process keeps its memory instead of handing it back to the kernel after every step."""

from __future__ import annotations

import contextlib
import ctypes

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
