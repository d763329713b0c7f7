"""A clock that can be put forward, so that a net that asks for the time is found out."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IN_SECONDS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_IN_NANOSECONDS = tuple(f"{name}_ns" for name in _IN_SECONDS)
_OF_SECONDS = ("localtime", "gmtime", "ctime")
"""Tell the time of so many seconds since 1970; of now without them."""
_OF_MOMENTS = ("strftime", "asctime")
"""Write a moment, their last argument; now without it."""


class Clock:
    """How far the clock is put forward."""

    seconds = 0.0


@contextlib.contextmanager
def shifted_clock() -> Iterator[Clock]:
    """Let `time` and `datetime` tell the time of a clock that can be put forward, to whoever imports them in here."""
    clock = Clock()
    shifted = _shifted_functions(clock)
    before = {name: getattr(time, name) for name in shifted}
    kinds = {"datetime": dt.datetime, "date": dt.date}
    for name, tell in shifted.items():
        setattr(time, name, tell)
    for name, kind in _shifted_kinds(clock).items():
        setattr(dt, name, kind)
    try:
        yield clock
    finally:
        for name, tell in before.items():
            setattr(time, name, tell)
        for name, kind in kinds.items():
            setattr(dt, name, kind)


def _shifted_functions(clock: Clock) -> dict[str, Callable[..., Any]]:
    true = {name: getattr(time, name) for name in (*_IN_SECONDS, *_IN_NANOSECONDS, *_OF_SECONDS, *_OF_MOMENTS)}

    def now() -> float:
        return float(true["time"]()) + clock.seconds

    def of_seconds(tell: Callable[..., Any]) -> Callable[..., Any]:
        return lambda seconds=None: tell(now() if seconds is None else seconds)

    def of_moment(tell: Callable[..., Any], required: int) -> Callable[..., Any]:
        return lambda *words: tell(*words) if len(words) > required else tell(*words, true["localtime"](now()))

    return (
        {name: lambda tell=true[name]: tell() + clock.seconds for name in _IN_SECONDS}
        | {name: lambda tell=true[name]: tell() + int(clock.seconds * 1e9) for name in _IN_NANOSECONDS}
        | {name: of_seconds(true[name]) for name in _OF_SECONDS}
        | {"strftime": of_moment(true["strftime"], 1), "asctime": of_moment(true["asctime"], 0)}
    )


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
