"""How a run computes: alike in every process, whatever that process did before."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 1
"""Threads of a run: with one, its bits do not depend on the number of cores."""


@contextlib.contextmanager
def fixed_arithmetic(device: str) -> Iterator[None]:
    """One thread, flushed denormals, full precision and kernels that repeat themselves; torch's generator comes back.

    Args:
        device: Kind of device that computes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)  # late in training Adam's moments become denormal and slow
    if device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with it
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
