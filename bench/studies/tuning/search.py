"""Trials asked for and told in a fixed order, whatever order they end in, for several architectures at once."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import TYPE_CHECKING

from bench.core.errors import ArchitectureError
from bench.core.events import RunPutAside, TrialFinished
from bench.core.recipe import Recipe
from bench.core.tuning import Trial
from bench.studies.tuning.candidate import Candidate
from bench.studies.tuning.results import read_trial
from bench.studies.tuning.storage import AHEAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from optuna.trial import FrozenTrial

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.metadata import ArchitectureFacts
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest, Task
    from bench.studies.tuning.candidate import Training
    from bench.studies.tuning.storage import TrialBook


class Search:
    """The trials of one architecture.

    Attributes:
        architecture: What is tuned.
        book: Where Optuna keeps its trials.
    """

    def __init__(self, architecture: Architecture, book: TrialBook, training: Training) -> None:
        """Take up the trials that a killed program left under way.

        Args:
            architecture: What is tuned.
            book: Its trials.
            training: Trains them.
        """
        self.architecture, self.book, self._training = architecture, book, training
        self._under_way: dict[int, Candidate] = {}
        self._owners: dict[str, Candidate] = {}
        self._ready: list[Task] = []
        for asked in book.unfinished():
            if asked.number < book.settings.trials:  # a smaller total than before leaves the others as they are
                self._begin(asked)

    @property
    def idle(self) -> bool:
        """Whether no trial is under way."""
        return not self._under_way

    def advance(self, *, asking: bool) -> Iterator[Trial]:
        """Tell what can be told and ask for what may then be under way, one after the other.

        Args:
            asking: Whether trials may be asked for now.

        Yields:
            Trials that were told, in the order of their numbers.
        """
        while True:
            told, asked = self.book.told, self.book.asked
            while asking and asked < min(told + AHEAD, self.book.settings.trials) and self._training.may_ask():
                self._begin(self.book.ask())
                asked += 1
            first = self._under_way.get(told)
            if first is None or first.ended is None:
                return
            yield self._tell(self._under_way.pop(told).ended or first.ended)

    @property
    def next_number(self) -> float:
        """Number of the trial whose task comes next; infinite without one."""
        return min((self._number(task) for task in self._ready), default=math.inf)

    def take(self) -> Task:
        """The next task: of the trial that was asked for first."""
        task = min(self._ready, key=self._number)
        self._ready.remove(task)
        return task

    def _number(self, task: Task) -> int:
        return self._owners[task.run_id].number

    def owns(self, run_id: str) -> bool:
        """Whether a run under way is one of its trials'."""
        return run_id in self._owners

    def hear(self, record: RunRecord) -> None:
        """Take in how a run came back."""
        candidate = self._owners.pop(record.run_id)
        if candidate.hear(record) and candidate.ended is None:
            self._go_on(candidate)

    def net_of(self, trial: Trial) -> Architecture:
        """What a trial trained: the architecture, or one with other knobs."""
        return self.architecture.varied({name: trial.settings[name] for name in self.book.space.knobs})

    def _begin(self, asked: FrozenTrial) -> None:
        space = self.book.space
        settings = space.settings(asked.params)
        recipe = space.recipe(asked.params)
        architecture = self.architecture.varied(space.variation(asked.params))
        trial = Trial(  # failed until it is better known
            number=asked.number,
            state="failed",
            values=(),
            settings=settings,
            recipe=recipe.to_json(),
            architecture=architecture.name,
            epochs=0.0,
            images=0,
        )
        twin = self._find_twin(trial)
        requests: Sequence[RunRequest] = ()
        rungs = self.book.rungs(self._training.epochs)
        if twin is not None:
            trial = dataclasses.replace(trial, repeats=twin)
        else:
            try:
                facts = self._training.check(architecture)
                costs = self._costs(asked, architecture, facts)
            except ArchitectureError as fault:
                trial = dataclasses.replace(trial, reason=str(fault))
            else:
                trial = dataclasses.replace(trial, values=costs, architecture_hash=facts.architecture_hash)
                requests = self._training.begin_trial(architecture, recipe)
                if not facts.proof.resumable:  # it would train again to each rung what it has trained before
                    rungs = []
        candidate = Candidate(trial, requests, training=self._training, book=self.book, rungs=rungs)
        self._under_way[asked.number] = candidate
        self._go_on(candidate)

    def _go_on(self, candidate: Candidate) -> None:
        tasks = candidate.next_tasks()
        self._owners |= {task.run_id: candidate for task in tasks}
        self._ready += tasks

    def _find_twin(self, trial: Trial) -> int | None:
        """The first earlier trial of the same net and recipe, however its settings are spelt."""
        own = (trial.architecture, Recipe.from_json(dict(trial.recipe)))
        same = [t.number for t in self._earlier() if (t.architecture, Recipe.from_json(dict(t.recipe))) == own]
        return min((number for number in same if number < trial.number), default=None)

    def _earlier(self) -> list[Trial]:
        """Trials that have ended, and what is known of those under way."""
        ended = [read_trial(frozen) for frozen in self.book.trials() if frozen.state.is_finished()]
        return ended + [candidate.trial for candidate in self._under_way.values()]

    def _costs(self, asked: FrozenTrial, architecture: Architecture, facts: ArchitectureFacts) -> tuple[float, ...]:
        """The second objective of a trial, when there is one."""
        objective = self.book.settings.objectives[-1]
        if objective == "macs":
            return (float(facts.macs),)
        if objective == "latency":
            # One net has one latency: measured anew, a second recipe of it could stand on the front by noise alone.
            same = (trial for trial in self._earlier() if trial.architecture == architecture.name and trial.values)
            known = asked.user_attrs.get("cost", next((trial.values[-1] for trial in same), None))
            cost = self._training.latency(architecture) if known is None else known
            self.book.set_cost(asked.number, cost)
            return (cost,)
        return ()

    def _tell(self, ended: Trial) -> Trial:
        if ended.repeats is not None:
            twin = next(read_trial(frozen) for frozen in self.book.trials() if frozen.number == ended.repeats)
            ended = dataclasses.replace(twin, number=ended.number, images=0, repeats=twin.number)
        self.book.tell(ended)
        return ended


class Tuner:
    """Where the tasks of a tuning come from (a `bench.execution.scheduler.Supply`).

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
