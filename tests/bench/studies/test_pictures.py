"""A study keeps its pictures where they are lacking or damaged, and they never fail it."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from torch import nn

from bench.cli.arguments import parse_arguments
from bench.core.errors import DataError
from bench.core.events import RunFinished, StepStarted
from bench.data.datasets import Dataset, find_dataset, take_sample
from bench.spec import Architecture
from bench.store.store import Store, open_store
from bench.studies import experiment
from bench.studies import pictures as studies_pictures
from bench.studies.experiment import Experiment
from bench.studies.machine import Hardware
from bench.studies.pictures import portray
from bench.studies.sequential import compare, find_comparison
from tests.bench.runs import NOWHERE, make_task, make_workplace
from tests.bench.studies.portrait_nets import CLASSES, Bare, fit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.core.metadata import Portrait
    from bench.core.run import RunRequest, Workplace


def make_plain() -> nn.Sequential:
    """A net for 28×28 images."""
    return nn.Sequential(nn.Conv2d(1, 2, 5), nn.ReLU(), nn.Flatten(), nn.Linear(1152, CLASSES))


FACTS = find_dataset("mnist5k", NOWHERE).metadata


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return make_workplace(tmp_path)


@pytest.fixture
def store(workplace: Workplace) -> Iterator[Store]:
    with open_store(workplace.store_url) as opened:
        yield opened


def keep(store: Store, workplace: Workplace, *, name: str, seed: int, build: Any = make_plain) -> RunRequest:
    """A stored run and its request, of a study called "main"."""
    record, architecture, _ = fit(build, workplace.results, seed=seed, name=name)
    store.runs.add(record)
    request = make_task(architecture, seed=seed).request
    store.studies.plan("main", command="run", requests=[request], role="compare")
    return request


def portraits_of(store: Store) -> tuple[Portrait, ...]:
    return store.studies.load("main").portraits


def test_a_cohort_is_painted_once_by_its_smallest_seed_that_has_weights(store: Store, workplace: Workplace) -> None:
    requests = [keep(store, workplace, name="a", seed=seed) for seed in (4, 1, 2)]
    requests += [keep(store, workplace, name="b", seed=3), make_task(Architecture(name="c", build=make_plain)).request]
    (workplace.results / f"checkpoints/{requests[1].id}.pt").unlink()
    assert list(portray(requests, metadata=FACTS, workplace=workplace, store=store)) == []
    assert {portrait.run_id for portrait in portraits_of(store)} == {requests[2].id, requests[3].id}
    assert store.artifacts.has_pictures(FACTS.data_hash)
    assert store.artifacts.portrayed([request.id for request in requests]) == {requests[2].id, requests[3].id}


def test_what_is_stored_is_not_made_again(store: Store, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [keep(store, workplace, name="a", seed=seed) for seed in (4, 5)]
    list(portray(requests, metadata=FACTS, workplace=workplace, store=store))

    def load(*_words: object, **_options: object) -> Dataset:
        raise AssertionError("the data were read again")

    monkeypatch.setattr(studies_pictures, "load_decoded", load)
    requests.append(keep(store, workplace, name="a", seed=0))  # another run of the same cohort
    assert list(portray(requests, metadata=FACTS, workplace=workplace, store=store)) == []
    assert [portrait.run_id for portrait in portraits_of(store)] == [requests[0].id]


def test_what_is_damaged_is_left_out_of_the_study_and_made_again_by_the_next_training(
    store: Store, workplace: Workplace
) -> None:
    requests = [keep(store, workplace, name=name, seed=0) for name in ("a", "b")]
    paint_all = functools.partial(portray, requests, metadata=FACTS, workplace=workplace, store=store)
    list(paint_all())
    whole = store.studies.load("main")
    path = workplace.results / "bench.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE bench_pictures SET arrays = substr(arrays, 1, 1000)")
        connection.execute("UPDATE bench_portraits SET arrays = x'00' WHERE run_id = ?", (requests[0].id,))
    damaged = store.studies.load("main")
    assert damaged.pictures[FACTS.data_hash].damaged
    assert len(damaged.pictures[FACTS.data_hash].test) == 0
    assert {shown.run_id: shown.damaged for shown in damaged.portraits} == {requests[0].id: True, requests[1].id: False}
    assert list(paint_all()) == []
    repaired = store.studies.load("main")
    np.testing.assert_array_equal(repaired.pictures[FACTS.data_hash].test, whole.pictures[FACTS.data_hash].test)
    assert len(repaired.pictures[FACTS.data_hash].test) == 1_000
    assert [(shown.run_id, shown.damaged) for shown in repaired.portraits] == [(of.id, False) for of in requests]
    assert repaired.portraits[0].filters.tobytes() == whole.portraits[0].filters.tobytes()


def test_a_run_that_cannot_be_painted_is_a_note_and_the_others_go_on(store: Store, workplace: Workplace) -> None:
    broken, whole = (keep(store, workplace, name=name, seed=0) for name in ("broken", "whole"))
    bare = keep(store, workplace, name="bare", seed=0, build=functools.partial(Bare, 784))
    path = workplace.results / f"checkpoints/{broken.id}.pt"
    path.write_bytes(b"others")
    notes = list(portray([broken, bare, whole], metadata=FACTS, workplace=workplace, store=store))
    assert sorted(note.text.partition(":")[0] for note in notes) == ["bare", "broken"]
    assert all("\n" not in note.text and note.text.endswith("its runs are stored.") for note in notes)
    assert store.artifacts.portrayed([broken.id, bare.id, whole.id]) == {bare.id, whole.id}


def test_data_that_are_gone_are_a_note(store: Store, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    request = keep(store, workplace, name="a", seed=0)

    def load(*_words: object, **_options: object) -> Dataset:
        raise DataError("They are gone.")

    monkeypatch.setattr(studies_pictures, "load_decoded", load)
    notes = list(portray([request], metadata=FACTS, workplace=workplace, store=store))
    assert [note.text for note in notes] == ["The report goes without new pictures: They are gone."]
    assert not store.artifacts.has_pictures(FACTS.data_hash)


def test_a_comparison_paints_after_its_runs_and_before_the_quiet_phase(
    store: Store, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, architecture, _ = fit(make_plain, workplace.results, name="a")
    done: list[str] = []

    def train(_plan: object, _workplace: object) -> Iterator[Any]:
        done.append("runs")
        record = store.runs.counted([keep(store, workplace, name="a", seed=0).id])
        yield from (RunFinished(record=each, done=1, total=1, seconds_left=None) for each in record.values())

    def time(_requests: object, _store: object, **_estimate: float) -> Iterator[Any]:
        done.append(f"timings after {len(portraits_of(store))} portrait")
        yield from ()

    monkeypatch.setattr("bench.execution.scheduler.run", train)
    monkeypatch.setattr(experiment, "run_timings", time)
    work = Experiment(
        name="main",
        options=parse_arguments(["--arch", "a", "--seeds", "1", "--epochs", "3"]).options,
        architectures=[architecture],
        sample=take_sample(find_dataset("mnist5k", NOWHERE)),
        hardware=Hardware(device="cpu", machine="", jobs=1),
        metadata={},
        workplace=workplace,
        store=store,
    )
    work.add_metadata(architecture)
    said = [StepStarted(text="Keeping pictures of what the nets see")]
    ended, *rest = compare(work, find_comparison(work))
    assert isinstance(ended, RunFinished)
    assert rest == said
    assert done == ["runs", "timings after 1 portrait"]
    # What was timed is timed again only where that is asked for; never under --no-timing.
    monkeypatch.setattr(experiment, "lacks_timing", lambda _requests, _store: False)
    for flags, times in (([], 1), (["--time-again"], 2), (["--no-timing"], 2)):
        work.options = parse_arguments(["--arch", "a", "--epochs", "3", *flags]).options
        assert not list(work.time([architecture]))
        assert len(done) == 1 + times
