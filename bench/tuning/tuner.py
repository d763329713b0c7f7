"""Tunes several architectures at once, each with the same number of trials, and hands their runs to the workers."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from bench.events import RunPutAside, TrialFinished
from bench.tuning.reading import read_trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.events import Event
    from bench.records import RunRecord
    from bench.task import Task
    from bench.tuning.records import Trial
    from bench.tuning.search import Search


class Tuner:
    """Where the tasks of a tuning come from (a `bench.suite.Supply`).

    Attributes:
        searches: One an architecture.
    """

    def __init__(self, searches: Sequence[Search]) -> None:
        """Begin.

        Args:
            searches: One an architecture.
        """
        self.searches = searches
        self._started: float | None = None  # when the first run came back: workers take seconds to start
        self._done_before = self.done
        self._alone = any(search.book.settings.objectives[-1] == "latency" for search in searches)
        self._news: list[Event] = []
        self._begun = False

    @property
    def done(self) -> int:
        """Trials that have ended, those beyond what is wanted left out."""
        return sum(min(search.book.told, search.book.settings.trials) for search in self.searches)

    @property
    def total(self) -> int:
        """Trials that are wanted."""
        return sum(search.book.settings.trials for search in self.searches)

    def take(self) -> Task | None:
        """A task of the architecture that has come least far; None while all wait for their runs."""
        if not self._begun or (self._alone and all(search.idle for search in self.searches)):
            self._begun = True
            for search in self.searches:
                self._announce(search, search.advance(asking=True))
        behind = min(self.searches, key=lambda search: search.next_number)
        return None if math.isinf(behind.next_number) else behind.take()

    def hear(self, record: RunRecord, _seconds: float | None, /) -> None:
        """Take in how a run came back, and begin what may begin now."""
        search = next(search for search in self.searches if search.owns(record.run_id))
        search.hear(record)
        if self._started is None:
            self._started, self._done_before = time.monotonic(), self.done
        self._news.append(RunPutAside(run_id=record.run_id))
        self._announce(search, search.advance(asking=not self._alone))

    def news(self) -> Iterable[Event]:
        """What happened since this was last asked."""
        news, self._news = self._news, []
        return news

    def settle(self) -> int:
        """Let as many of the first trials count as every architecture has; that number."""
        counted = min(min(search.book.told, search.book.settings.trials) for search in self.searches)
        for search in self.searches:
            search.book.set_counted(counted)
        return counted

    def _announce(self, search: Search, told: Iterator[Trial]) -> None:
        self._news += (
            TrialFinished(
                architecture=search.architecture.name,
                trial=trial,
                best=_best(search),
                done=self.done,
                total=self.total,
                seconds_left=self._seconds_left(),
            )
            for trial in told
        )

    def _seconds_left(self) -> float | None:
        """At the pace of the trials that have ended since the program began."""
        done = self.done
        if done == self._done_before or self._started is None:
            return None
        return (self.total - done) * (time.monotonic() - self._started) / (done - self._done_before)


def _best(search: Search) -> float | None:
    trials = [read_trial(frozen) for frozen in search.book.trials() if frozen.state.is_finished()]
    return max((trial.values[0] for trial in trials if trial.state == "complete"), default=None)
