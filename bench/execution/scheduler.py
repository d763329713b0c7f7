"""The execution of a plan: a stream of events while what is missing is trained. Prints nothing and asks nothing."""

from __future__ import annotations

import collections
import contextlib
import time
import traceback
from typing import TYPE_CHECKING, Protocol

from bench.core.errors import BenchError, BusyError, ClusterError, LostRunError, StoreError, blames_machine, first_line
from bench.core.events import Event, Note, Planned, RunFinished, RunProgress, RunStarted
from bench.core.run import RunFiles
from bench.execution.pool import open_pool
from bench.execution.worker import store_unfinished
from bench.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from bench.core.records import RunRecord
    from bench.core.run import Plan, Task, Workplace
    from bench.execution.pool import Pool

_STOPS_WITHIN_SECONDS = 5.0
"""How long workers of a cluster that nobody waits for any more are given to notice."""


class Supply(Protocol):
    """Where tasks come from, and who hears how they ended.

    Attributes:
        prompt: Whether `take` answers at once.
    """

    prompt: bool

    def take(self) -> Task | None:
        """The next task; None while there is none, for good when nothing is under way either."""

    def hear(self, record: RunRecord, seconds: float | None, /) -> None:
        """Take in how a task ended and how long it trained, None for one that says nothing of the pace."""

    def news(self) -> Iterable[Event]:
        """What happened since this was last asked."""


class _Planned:
    """The tasks of a plan, in its order (a `Supply`)."""

    prompt = True

    def __init__(self, plan: Plan, jobs: int) -> None:
        self._todo, self._total = collections.deque(plan.tasks), len(plan.tasks)
        self._remaining = Remaining(plan.seconds, jobs)
        self._news: list[Event] = []

    def take(self) -> Task | None:
        return self._todo.popleft() if self._todo else None

    def hear(self, record: RunRecord, seconds: float | None, /) -> None:
        self._remaining.finish(record.run_id, seconds)
        done, left = self._remaining.done, self._remaining.seconds()
        self._news.append(RunFinished(record=record, done=done, total=self._total, seconds_left=left))

    def news(self) -> Iterable[Event]:
        news, self._news = self._news, []
        return news


class Remaining:
    """How long the rest of a plan takes, as the estimates say, corrected by the runs that have ended."""

    def __init__(self, seconds: Mapping[str, float], jobs: int) -> None:
        self._left, self._jobs, self._total = dict(seconds), jobs, len(seconds)
        self._estimated = self._taken = 0.0

    @property
    def done(self) -> int:
        """Runs that have ended."""
        return self._total - len(self._left)

    def finish(self, run_id: str, wall_seconds: float | None) -> None:
        """Take in that a run has ended and how long it trained; None for one that says nothing of the pace."""
        estimate = self._left.pop(run_id)
        if wall_seconds is not None:
            self._estimated += estimate
            self._taken += wall_seconds

    def seconds(self) -> float:
        """Estimated seconds to the end: runs not ended, at the pace of those that have, shared among the workers.

        What runs under way have done is not taken off, so it is rather too much; one second at least while any is left.
        """
        if not self._left:
            return 0.0
        pace = self._taken / self._estimated if self._estimated else 1.0
        return max(1.0, sum(self._left.values()) * pace / min(self._jobs, len(self._left)))


def run(plan: Plan, workplace: Workplace) -> Generator[Event, None, None]:
    """Train what the plan lacks, as many runs at once as the workplace allows; each is stored, then announced.

    Raises:
        StoreError: A run could not be stored.
        ClusterError: The scheduler, or all of its workers, went away and did not come back.
    """
    yield Planned(
        to_train=len(plan.tasks),
        reused=len(plan.reused),
        estimate_seconds=plan.wall_seconds(workplace.jobs) if plan.tasks else None,
    )
    if plan.tasks:
        yield from work(_Planned(plan, workplace.jobs), workplace, most=len(plan.tasks))


def work(supply: Supply, workplace: Workplace, *, most: int | None = None) -> Generator[Event, None, None]:
    """Train what a supply gives, as many tasks at once as the workplace allows and no more than `most`."""
    _sweep(workplace)
    under_way: dict[Future[RunRecord], Task] = {}
    try:
        with open_pool(workplace, most=most) as pool:
            yield from feed(supply, workplace, pool, under_way)
    except (KeyboardInterrupt, GeneratorExit):
        _interrupt(under_way.values(), workplace)
        raise


def feed(supply: Supply, workplace: Workplace, pool: Pool, under_way: dict[Future[RunRecord], Task]) -> Iterator[Event]:
    """Hand out as many tasks as can train at once; what another runner trains is put off, and waited for at the end.

    What is handed out is kept in `under_way`, for whoever must store it when this is interrupted.
    """
    started: dict[str, float] = {}
    busy: collections.deque[Task] = collections.deque()
    while True:
        while len(under_way) < pool.slots:
            task, wait = supply.take(), False
            if task is None and busy:
                task, wait = busy.popleft(), True
                name, seed = task.request.architecture.name, task.request.seed
                yield Note(text=f"{name}, seed {seed}: another runner trains it; waiting for its result.")
            if task is None:
                break
            under_way[pool.submit(task, wait=wait)] = task
        yield from supply.news()
        if not under_way:
            return
        message = pool.messages.get()
        if isinstance(message, Note):
            yield message
        elif isinstance(message, RunProgress):
            if message.run_id not in started:
                started[message.run_id] = time.perf_counter()
                yield RunStarted(run_id=message.run_id, architecture=message.architecture, seed=message.seed)
            yield message
        elif isinstance(message.exception(), BusyError):
            busy.append(under_way.pop(message))
        else:
            record = _finish(message, under_way.pop(message), workplace)
            began = started.pop(record.run_id, None)
            tells_pace = began is not None and record.status == "ok"
            supply.hear(record, time.perf_counter() - (began or 0.0) if tells_pace else None)
            yield from _urgent(supply, under_way)


def _urgent(supply: Supply, under_way: Mapping[Future[RunRecord], Task]) -> Iterable[Event]:
    """The news, unless a worker gets its next task first: who hears them may write a report, which takes seconds."""
    return () if under_way and supply.prompt else supply.news()


def _finish(future: Future[RunRecord], task: Task, workplace: Workplace) -> RunRecord:
    """The record of a finished future; what ended without one is stored as failed."""
    try:
        return future.result()
    except (StoreError, ClusterError):
        raise
    except BenchError as fault:
        return store_unfinished(task, workplace, status="failed", reason=str(fault))
    except LostRunError as lost:
        hang, reason = RunFiles(task.run_id, workplace.results).read_hang(), str(lost)
        if hang or lost.hung:
            reason = f"The last try did not end within {task.timeout_seconds:g} s; allow more with --run-timeout."
        trace = hang or lost.trace
        whose = "net" if trace or lost.hung else "machine"  # killed without a word, as for its memory
    except Exception as fault:  # noqa: BLE001 - whatever it was, the others go on
        trace, whose = "".join(traceback.format_exception(fault)), "machine" if blames_machine(fault) else "net"
        reason = first_line(fault)
    return store_unfinished(task, workplace, status="failed", reason=reason, traceback=trace, fault=whose)


def _sweep(workplace: Workplace) -> None:
    """Remove files of runs that are stored: a program that was killed between storing and tidying left them."""
    folder = workplace.results / "checkpoints"
    left = [*folder.glob("*.unfinished"), *folder.glob("*.hang"), *folder.glob(".*")]
    run_ids = {path.name.lstrip(".").partition(".")[0] for path in left}
    if run_ids:
        with open_store(workplace.store_url) as store:
            for run_id in run_ids:
                record = store.runs.find(run_id)
                if record is not None and record.status != "interrupted":
                    RunFiles(run_id, workplace.results).clean_up()


def _interrupt(tasks: Iterable[Task], workplace: Workplace) -> None:
    """Store runs as interrupted, unless another runner goes on with them; a cluster's workers take a moment to stop."""
    deadline = time.monotonic() + (_STOPS_WITHIN_SECONDS if workplace.cluster else 0.0)

    def busy() -> None:
        if time.monotonic() >= deadline:
            raise BusyError

    reason = "It was interrupted; the same command goes on from its last whole epoch, if it had one."
    for task in tasks:
        with contextlib.suppress(BusyError):
            store_unfinished(task, workplace, status="interrupted", reason=reason, waiting=busy)
