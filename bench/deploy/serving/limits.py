"""What a request may cost: bytes, pixels, requests a second and time."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from typing import TYPE_CHECKING

from bench.core.errors import TooSlowError
from bench.core.options import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_RATE = 20.0
_MOST_ADDRESSES = 10_000
"""That are remembered; the one that asked least recently is forgotten first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one request and of one address.

    Attributes:
        body_bytes: Of a request.
        side: Pixels of a picture's longer side.
        pixels: Of a picture.
        seconds: From when a request is worked on until it is given up.
        rate: Requests a second that an address may make for long, twice as many at once; None for `DEFAULT_RATE`, from
            which this machine's own addresses are exempt.
    """

    body_bytes: int = 4 << 20
    side: int = 4_096
    pixels: int = 12_000_000
    seconds: float = 5.0
    rate: float | None = None


class Deadline:
    """When a request is given up; asked between the steps of its work."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._ends = clock, clock() + seconds

    def check(self) -> None:
        """Raise TooSlowError when the time is up."""
        if self._clock() > self._ends:
            raise TooSlowError


class RateLimit:
    """A bucket of tokens for each address: one a request, filled at a steady rate."""

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._spares_loopback = rate or DEFAULT_RATE, rate is None
        self._most = max(1.0, 2 * self._rate)
        self._clock, self._lock = clock, threading.Lock()
        self._buckets: collections.OrderedDict[str, tuple[float, float]] = collections.OrderedDict()

    def take(self, address: str) -> float:
        """Count a request; 0 when it may go on, else seconds after which the address may try again."""
        if self._spares_loopback and address in LOOPBACK:
            return 0.0
        now = self._clock()
        with self._lock:
            left, seen = self._buckets.pop(address, (self._most, now))
            left = min(self._most, left + (now - seen) * self._rate)
            allowed = left >= 1
            self._buckets[address] = (left - 1 if allowed else left, now)
            if len(self._buckets) > _MOST_ADDRESSES:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate
