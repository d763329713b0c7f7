"""What trains: torch's own layers ("torch"), or the suite's own kernels ("lanes"), which not every machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.core.errors import UsageError
from bench.models.rewriting.kernels.library import kernels_name
from bench.system.device import accelerator_name
from bench.system.environment import describe_environment

if TYPE_CHECKING:
    from collections.abc import Callable


def choose_engine(asked: str, device: str, find_reason: Callable[[], str]) -> tuple[str, str]:
    """The engine that trains, and why it was not chosen to be "lanes".

    Args:
        asked: "auto", "torch" or "lanes".
        device: Kind of device.
        find_reason: Says why there are no kernels, and the way out; empty where there are. Asked only if it matters.

    Raises:
        UsageError: "lanes" is asked for and cannot be had.
    """
    if asked == "torch" or (asked == "auto" and device != "cpu"):
        return "torch", ""
    if device != "cpu":
        raise UsageError(
            f"--engine lanes: its kernels are for CPUs, not for {device}; choose --device cpu, or --engine torch."
        )
    why = find_reason().rstrip(".")
    if why and asked == "lanes":
        raise UsageError(f"--engine lanes: {why}; or choose --engine torch.")
    return ("torch", why) if why else ("lanes", "")


def describe_surroundings(device: str, engine: str) -> dict[str, Any]:
    """The environment of a process that trains on a kind of device, and its kernels where the engine has some."""
    found = describe_environment(accelerator=accelerator_name(device))
    return found | {"kernels": kernels_name()} if engine == "lanes" else found
