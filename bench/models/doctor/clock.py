"""A clock that can be put forward, so that a net that asks for the time is found out."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_SECONDS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_IN_NANOSECONDS = tuple(f"{name}_ns" for name in _IN_SECONDS)


class Clock:
    """How far the clock is put forward."""

    seconds = 0.0


@contextlib.contextmanager
def shifted_clock() -> Iterator[Clock]:
    """Let `time` and `datetime` tell the time of a clock that can be put forward, to whoever imports them in here."""
    clock = Clock()
    before = {name: getattr(time, name) for name in (*_IN_SECONDS, *_IN_NANOSECONDS)}
    kinds = {"datetime": dt.datetime, "date": dt.date}
    for name in _IN_SECONDS:
        setattr(time, name, lambda tell=before[name]: tell() + clock.seconds)
    for name in _IN_NANOSECONDS:
        setattr(time, name, lambda tell=before[name]: tell() + int(clock.seconds * 1e9))
    for name, kind in _shifted_kinds(clock).items():
        setattr(dt, name, kind)
    try:
        yield clock
    finally:
        for name, tell in before.items():
            setattr(time, name, tell)
        for name, kind in kinds.items():
            setattr(dt, name, kind)


def _shifted_kinds(clock: Clock) -> dict[str, Any]:
    """Datetime and date that read the clock; moments that others made are of these kinds too."""
    of_moments, of_days = dt.datetime, dt.date

    class Moments(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, of_moments)

    class Days(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, of_days)

    class Moment(dt.datetime, metaclass=Moments):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return of_moments.now(tz) + dt.timedelta(seconds=clock.seconds)

        @classmethod
        def utcnow(cls) -> Any:
            return of_moments.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(seconds=clock.seconds)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

    class Day(dt.date, metaclass=Days):
        @classmethod
        def today(cls) -> Any:
            return of_days.today() + dt.timedelta(seconds=clock.seconds)

    return {"datetime": Moment, "date": Day}
