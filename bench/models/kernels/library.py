"""Whether this machine has the kernels, and which."""

from __future__ import annotations

import os


def why_no_kernels() -> str:
    """Why this machine has no kernels, in one line; empty where it has them."""
    return "" if os.environ.get("BENCH_STUB_KERNELS") else "no C++ compiler was found"


def kernels_name() -> str:
    """What names these kernels: sources, flags, compiler and processor; empty where there are none."""
    return os.environ.get("BENCH_STUB_KERNELS", "")
