"""How a run computes: alike in every process, whatever that process did before, and without a trace behind it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import torch

from bench.training.generators import kept_generators

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 1
"""Threads of a run: with one, its bits do not depend on the number of cores."""


@contextlib.contextmanager
def fixed_arithmetic(device: str) -> Iterator[None]:
    """One thread, flushed denormals, full precision and kernels that repeat themselves.

    Whatever a net sets for the whole process (default type, gradients off, deterministic kernels, threads, anomaly
    detection) ends with the context, as do draws from the global generators.

    Args:
        device: Kind of device that computes.
    """
    with _kept_settings(), kept_generators():
        torch.set_num_threads(THREADS)
        torch.set_default_dtype(torch.float32)
        torch.set_flush_denormal(True)  # late in training Adam's moments become denormal and slow
        if device == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with it
            torch.use_deterministic_algorithms(mode=True, warn_only=True)
            torch.backends.cudnn.benchmark = False
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        yield


@contextlib.contextmanager
def _kept_settings() -> Iterator[None]:
    """Put back what holds for the whole process."""
    threads, dtype, gradients = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    mode, precision = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    anomaly, onednn, device = torch.is_anomaly_enabled(), torch.backends.mkldnn.enabled, torch.get_default_device()
    flushed = (torch.full((), 5e-324, dtype=torch.float64, device="cpu") * 1.0).item() == 0.0  # torch does not say
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.set_deterministic_debug_mode(mode)
        torch.set_float32_matmul_precision(precision)
        torch.autograd.set_detect_anomaly(anomaly)
        torch.backends.mkldnn.enabled = onednn
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)
