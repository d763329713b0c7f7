"""How a run computes: alike in every process, whatever that process did before, and without a trace behind it."""

from __future__ import annotations

import contextlib
import os
import random
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


def seed_generators(seed: int) -> None:
    """Seed all three with one derived seed, of at most 63 bits; NumPy takes its lower 32."""
    torch.manual_seed(seed)
    np.random.seed(seed & 0xFFFF_FFFF)  # noqa: NPY002 - nets draw from the old global generator, so that one is seeded
    random.seed(seed)


@contextlib.contextmanager
def kept_generators() -> Iterator[None]:
    """Give all three back the state that they have now; of torch's that of the CPU."""
    of_numpy, of_python = np.random.get_state(), random.getstate()  # noqa: NPY002 - as above
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(of_numpy)  # noqa: NPY002 - as above
        random.setstate(of_python)


def generator_states() -> tuple[bytes, bytes, str]:
    """Where the three stand, to be compared."""
    of_numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - as above
    return torch.get_rng_state().numpy().tobytes(), repr(of_numpy).encode(), repr(random.getstate())


THREADS = 1
"""Threads of a run: with one, its bits do not depend on the number of cores."""


@contextlib.contextmanager
def fixed_arithmetic(device: str) -> Iterator[None]:
    """One thread, flushed denormals, full precision and kernels that repeat themselves.

    Whatever a net sets for the whole process (default type, gradients off, deterministic kernels, threads, anomaly
    detection) ends with the context, as do draws from the global generators.
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


def read_settings() -> dict[str, object]:
    """What holds for all nets of the process and may decide their numbers, by what people call it."""
    return {
        "number of threads": torch.get_num_threads(),
        "default type": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "recording of gradients": torch.is_grad_enabled(),
        "deterministic kernels": torch.get_deterministic_debug_mode() > 0,
        "precision of products": torch.get_float32_matmul_precision(),
        "search for anomalies": torch.is_anomaly_enabled(),
        "use of oneDNN": torch.backends.mkldnn.enabled,
        "search for cuDNN's fastest kernels": torch.backends.cudnn.benchmark,
        "deterministic kernels of cuDNN": torch.backends.cudnn.deterministic,
    }


@contextlib.contextmanager
def _kept_settings() -> Iterator[None]:
    threads, dtype, gradients = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    mode, precision = torch.get_deterministic_debug_mode(), torch.get_float32_matmul_precision()
    anomaly, onednn, device = torch.is_anomaly_enabled(), torch.backends.mkldnn.enabled, torch.get_default_device()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
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
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)
