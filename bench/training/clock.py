"""A stopwatch for training and evaluation that a clock set back cannot disturb."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stopwatch:
    """Seconds spent inside its `running` blocks, by the monotonic clock."""

    def __init__(self, device: torch.device, seconds: float = 0.0) -> None:
        self._device = device
        self._before = seconds
        self._started: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds so far, the block under way included."""
        return self._before + (0.0 if self._started is None else time.perf_counter() - self._started)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Let the clock run; at the end wait for the device, so that queued work is counted."""
        self._started = time.perf_counter()
        try:
            yield
        finally:
            synchronise(self._device)
            self._before, self._started = self.seconds, None


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
