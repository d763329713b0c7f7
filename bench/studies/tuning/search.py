"""Trials asked for, trained and told in a fixed order, whatever order they end in, for several architectures."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from typing import TYPE_CHECKING

from bench.core.errors import ArchitectureError
from bench.core.events import RunPutAside, TrialFinished
from bench.core.recipe import Recipe
from bench.core.run import RunFiles
from bench.core.work.tuning import Trial
from bench.studies.tuning.results import read_trial
from bench.studies.tuning.storage import AHEAD

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from optuna.trial import FrozenTrial

    from bench.core.architecture import Architecture
    from bench.core.events import Event
    from bench.core.metadata import ArchitectureMetadata
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest, Task
    from bench.studies.tuning.runs import TrialRuns
    from bench.studies.tuning.storage import TrialBook


@dataclasses.dataclass(kw_only=True)
class _UnderWay:
    """A trial that was asked for and is not told yet.

    Attributes:
        trial: What is known of it before it trains.
        rungs: Gives the tasks to each rung and is sent their records; returns how the trial ended.
        ended: How it ended; None while it trains.
        waiting: Ids of runs of the rung that have not come back.
        records: Those that have.
    """

    trial: Trial
    rungs: Generator[list[Task], Sequence[RunRecord] | None, Trial]
    ended: Trial | None = None
    waiting: set[str] = dataclasses.field(default_factory=set)
    records: list[RunRecord] = dataclasses.field(default_factory=list)


class Search:
    """The trials of one architecture; those that a killed program left under way are taken up.

    Attributes:
        architecture: What is tuned.
        book: Where Optuna keeps its trials.
    """

    def __init__(self, architecture: Architecture, book: TrialBook, runs: TrialRuns) -> None:
        self.architecture, self.book, self._runs = architecture, book, runs
        self._under_way: dict[int, _UnderWay] = {}
        self._owners: dict[str, _UnderWay] = {}
        self._ready: list[tuple[int, Task]] = []  # with the number of the trial
        for asked in book.unfinished():
            if asked.number < book.tune_options.trials:  # a smaller total than before leaves the others as they are
                self._begin(asked)

    @property
    def idle(self) -> bool:
        """Whether no trial is under way."""
        return not self._under_way

    @property
    def done(self) -> int:
        """Trials that have ended, those beyond what is wanted left out."""
        return min(self.book.told, self.book.tune_options.trials)

    @property
    def best(self) -> float | None:
        """The highest validation accuracy of a complete trial, a fraction."""
        return max((trial.values[0] for trial in self._told() if trial.state == "complete"), default=None)

    def advance(self, *, asking: bool) -> Iterator[Trial]:
        """Tell what can be told and, when asking, ask for what may then be under way, one after the other.

        Yields:
            Trials that were told, in the order of their numbers.
        """
        while True:
            told, asked = self.book.told, self.book.asked
            while asking and asked < min(told + AHEAD, self.book.tune_options.trials) and self._runs.may_ask():
                self._begin(self.book.ask())
                asked += 1
            first = self._under_way.get(told)
            if first is None or first.ended is None:
                return
            del self._under_way[told]
            ended = first.ended
            if ended.repeats is not None:
                twin = next(trial for trial in self._told() if trial.number == ended.repeats)
                ended = dataclasses.replace(twin, number=ended.number, images=0, repeats=twin.number)
            self.book.tell(ended)
            yield ended

    @property
    def next_number(self) -> float:
        """Number of the trial whose task comes next; infinite without one."""
        return min((number for number, _ in self._ready), default=math.inf)

    def take(self) -> Task:
        """The next task: of the trial that was asked for first."""
        self._ready.sort(key=lambda ready: ready[0])
        return self._ready.pop(0)[1]

    def owns(self, run_id: str) -> bool:
        """Whether a run under way is one of its trials'."""
        return run_id in self._owners

    def hear(self, record: RunRecord) -> None:
        """Take in how a run came back; a trial goes on when all runs of its rung have."""
        owner = self._owners.pop(record.run_id)
        owner.waiting.discard(record.run_id)
        owner.records.append(record)
        if not owner.waiting:
            self._go_on(owner, owner.records)

    def net_of(self, trial: Trial) -> Architecture:
        """What a trial trained: the architecture, or one with other knobs."""
        return self.architecture.varied({name: trial.hyperparameters[name] for name in self.book.space.knobs})

    def _begin(self, asked: FrozenTrial) -> None:
        space = self.book.space
        recipe, architecture = space.recipe(asked.params), self.architecture.varied(space.variation(asked.params))
        trial = Trial(  # failed until it is better known
            number=asked.number, state="failed", values=(), hyperparameters=space.hyperparameters(asked.params),
            recipe=recipe.to_json(), architecture=architecture.name, epochs=0.0, images=0,
            repeats=self._find_twin(asked.number, architecture, recipe),
        )  # fmt: skip
        requests: Sequence[RunRequest] = ()
        rungs = self.book.rungs(self._runs.epochs)
        if trial.repeats is None:
            try:
                metadata = self._runs.check(architecture)
                costs = self._costs(asked, architecture, metadata)
            except ArchitectureError as fault:
                trial = dataclasses.replace(trial, reason=str(fault))
            else:
                trial = dataclasses.replace(trial, values=costs, architecture_hash=metadata.architecture_hash)
                requests = self._runs.begin_trial(architecture, recipe)
                if not metadata.proof.resumable:  # it would train again to each rung what it has trained before
                    rungs = []
        under_way = _UnderWay(trial=trial, rungs=self._train(trial, requests, rungs))
        self._under_way[asked.number] = under_way
        if requests:
            self._go_on(under_way, None)
        else:
            under_way.ended = trial

    def _go_on(self, trial: _UnderWay, records: Sequence[RunRecord] | None) -> None:
        try:
            tasks = trial.rungs.send(records)
        except StopIteration as end:
            trial.ended = end.value
            return
        trial.waiting, trial.records = {task.run_id for task in tasks}, []
        self._owners |= dict.fromkeys(trial.waiting, trial)
        self._ready += [(trial.trial.number, task) for task in tasks]

    def _train(
        self, trial: Trial, requests: Sequence[RunRequest], rungs: Sequence[int]
    ) -> Generator[list[Task], Sequence[RunRecord] | None, Trial]:
        """A trial from rung to rung, past those that the store already answers, until it is complete, pruned or failed.

        Yields:
            The tasks to the next rung, for which their records must be sent.
        """
        passed = 0
        while True:
            rung = rungs[passed] if passed < len(rungs) else None  # None is the end of the budget
            plan = self._runs.plan_trial(requests)
            records = self._runs.stored(plan)
            if plan.tasks:
                records += (
                    yield [dataclasses.replace(t, pause_after_epoch=rung, goes_on=passed > 0) for t in plan.tasks]
                ) or ()
            lost = next((record for record in records if record.status in ("failed", "diverged")), None)
            if lost is not None:
                reason = f"Seed {lost.seed} {lost.status}: {lost.error}"
                trial = dataclasses.replace(trial, state="failed", values=(), reason=reason)
                return self._with_cost(trial, records, [record.epochs or 0.0 for record in records])
            curve = self._curve(records, rung or self._runs.epochs)
            if rung is None:
                accuracy = statistics.fmean(record.val_accuracy or 0.0 for record in records)
                trial = dataclasses.replace(trial, state="complete", values=(accuracy, *trial.values), curve=curve)
                return self._with_cost(trial, records, [float(self._runs.epochs)] * len(records))
            if self.book.prunes(trial.number, curve):
                reason, values = f"Not among the best third of those that had come to epoch {rung}", (curve[rung],)
                trial = dataclasses.replace(trial, state="pruned", values=values, curve=curve, reason=reason)
                return self._with_cost(trial, records, [float(rung)] * len(records))
            passed += 1

    def _curve(self, records: Sequence[RunRecord], last: int) -> Mapping[int, float]:
        """Mean validation accuracy over the seeds at the end of each epoch, to the last."""
        by_epoch: dict[int, list[float]] = {}
        for record in records:
            for point in self._runs.curve(record.run_id):
                if not point.probe and round(point.epoch) <= last:
                    by_epoch.setdefault(round(point.epoch), []).append(point.val_accuracy)
        return {epoch: statistics.fmean(values) for epoch, values in by_epoch.items() if len(values) == len(records)}

    def _with_cost(self, trial: Trial, records: Sequence[RunRecord], epochs: Sequence[float]) -> Trial:
        """An ended trial with what it cost, every run having trained so many epochs."""
        for record in records:  # nobody goes on from there
            if record.status == "interrupted":
                RunFiles(record.run_id, self._runs.results).clean_up()
        batch_size = int(trial.recipe["batch_size"])
        steps = sum(round(trained * (self._runs.train_images // batch_size)) for trained in epochs)
        return dataclasses.replace(trial, epochs=min(epochs), images=steps * batch_size)

    def _find_twin(self, number: int, architecture: Architecture, recipe: Recipe) -> int | None:
        """The first earlier trial of the same net and recipe, however its hyperparameters are spelt."""
        earlier = [t for t in self._earlier() if t.number < number and t.architecture == architecture.name]
        return min((t.number for t in earlier if Recipe.from_json(dict(t.recipe)) == recipe), default=None)

    def _told(self) -> list[Trial]:
        return [read_trial(frozen) for frozen in self.book.trials() if frozen.state.is_finished()]

    def _earlier(self) -> list[Trial]:
        """Trials that have ended, and what is known of those under way."""
        return self._told() + [under_way.trial for under_way in self._under_way.values()]

    def _costs(
        self, asked: FrozenTrial, architecture: Architecture, metadata: ArchitectureMetadata
    ) -> tuple[float, ...]:
        """The second objective of a trial, when there is one."""
        objective = self.book.tune_options.objectives[-1]
        if objective == "macs":
            return (float(metadata.macs),)
        if objective == "latency":
            # One net has one latency: measured anew, a second recipe of it could stand on the front by noise alone.
            same = (trial for trial in self._earlier() if trial.architecture == architecture.name and trial.values)
            known = asked.user_attrs.get("cost", next((trial.values[-1] for trial in same), None))
            cost = self._runs.latency(architecture) if known is None else known
            self.book.set_cost(asked.number, cost)
            return (cost,)
        return ()


class Tuner:
    """Where the tasks of a tuning come from (a `bench.execution.scheduler.Supply`).

    Attributes:
        searches: One an architecture.
        total: Trials that are wanted.
    """

    prompt = False  # a take tries nets, and may measure their latency

    def __init__(self, searches: Sequence[Search]) -> None:
        self.searches = searches
        self.total = sum(search.book.tune_options.trials for search in searches)
        self._started: float | None = None  # when the first run came back: workers take seconds to start
        self._done_before = self.done
        self._alone = any(search.book.tune_options.objectives[-1] == "latency" for search in searches)
        self._news: list[Event] = []
        self._begun = False

    @property
    def done(self) -> int:
        """Trials that have ended, those beyond what is wanted left out."""
        return sum(search.done for search in self.searches)

    def take(self) -> Task | None:
        """A task of the architecture that has come least far; None while all wait for their runs."""
        if not self._begun or (self._alone and all(search.idle for search in self.searches)):
            self._begun = True
            for search in self.searches:
                self._advance(search, asking=True)
        behind = min(self.searches, key=lambda search: search.next_number)
        return None if math.isinf(behind.next_number) else behind.take()

    def hear(self, record: RunRecord, _seconds: float | None, /) -> None:
        """Take in how a run came back, and begin what may begin now."""
        search = next(search for search in self.searches if search.owns(record.run_id))
        search.hear(record)
        if self._started is None:
            self._started, self._done_before = time.monotonic(), self.done
        self._news.append(RunPutAside(run_id=record.run_id))
        self._advance(search, asking=not self._alone)

    def news(self) -> Iterable[Event]:
        """What happened since this was last asked."""
        news, self._news = self._news, []
        return news

    def settle(self) -> int:
        """Let as many of the first trials count as every architecture has; that number."""
        counted = min(search.done for search in self.searches)
        for search in self.searches:
            search.book.set_counted(counted)
        return counted

    def _advance(self, search: Search, *, asking: bool) -> None:
        for trial in search.advance(asking=asking):
            done = self.done
            seconds_left = None  # at the pace of the trials that have ended since the program began
            if self._started is not None and done > self._done_before:
                pace = (time.monotonic() - self._started) / (done - self._done_before)
                seconds_left = (self.total - done) * pace
            self._news.append(
                TrialFinished(
                    architecture=search.architecture.name,
                    trial=trial,
                    best=search.best,
                    done=done,
                    total=self.total,
                    seconds_left=seconds_left,
                )
            )
