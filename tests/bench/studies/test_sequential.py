"""Studies that run until decided: who gets more seeds, what is trained of them, and when it ends."""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from bench.analysis.conditions import find_conditions
from bench.core.events import Note, StepStarted
from bench.core.recipe import Budget
from bench.core.records import Margins, Predictions
from bench.core.run import Plan, Workplace
from bench.core.seeds import SeedPlan
from bench.execution import scheduler
from bench.spec import Architecture
from bench.store.store import open_store
from bench.studies import sequential
from bench.training.result import Outcome, make_record
from tests.bench.runs import build_tiny, make_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.core.events import Event
    from bench.core.run import RunRequest
    from bench.store.store import Store
    from bench.studies.experiment import Experiment

PLACE = Workplace(results=Path(), store_url="sqlite://", data_dir=Path(), jobs=1)


class Study:
    """A study whose runs are not trained: each ends with a planted accuracy."""

    def __init__(
        self,
        store: Store,
        monkeypatch: pytest.MonkeyPatch,
        accuracy: Callable[[str, int], float],
        *,
        metric: str = "accuracy",
        answer: Callable[[str, int], Predictions] | None = None,
    ) -> None:
        self.store, self.accuracy = store, accuracy
        self.trained: list[tuple[str, int]] = []
        self.begun: list[int] = []
        self.name, self.workplace, self.architectures, self.dataset = "main", PLACE, (), None
        self.options = types.SimpleNamespace(margin_changes={"metric": metric})
        self.metric, self.answer = metric, answer
        monkeypatch.setattr(sequential, "portray", lambda *_, **__: ())
        monkeypatch.setattr(scheduler, "run", self._run)

    def _run(self, plan: Plan, _workplace: Workplace) -> Iterator[Event]:
        for task in plan.tasks:
            name, seed = task.request.architecture.name, task.request.seed
            record = make_record(task, Outcome(), jobs=1, environment={})
            answers = [self.answer(name, seed)] if self.answer else []
            record = dataclasses.replace(record, test_accuracy=self.accuracy(name, seed))
            self.store.runs.add(record, predictions=answers)
            self.trained.append((name, seed))
        yield from ()

    def events(self, requests: Sequence[RunRequest], seed_plan: SeedPlan, *, own_budgets: bool = False) -> list[Event]:
        """Run all looks; what they say, but for the step of keeping pictures behind them."""
        names = {request.id: "shared" for request in requests}
        comparison = sequential.Comparison(
            requests=requests,
            recipe_names=names,
            seed_plan=seed_plan,
            margins=Margins(metric=self.metric),
            own_budgets=own_budgets,
        )
        *events, last = sequential.compare(cast("Experiment", self), comparison)
        assert isinstance(last, StepStarted)
        return events

    def begin(self, requests: Sequence[RunRequest], *, role: str, names: Mapping[str, str], **study: Any) -> Plan:
        """Everything is trained."""
        self.store.studies.plan(self.name, command="c", requests=requests, role=role, recipe_names=names, **study)
        self.begun.append(len(requests))
        tasks = tuple(dataclasses.replace(make_task(), request=request) for request in requests)
        return Plan(tasks=tasks, seconds={}, reused=(), measured=False)

    def remember_verdicts(self, _requests: object, _seed_plan: str) -> None:
        """Nothing was shown."""

    def keep_metadata(self) -> list[Event]:
        """Nothing was counted."""
        return []

    def time(self, _nets: object) -> list[Event]:
        """Nothing is timed."""
        return []

    def seeds_of(self, name: str) -> list[int]:
        """Seeds that were trained of an architecture."""
        return sorted(seed for trained, seed in self.trained if trained == name)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/bench.db") as opened:
        yield opened


def make_requests(*names: str, seeds: int, budgets: tuple[int, ...] = (1,)) -> list[RunRequest]:
    request = make_task().request
    return [
        dataclasses.replace(
            request,
            architecture=Architecture(name=name, build=build_tiny),
            budget=Budget(epochs=epochs),
            seed=seed,
            split_seed=seed,
        )
        for name in names
        for epochs in budgets
        for seed in range(seeds)
    ]


def noisy(name: str, seed: int) -> float:
    """Two that differ by nothing but noise of 1 pp, and one 20 pp above them."""
    noise = np.random.default_rng([len(name), ord(name[-1]), seed]).normal(0, 0.01)
    return 0.7 + (0.2 if name == "good" else 0.0) + float(noise)


def test_only_undecided_pairs_get_more_seeds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(store, monkeypatch, noisy)
    events = study.events(make_requests("good", "twin-a", "twin-b", seeds=12), SeedPlan.until_decided(6, 12))
    assert study.seeds_of("good") == list(range(6))
    assert study.seeds_of("twin-a") == study.seeds_of("twin-b") == list(range(12))
    assert study.begun == [18, 4, 4, 4]  # looks at 6, 8, 10 and 12 seeds
    assert len(study.trained) == len(set(study.trained)) == 30, "nothing is trained twice"
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes[0] == "After 6 seeds 2 of 3 pairs are decided; twin-a, twin-b go on to 8 seeds."
    assert len(notes) == 3, "the last look is the report's"


UNEVEN = np.repeat(np.arange(2, dtype=np.uint8), (900, 100))


def lopsided(name: str, seed: int) -> Predictions:
    """900 of 1,000 images are right with every net: `fair` gets as much of both classes, `lazy` most of the large."""
    wrong = np.zeros(1_000, dtype=np.bool_)
    small = 10 + seed % 3 if name == "fair" else 80 + seed % 5
    wrong[: 100 - small] = wrong[900 : 900 + small] = True
    return Predictions(
        split="test",
        images=np.arange(1_000, dtype=np.int32),
        labels=UNEVEN,
        predicted=np.where(wrong, 1 - UNEVEN, UNEVEN).astype(np.uint8),
        confidence=np.full(1_000, 0.5, dtype=np.float32),
        true_probability=np.full(1_000, 0.5, dtype=np.float32),
    )


@pytest.mark.parametrize(("metric", "seeds"), [("accuracy", 8), ("balanced_accuracy", 6)])
def test_what_is_judged_on_the_way_is_what_the_report_judges(
    store: Store, monkeypatch: pytest.MonkeyPatch, metric: str, seeds: int
) -> None:
    """By accuracy the two differ by noise alone; by balanced accuracy one is 30 pp above the other."""

    def accuracy(name: str, seed: int) -> float:
        return noisy("twin-a" if name == "fair" else "twin-b", seed)

    study = Study(store, monkeypatch, accuracy, metric=metric, answer=lopsided)
    study.events(make_requests("fair", "lazy", seeds=8), SeedPlan.until_decided(6, 8))
    assert len(study.seeds_of("fair")) == seeds
    stored = store.studies.load("main", with_details=False)
    assert stored.margins.metric == metric
    assert bool(stored.predicted) == (metric == "balanced_accuracy"), "read where verdicts follow from them"
    (condition,) = find_conditions(store.studies.load("main"))
    (pair,) = condition.accuracy.pairs
    assert pair.verdict.value == ("undecided" if metric == "accuracy" else "a better")
    if metric == "balanced_accuracy":
        # of six seeds, two each with 90 + 10, 89 + 11 and 88 + 12 images wrong
        assert condition.accuracy.means["fair"] == pytest.approx(1 - (89 / 900 + 11 / 100) / 2)
        assert condition.accuracy.metric.name == "balanced_accuracy"


def test_it_ends_when_all_is_decided(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(store, monkeypatch, noisy)
    events = study.events(make_requests("good", "twin-a", seeds=30), SeedPlan.until_decided(6, 30))
    assert len(study.trained) == 12
    assert [event.text for event in events if isinstance(event, Note)] == [
        "After 6 seeds 1 of 1 pairs is decided; no more seeds are needed."
    ]


def test_a_net_that_never_ends_well_asks_for_no_more_seeds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(store, monkeypatch, lambda name, seed: np.nan if name == "broken" else noisy(name, seed))
    events = study.events(make_requests("good", "broken", seeds=30), SeedPlan.until_decided(6, 30))
    assert len(study.trained) == 12
    (note,) = (event.text for event in events if isinstance(event, Note))
    assert note.startswith("After 6 seeds 0 of 1 pairs are decided; the others have no run that ended well")


def test_a_fixed_number_is_one_stage_without_a_look(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(store, monkeypatch, noisy)
    assert study.events(make_requests("good", "twin-a", seeds=7), SeedPlan.fixed(tuple(range(7)))) == []
    assert study.begun == [14]


def test_budgets_are_judged_apart(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two budgets whose pair is decided in both, neither is set against the other."""
    study = Study(store, monkeypatch, noisy)
    study.events(make_requests("good", "twin-a", seeds=8, budgets=(1, 3)), SeedPlan.until_decided(6, 8))
    assert len(study.trained) == 24


def test_own_budgets_are_judged_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(store, monkeypatch, noisy)
    requests = [
        *make_requests("good", seeds=8, budgets=(1,)),
        *make_requests("twin-a", seeds=8, budgets=(3,)),
        *make_requests("twin-b", seeds=8, budgets=(20,)),
    ]
    (note,) = study.events(requests, SeedPlan.until_decided(6, 8), own_budgets=True)
    assert isinstance(note, Note)
    assert note.text == "After 6 seeds 2 of 3 pairs are decided; twin-a, twin-b go on to 8 seeds."
    assert (study.seeds_of("good"), study.seeds_of("twin-a")) == (list(range(6)), list(range(8)))


def test_nets_of_earlier_commands_are_judged_too_and_get_no_seeds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = Study(store, monkeypatch, noisy)
    earlier.events(make_requests("older", seeds=6), SeedPlan.fixed(tuple(range(6))))
    study = Study(store, monkeypatch, noisy)
    events = study.events(make_requests("good", "twin-a", seeds=8), SeedPlan.until_decided(6, 8))
    assert study.seeds_of("older") == []
    (note,) = (event.text for event in events if isinstance(event, Note))
    assert note.startswith("After 6 seeds 1 of 1 pairs is decided; no more seeds are needed.")
    assert note.endswith("older of earlier commands, judged with them, get none: name them too.")


def test_what_a_fixed_number_decided_is_not_asked_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    low = (0.001, 0.003, 0.003, 0.004, 0.003, 0.002)  # p = 0.016 at six seeds, where 6:30 allows 0.0148

    def close(name: str, seed: int) -> float:
        return 0.7 + 0.001 * seed - (low[seed % 6] if name == "low" else 0.0) - (0.2 if name == "worse" else 0.0)

    fixed = Study(store, monkeypatch, close)
    fixed.events(make_requests("high", "low", seeds=6), SeedPlan.fixed(tuple(range(6))))
    study = Study(store, monkeypatch, close)
    (note,) = study.events(make_requests("high", "low", "worse", seeds=30), SeedPlan.until_decided(6, 30))
    assert isinstance(note, Note)
    assert note.text == "After 6 seeds 3 of 3 pairs are decided; no more seeds are needed."


def test_one_architecture_has_no_pair_to_decide(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(store, monkeypatch, noisy)
    (note,) = study.events(make_requests("good", seeds=8), SeedPlan.until_decided(6, 8))
    assert isinstance(note, Note)
    assert note.text == "After 6 seeds there is no pair to decide; no more seeds are needed."
    assert study.seeds_of("good") == list(range(6))
