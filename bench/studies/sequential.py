"""A comparison as it is run: all seeds at once, or look by look for those whose pairs are still undecided.

What is undecided after a look gets the seeds of the next; every look spends its part of the error rate
(`bench.core.seeds.SeedPlan`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from typing import TYPE_CHECKING

from bench.analysis.conditions import standing_looks
from bench.analysis.metrics import find_metric
from bench.analysis.stats.classwise import count_images, score_runs
from bench.analysis.verdicts import DECIDED, PairVerdict, judge_pairs
from bench.core.errors import UsageError
from bench.core.events import Event, Note, Planned, RunFinished, StepStarted
from bench.core.run import RunRequest
from bench.execution import scheduler
from bench.studies.pictures import portray

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from bench.core.architecture import Architecture
    from bench.core.records import Margins, RunRecord, TableKey
    from bench.core.seeds import SeedPlan
    from bench.store.store import Store
    from bench.studies.experiment import Experiment

    Verdicts = Mapping[TableKey, Sequence[PairVerdict]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs that are compared.

    Attributes:
        requests: Every run that may be wanted.
        recipe_names: What people call the recipe of each, by the request's id.
        seed_plan: When to look, and whom to give more seeds.
        margins: How they are judged.
        own_budgets: Whether each architecture's budget is its source's own, so that all stand in one table.
    """

    requests: Sequence[RunRequest]
    recipe_names: Mapping[str, str]
    seed_plan: SeedPlan
    margins: Margins
    own_budgets: bool = False

    def requests_of(self, look: int) -> list[RunRequest]:
        """What a look needs beside the one before it, from 0, of every architecture."""
        new = self.seeds_of(look) - (self.seeds_of(look - 1) if look else set())
        return [request for request in self.requests if request.seed in new]

    def seeds_of(self, look: int) -> set[int]:
        """All seeds that are in by then."""
        return set(self.seed_plan.looks[look].seeds or ())

    def table(self, run: RunRecord | RunRequest) -> TableKey:
        """The table in which a run stands, or would stand."""
        key = run.table(self.recipe_names[run.id]) if isinstance(run, RunRequest) else run.table
        return key.family if self.own_budgets else key

    @property
    def names(self) -> set[str]:
        """Of the architectures."""
        return {request.architecture.name for request in self.requests}

    def pairs_of(self, verdicts: Sequence[PairVerdict]) -> list[PairVerdict]:
        """The pairs whose architectures are both compared here, not by earlier commands."""
        return [pair for pair in verdicts if {pair.a, pair.b} <= self.names]


def find_comparison(experiment: Experiment) -> Comparison:
    """What an experiment compares: every architecture under its recipes and budgets, with every seed.

    Raises:
        UsageError: There is nothing to decide between.
        RecipeError: A published recipe is wanted and none is declared, or one does not fit the dataset.
    """
    seed_plan, before = experiment.options.seed_plan, None
    until_decided = len(seed_plan.looks) > 1
    if until_decided and len(experiment.architectures) < 2:
        raise UsageError(
            f"--seeds {seed_plan}: with one architecture there is nothing to decide; name another "
            "one with --arch, or give a fixed number of seeds."
        )
    if until_decided and experiment.name in experiment.store.studies.names():
        before = experiment.store.studies.load(experiment.name, with_details=False).margins
    training = {net.name: experiment.training(net) for net in experiment.architectures}
    requests = experiment.requests(experiment.architectures, training)
    return Comparison(
        requests=requests,
        recipe_names={request.id: experiment.recipe_name(request.architecture) for request in requests},
        seed_plan=seed_plan,
        margins=experiment.options.judged_by(before),
        own_budgets=experiment.options.published and not experiment.options.budgets,
    )


def compare(
    experiment: Experiment, comparison: Comparison, architectures: Sequence[Architecture] | None = None
) -> Generator[Event, None, None]:
    """Train runs to compare, look by look; then keep what pictures need; then time the nets that work.

    After each look but the last there is a note. The architectures are those of the experiment when None.
    """
    experiment.remember_verdicts(comparison.requests_of(0), str(comparison.seed_plan))
    yield from experiment.keep_metadata()
    asked: list[RunRequest] = []
    working: set[str] = set()
    undecided = {(request.architecture.name, comparison.table(request)) for request in comparison.requests}
    for look in range(len(comparison.seed_plan.looks)):
        requests = [
            request
            for request in comparison.requests_of(look)
            if (request.architecture.name, comparison.table(request)) in undecided
        ]
        asked += requests
        plan = experiment.begin(
            requests,
            role="compare",
            names=comparison.recipe_names,
            margins=experiment.options.margin_changes,
            seed_plan=str(comparison.seed_plan),
        )
        working |= {record.architecture for record in plan.reused if record.status == "ok"}
        with contextlib.closing(scheduler.run(plan, experiment.workplace)) as runs:
            for event in runs:
                if isinstance(event, Planned):
                    event = dataclasses.replace(event, then_seconds=experiment.timing_seconds())  # noqa: PLW2901
                if isinstance(event, RunFinished) and event.record.status == "ok":
                    working.add(event.record.architecture)
                yield event
        if look + 1 == len(comparison.seed_plan.looks):
            break
        verdicts = judge(comparison, asked, experiment.store, study=experiment.name)
        yield Note(text=describe(comparison, verdicts, look))
        undecided = {
            (name, table)
            for table, pairs in verdicts.items()
            for pair in comparison.pairs_of(pairs)
            if _is_open(pair)
            for name in (pair.a, pair.b)
        }
        if not undecided:
            break
    yield StepStarted(text="Keeping pictures of what the nets see")
    yield from portray(
        comparison.requests, metadata=experiment.dataset, workplace=experiment.workplace, store=experiment.store
    )
    yield from experiment.time([net for net in architectures or experiment.architectures if net.name in working])


def judge(
    comparison: Comparison, asked: Sequence[RunRequest], store: Store, *, study: str
) -> dict[TableKey, tuple[PairVerdict, ...]]:
    """All pairs of each table, as the report judges them, from the runs that looks so far asked for.

    Runs of earlier commands of the study that stand in the same tables are judged with them.
    """
    stored = store.runs.counted([request.id for request in asked])
    loaded = store.studies.load(study, with_details=False, with_answers=True)
    first = comparison.requests[0]
    metric = find_metric(
        comparison.margins,
        score_runs(loaded),
        chance=1 / first.architecture.classes,
        class_images=count_images(loaded, first.data_hash),
    )
    values: dict[TableKey, dict[str, dict[int, float]]] = {}
    for request in asked:
        by_name = values.setdefault(comparison.table(request), {}).setdefault(request.architecture.name, {})
        if request.id in stored:
            by_name |= metric.values([stored[request.id]])
    begun = {table for table, by_name in values.items() if any(by_name.values())}
    runs: dict[TableKey, dict[str, list[RunRecord]]] = {}
    for record in loaded.records:
        if loaded.roles[record.run_id] == "compare":
            runs.setdefault(comparison.table(record), {}).setdefault(record.architecture, []).append(record)
        earlier = loaded.roles[record.run_id] == "compare" and record.architecture not in comparison.names
        if earlier and (table := comparison.table(record)) in begun:
            values[table].setdefault(record.architecture, {}).update(metric.values([record]))
    plan = comparison.seed_plan
    looks = {table: (*standing_looks(plan, runs.get(table, {}), loaded), *plan.looks) for table in values}
    return {table: judge_pairs(of, metric, looks=looks[table]) for table, of in values.items()}


def describe(comparison: Comparison, verdicts: Verdicts, look: int) -> str:
    """What a look found, and who goes on, in a sentence."""
    judged = list(itertools.chain.from_iterable(verdicts.values()))
    pairs = comparison.pairs_of(judged)
    others = sorted({name for pair in judged if pair not in pairs for name in (pair.a, pair.b)} - comparison.names)
    also = f" {', '.join(others)} of earlier commands, judged with them, get none: name them too." if others else ""
    decided = sum(pair.verdict in DECIDED for pair in pairs)
    here = len(comparison.seeds_of(look))
    start = f"After {here} seeds {decided} of {len(pairs)} pairs {'is' if decided == 1 else 'are'} decided"
    if not pairs:
        return f"After {here} seeds there is no pair to decide; no more seeds are needed.{also}"
    if decided == len(pairs):
        return f"{start}; no more seeds are needed.{also}"
    names = sorted({name for pair in pairs if _is_open(pair) for name in (pair.a, pair.b)})
    if not names:
        return f"{start}; the others have no run that ended well, and more seeds would not fix that."
    return f"{start}; {', '.join(names)} go on to {len(comparison.seeds_of(look + 1))} seeds.{also}"


def _is_open(pair: PairVerdict) -> bool:
    """Whether more seeds may decide a pair: not where an architecture never ended with a value."""
    return pair.verdict not in DECIDED and pair.n > 0
