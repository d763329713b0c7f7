"""The most that this machine computes on one thread: what the speed of training is held against."""

from __future__ import annotations

import time

import torch

SIDE = 512
"""Rows and columns of the matrices: three of them fit into a second-level cache, and a product takes milliseconds."""
SECONDS = 0.3


def measure_peak(device: str) -> float | None:
    """Float32 operations a second of torch's matrix product on one thread, the best of many; None but on a CPU.

    A multiplication and an addition are two operations. Call it in a process that computes on one thread.
    """
    if device != "cpu":
        return None
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(SIDE, SIDE, generator=generator) for _ in range(2))
    out, best = torch.empty(SIDE, SIDE), float("inf")
    ends = time.perf_counter() + SECONDS
    while time.perf_counter() < ends:
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - started)
    return 2 * SIDE**3 / best
