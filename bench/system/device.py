"""Which device computes, and how many runs it takes at once."""

from __future__ import annotations

import os

import torch

from bench.core.errors import UsageError
from bench.system.environment import INSTRUCTION_LIMITS, usable_cores


def has_device(kind: str) -> bool:
    """Whether this machine has a kind of device: "cpu", "cuda" or "mps"."""
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def find_device(name: str) -> str:
    """The kind of device for a `--device` value; "auto" takes the first accelerator that is there, else "cpu".

    Raises:
        UsageError: The device is not there.
    """
    if name == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if has_device(kind))
    if not has_device(name):
        raise UsageError(f"--device {name}: torch {torch.__version__} finds none here; choose auto or cpu.")
    return name


def accelerator_name(device: str) -> str:
    """What an accelerator calls itself; empty on a CPU, or where it is not, as on the client of a cluster."""
    if not has_device(device):
        return ""
    if device == "cuda":
        return torch.cuda.get_device_name()
    return "Apple GPU" if device == "mps" else ""


def instruction_set(device: str) -> str:
    """Which vector instructions torch uses on a CPU, and what the environment forbids the libraries below it.

    They change the bits of a run. `AVX2`, say, or `AVX512 ONEDNN_MAX_CPU_ISA=AVX2`; empty on an accelerator.
    """
    if device != "cpu":
        return ""
    limits = [f"{name}={os.environ[name]}" for name in INSTRUCTION_LIMITS[1:] if os.environ.get(name)]
    return " ".join([torch.backends.cpu.get_cpu_capability(), *limits])


def default_jobs(device: str) -> int:
    """One run per core that this process may use; one on an accelerator."""
    return usable_cores() if device == "cpu" else 1
