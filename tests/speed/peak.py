"""What this machine's processor can do at most: products of matrices in float32, on one thread."""

from __future__ import annotations

import time

import torch

_SIDE = 512


def sgemm_peak(*, seconds: float = 1.0) -> float:
    """Floating-point operations/s of `torch.mm` of 512×512, the best of as many as time allows; sets one thread."""
    torch.set_num_threads(1)
    one, other, product = (torch.rand(_SIDE, _SIDE) for _ in range(3))
    best, ends = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < ends:
        started = time.perf_counter()
        torch.mm(one, other, out=product)
        best = min(best, time.perf_counter() - started)
    return 2 * _SIDE**3 / best
