"""A study as it is run: all its seeds at once, or stage by stage for those whose pairs are still undecided."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from bench.analysis.metrics import accuracy_metric
from bench.analysis.verdicts import DECIDED, PairVerdict, judge_pairs
from bench.core.events import Event, Note
from bench.core.records import table_key
from bench.execution import scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from bench.core.recipe import Budget
    from bench.core.records import RunRecord
    from bench.core.run import RunRequest, Workplace
    from bench.core.seeds import Look, SeedPlan
    from bench.store.store import Store
    from bench.studies.planning import Plan


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stages:
    """What a study may train, and in which order.

    Attributes:
        requests: Every run that may be wanted.
        seed_plan: When to look and whom to give more seeds.
        margin: Of equivalence, an accuracy fraction.
        plan: Divides requests into what is stored and what must be trained.
        beside: Runs of the study that stand in the same tables and are not asked for here; they are judged too, as the
            report judges them, and get no more seeds.
        own_budgets: Whether each architecture's budget is its source's own, so that all stand in one table.
    """

    requests: Sequence[RunRequest]
    seed_plan: SeedPlan
    margin: float
    plan: Callable[[Sequence[RunRequest]], Plan]
    beside: Callable[[], Sequence[RunRecord]] = tuple
    own_budgets: bool = False

    def of_look(self, number: int) -> list[RunRequest]:
        """What a look needs beside the one before it, from 0, of every architecture."""
        looks = self.seed_plan.looks
        known = _seeds(looks[number - 1]) if number else set()
        return [request for request in self.requests if request.seed in _seeds(looks[number]) - known]

    def run(
        self, store: Store, workplace: Workplace, begin: Callable[[Sequence[RunRequest], Plan], None]
    ) -> Generator[Event, None, None]:
        """Train stage by stage, until every pair is decided or all seeds are in.

        Args:
            store: Where runs are kept.
            workplace: Where workers find data and leave results.
            begin: Told the requests of each stage and their plan before anything of it trains.

        Yields:
            Events in the order in which they happen, with a note between two stages.
        """
        wanted: list[RunRequest] = []
        undecided = {self._arm(request) for request in self.requests}
        for number in range(len(self.seed_plan.looks)):
            stage = [request for request in self.of_look(number) if self._arm(request) in undecided]
            wanted += stage
            plan = self.plan(stage)
            begin(stage, plan)
            yield from scheduler.run(plan, workplace)
            if number + 1 == len(self.seed_plan.looks):
                return
            verdicts = self._judge(wanted, store)
            undecided = {
                (name, budget)
                for budget, pairs in verdicts.items()
                for pair in self._named(pairs)
                if _is_open(pair)
                for name in (pair.a, pair.b)
            }
            yield Note(text=self._describe(verdicts, number))
            if not undecided:
                return

    def _judge(self, wanted: Sequence[RunRequest], store: Store) -> dict[Budget | None, tuple[PairVerdict, ...]]:
        """All pairs of each table, from the runs that the stages so far asked for."""
        metric = accuracy_metric(self.margin, chance=1 / self.requests[0].architecture.classes)
        stored = store.counted_runs([request.id for request in wanted])
        values: dict[Budget | None, dict[str, dict[int, float]]] = {}
        tables: dict[str, Budget | None] = {}
        for request in wanted:
            name, budget = self._arm(request)
            by_name = values.setdefault(budget, {}).setdefault(name, {})
            if request.id in stored:
                by_name |= metric.values([stored[request.id]])
                tables[self._key(stored[request.id])] = budget
        for record in self.beside():
            if record.architecture not in self._names and (key := self._key(record)) in tables:
                values[tables[key]].setdefault(record.architecture, {}).update(metric.values([record]))
        return {budget: judge_pairs(of, metric, looks=self.seed_plan.looks) for budget, of in values.items()}

    def _describe(self, verdicts: Mapping[Budget | None, Sequence[PairVerdict]], number: int) -> str:
        every = list(itertools.chain.from_iterable(verdicts.values()))
        pairs = self._named(every)
        others = sorted({name for pair in every if pair not in pairs for name in (pair.a, pair.b)} - self._names)
        also = f" {', '.join(others)} of earlier commands, judged with them, get none: name them too." if others else ""
        decided = sum(pair.verdict in DECIDED for pair in pairs)
        here, following = (len(_seeds(look)) for look in self.seed_plan.looks[number : number + 2])
        start = f"After {here} seeds {decided} of {len(pairs)} pairs {'is' if decided == 1 else 'are'} decided"
        if not pairs:
            return f"After {here} seeds there is no pair to decide; no more seeds are needed.{also}"
        if decided == len(pairs):
            return f"{start}; no more seeds are needed.{also}"
        names = sorted({name for pair in pairs if _is_open(pair) for name in (pair.a, pair.b)})
        if not names:
            return f"{start}; the others have no run that ended well, and more seeds would not fix that."
        return f"{start}; {', '.join(names)} go on to {following} seeds.{also}"

    def _arm(self, request: RunRequest) -> tuple[str, Budget | None]:
        """Whose run it is, and the budget whose table it stands in; None for the table of all own budgets."""
        return request.architecture.name, None if self.own_budgets else request.budget

    def _key(self, record: RunRecord) -> str:
        return table_key(record, with_budget=not self.own_budgets)

    @property
    def _names(self) -> set[str]:
        return {request.architecture.name for request in self.requests}

    def _named(self, pairs: Sequence[PairVerdict]) -> list[PairVerdict]:
        """The pairs whose architectures are both asked for here."""
        return [pair for pair in pairs if {pair.a, pair.b} <= self._names]


def _is_open(pair: PairVerdict) -> bool:
    """Whether more seeds may decide a pair: not where an architecture never ended with a value."""
    return pair.verdict not in DECIDED and pair.n > 0


def _seeds(look: Look) -> set[int]:
    return set(look.seeds or ())
