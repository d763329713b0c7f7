"""What this machine's processor can do at most: products of matrices in float32, on one thread."""

from __future__ import annotations

import torch

from bench.execution.profiling.peak import measure_peak


def sgemm_peak() -> float:
    """Floating-point operations/s, as the quiet phase of a study measures them; this process has one thread then."""
    torch.set_num_threads(1)
    found = measure_peak("cpu")
    assert found is not None
    return found
