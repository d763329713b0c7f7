"""Which runs a study compares, and which it only keeps."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.errors import UnknownNameError
from bench.core.records import Margins, Predictions, ShownVerdict
from bench.spec import Architecture, Budget, Recipe
from tests.bench.store.examples import (
    make_architecture_metadata,
    make_curve,
    make_dataset_metadata,
    make_predictions,
    make_timing,
)
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.core.records import Study
    from bench.core.run import RunRequest
    from bench.store.store import Store


def study_of(store: Store, requests: Iterable[RunRequest], *, name: str = "main", role: str = "compare") -> Study:
    """Plan requests, run those that have not run, and load the study."""
    requests = list(requests)
    store.studies.plan(name, command=f"run {len(requests)}", requests=requests, role=role)
    for request in requests:
        store.runs.add(record_of(request))
    return store.studies.load(name)


def seeds_by_hash(study: Study) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for record in study.records:
        found.setdefault(record.architecture_hash, []).append(record.seed)
    return found


def test_an_edited_net_with_fewer_seeds_supersedes_all_of_the_old(store: Store) -> None:
    study_of(store, [*(make_request(seed) for seed in range(6)), *(make_request(s, name="beta") for s in range(2))])
    edited = study_of(store, [make_request(seed, architecture_hash="edited") for seed in range(3)])
    assert seeds_by_hash(edited) == {"edited": [0, 1, 2], "hash of beta": [0, 1]}
    assert edited.superseded == 6
    restored = study_of(store, [make_request(seed) for seed in range(2)])
    assert seeds_by_hash(restored) == {"hash of alpha": [0, 1, 2, 3, 4, 5], "hash of beta": [0, 1]}
    assert restored.superseded == 3


def test_each_edited_net_is_there_as_it_was_before_its_last_edit(store: Store) -> None:
    study_of(store, [*(make_request(seed) for seed in range(2)), make_request(0, name="beta")])
    assert store.studies.load_previous("main").records == ()
    for version, seeds in (("second", 3), ("third", 2)):
        requests = [make_request(seed, architecture_hash=version) for seed in range(seeds)]
        store.studies.plan("main", command="c", requests=requests, role="compare", seed_plan=str(seeds))
        for request in requests:
            finished = {"second": "2026-01-02", "third": "2026-01-03"}[version]
            store.runs.add(record_of(request, finished_at=finished))
    previous = store.studies.load_previous("main")
    assert seeds_by_hash(previous) == {"second": [0, 1, 2]}
    assert set(previous.roles.values()) == {"compare"}
    assert set(previous.seed_plans.values()) == {("3", "2")}
    study_of(store, [make_request(0, name="beta", torch_version="2.14.0")])
    assert seeds_by_hash(store.studies.load_previous("main")) == {"second": [0, 1, 2]}, "another torch is no edit"
    with pytest.raises(UnknownNameError, match="No study 'mian'"):
        store.studies.load_previous("mian")


def test_a_net_that_is_taken_out_stays_stored_and_comes_back(store: Store) -> None:
    alpha, beta = ([make_request(seed, name=name) for seed in range(2)] for name in ("alpha", "beta"))
    store.studies.plan("main", command="c", requests=beta, role="compare", seed_plan="6")
    study_of(store, [*alpha, *beta])
    store.studies.plan("other", command="c", requests=beta, role="compare")
    shown = (ShownVerdict("table", "test_accuracy", "alpha", "beta", "a better"),)
    store.studies.keep_shown("main", shown)
    store.studies.forget("main", ["beta"])
    left = store.studies.load("main")
    assert {run.architecture for run in left.records} == {"alpha"}
    assert (left.forgotten, left.superseded, left.missing, left.shown) == (("beta",), 0, 0, shown)
    assert left.margins == Margins()
    assert {run.architecture for run in store.studies.load("other").records} == {"beta"}, "another study keeps it"
    assert store.runs.counted([beta[0].id]).keys() == {beta[0].id}
    store.studies.plan("main", command="c", requests=beta, role="compare", seed_plan="6:30")
    back = store.studies.load("main")
    assert (len(back.records), back.forgotten) == (4, ())
    assert set(back.seed_plans.values()) == {("6", "6:30")}, "the looks of before are remembered"


def test_a_net_that_another_helper_made_is_one_that_was_edited(store: Store) -> None:
    before = make_request(0)
    study_of(store, [before])
    changed = dataclasses.replace(make_architecture_metadata(), initial_hash="here:other", params=21_841)
    versions = {"torch_version": before.torch_version, "engine_version": before.engine_version}
    assert store.runs.supersede_other_nets(changed, **versions) == 1  # type: ignore[arg-type]
    store.runs.add(record_of(before, attempt=2, params=21_841, initial_hash="here:other", test_accuracy=0.5))
    assert [run.test_accuracy for run in store.studies.load("main").records] == [0.5]
    assert [run.test_accuracy for run in store.studies.load_previous("main").records] == [0.9893]


@pytest.mark.parametrize(
    "change",
    [
        {"torch_version": "2.14.0"},
        {"data_hash": "data-2"},
        {"device": "cuda"},
        {"engine_version": 2},
        {"architecture_hash": "edited"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_made_a_run_supersedes(store: Store, change: dict[str, Any]) -> None:
    study_of(store, [make_request(0), make_request(1)])
    renewed = study_of(store, [make_request(0, **change)])
    assert [record.request_id for record in renewed.records] == [make_request(0, **change).id]
    assert renewed.superseded == 2


@pytest.mark.parametrize(
    "change",
    [
        {"budget": Budget(epochs=5)},
        {"budget": Budget(seconds=3.0)},
        {"recipe": Recipe(lr=1e-3)},
        {"dataset": "mnist"},
        {"architecture": Architecture(name="beta", build=lambda: None)},  # type: ignore[arg-type, return-value]
        {"split_seed": 9},
        {"seed": 9},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_asked_for_stands_beside_the_rest(store: Store, change: dict[str, Any]) -> None:
    first = make_request(0)
    study_of(store, [first])
    other = dataclasses.replace(first, **change)
    both = study_of(store, [other])
    assert {record.request_id for record in both.records} == {first.id, other.id}
    assert both.superseded == 0


def test_fewer_seeds_of_the_same_net_leave_the_others_compared(store: Store) -> None:
    study_of(store, [make_request(seed) for seed in range(4)])
    fewer = study_of(store, [make_request(0)])
    assert seeds_by_hash(fewer) == {"hash of alpha": [0, 1, 2, 3]}
    assert fewer.superseded == 0


def test_a_failed_attempt_gives_way_to_the_next(store: Store) -> None:
    request = make_request()
    store.studies.plan("main", command="run", requests=[request], role="compare")
    store.runs.add(record_of(request, status="failed"))
    failed = store.studies.load("main")
    assert ([record.status for record in failed.records], failed.superseded) == (["failed"], 0)
    store.runs.add(record_of(request, attempt=2))
    repaired = store.studies.load("main")
    assert [(record.status, record.attempt) for record in repaired.records] == [("ok", 2)]
    assert repaired.superseded == 1
    assert repaired.roles == {f"{request.id}-2": "compare"}


def test_studies_and_roles_do_not_touch_each_other(store: Store) -> None:
    first, second = make_request(0), make_request(0, architecture_hash="edited")
    study_of(store, [first], name="old")
    study_of(store, [second], name="new")
    assert [record.request_id for record in store.studies.load("old").records] == [first.id]
    both = study_of(store, [second], name="old", role="gate")
    assert both.roles == {first.id: "compare", second.id: "gate"}


def test_a_request_under_two_roles_is_one_record(store: Store) -> None:
    study_of(store, [make_request()], role="reference")
    both = study_of(store, [make_request()], role="compare")
    assert len(both.records) == 1
    assert both.roles == {make_request().id: "compare"}
    assert both.superseded == 0


def test_a_study_stands_before_its_runs(store: Store) -> None:
    store.studies.plan("main", command="run", requests=[make_request(0), make_request(1)], role="compare")
    assert store.studies.load("main").records == ()
    store.runs.add(record_of(make_request(1)))
    assert [record.seed for record in store.studies.load("main").records] == [1]


def test_a_stored_run_joins_a_new_study(store: Store) -> None:
    store.runs.add(record_of(make_request()))
    store.studies.plan("late", command="run", requests=[make_request()], role="compare")
    assert len(store.studies.load("late").records) == 1


def test_records_are_in_order_of_finishing_then_architecture_then_seed(store: Store) -> None:
    wanted = [
        ("2026-01-01", "beta", 9),
        ("2026-01-02", "alpha", 2),
        ("2026-01-02", "alpha", 10),
        ("2026-01-02", "beta", 0),
    ]
    for finished_at, name, seed in reversed(wanted):
        request = make_request(seed, name=name)
        store.studies.plan("main", command="run", requests=[request], role="compare")
        store.runs.add(record_of(request, finished_at=finished_at))
    study = store.studies.load("main")
    assert [(r.finished_at, r.architecture, r.seed) for r in study.records] == wanted


def test_a_study_carries_what_a_report_needs(store: Store) -> None:
    request, elsewhere = make_request(), make_request(5, name="beta", data_hash="data-2")
    store.studies.plan("main", command="python runner.py --arch alpha", requests=[request], role="compare")
    store.runs.add(record_of(request), make_curve())
    store.runs.add(record_of(elsewhere), make_curve())
    store.artifacts.add_architecture(make_architecture_metadata())
    store.artifacts.add_architecture(make_architecture_metadata("another"))
    store.artifacts.add_dataset(make_dataset_metadata())
    store.artifacts.add_dataset(make_dataset_metadata("data-2"))
    for timing in (make_timing(measured_at="first"), make_timing(measured_at="second"), make_timing(machine="m2")):
        store.artifacts.add_timing(timing)
    study = store.studies.load("main")
    assert (study.name, study.command) == ("main", "python runner.py --arch alpha")
    assert study.curves == {request.id: make_curve()}
    assert study.architectures == {"hash of alpha": make_architecture_metadata()}
    assert study.datasets == {"data-1": make_dataset_metadata()}
    assert study.timings == (make_timing(measured_at="second"), make_timing(machine="m2"))
    assert store.studies.load("main", with_details=False) == dataclasses.replace(study, curves={})


def test_studies_are_listed_by_last_use(store: Store) -> None:
    assert store.studies.last() is None
    assert store.studies.names() == []
    for name in ("first", "second", "third", "first"):
        store.studies.plan(name, command=f"run {name}", requests=[], role="compare")
    assert store.studies.names() == ["first", "third", "second"]
    store.studies.load("second")
    assert store.studies.last() == "first"


def test_a_study_keeps_its_last_command(store: Store) -> None:
    for command in ("run 1", "run 2"):
        store.studies.plan("main", command=command, requests=[make_request()], role="compare")
    assert store.studies.load("main").command == "run 2"


def test_an_unknown_study_is_a_near_miss(store: Store) -> None:
    store.studies.plan("night", command="run", requests=[], role="compare")
    with pytest.raises(UnknownNameError, match=r"^No study 'nihgt'. Did you mean 'night'\?$"):
        store.studies.load("nihgt")
    with pytest.raises(UnknownNameError, match=r"No role 'compete'\. Did you mean 'compare'"):
        store.studies.plan("night", command="run", requests=[], role="compete")


def test_checkpoints_that_nobody_compares(store: Store) -> None:
    old, kept, failed, lone = (
        make_request(0),
        make_request(1, name="beta"),
        make_request(2, name="beta"),
        make_request(9),
    )
    study_of(store, [old, kept])
    study_of(store, [make_request(0, architecture_hash="edited")])  # supersedes `old`
    store.runs.add(record_of(kept, attempt=2))  # replaces attempt 1
    store.studies.plan("main", command="run", requests=[failed], role="compare")
    store.runs.add(record_of(failed, status="failed"))
    repeated = make_request(3, name="beta")
    store.studies.plan("main", command="run", requests=[repeated], role="compare")
    store.runs.add(record_of(repeated))
    store.runs.add(record_of(repeated, attempt=2, status="failed", checkpoint=""))  # hides nothing
    store.runs.add(record_of(lone))  # belongs to no study
    store.runs.add(record_of(make_request(8), checkpoint=""))
    store.runs.add(record_of(make_request(7), checkpoint=f"checkpoints/{kept.id}-2.pt"))  # shares a compared run's file
    unused = store.runs.unused_checkpoints()
    assert {record.run_id for record in unused} == {old.id, kept.id, failed.id, lone.id}
    store.runs.forget_checkpoints([record.run_id for record in unused])
    assert store.runs.unused_checkpoints() == []
    forgotten = store.runs.counted([old.id])[old.id]
    assert forgotten == record_of(old, checkpoint="")
    assert store.runs.counted([kept.id])[kept.id].checkpoint == f"checkpoints/{kept.id}-2.pt"


def test_a_checkpoint_that_one_study_still_compares_is_used(store: Store) -> None:
    old = make_request(0)
    study_of(store, [old], name="archive")
    study_of(store, [old])
    study_of(store, [make_request(0, architecture_hash="edited")])
    assert store.runs.unused_checkpoints() == []


def test_what_other_studies_showed_of_a_run_is_known(store: Store) -> None:
    first, second = requests = [make_request(seed=seed) for seed in range(2)]
    for study, asked, plan in (("main", requests[:1], "6"), ("main", requests[:1], "6:12"), ("again", requests, "8")):
        store.studies.plan(study, command="c", requests=asked, role="compare", seed_plan=plan)
    store.studies.plan("trials", command="c", requests=requests, role="tune", seed_plan="9")
    ids = []
    for request in requests:
        record = record_of(request)
        store.runs.add(record)
        ids.append(record.run_id)
    assert first.id != second.id
    assert store.studies.load("again").shown_elsewhere == {ids[0]: {("main", "6"), ("main", "6:12")}}
    assert store.studies.load("main").shown_elsewhere == {ids[0]: {("again", "8")}}
    assert store.studies.load("again").seed_plans == {ids[0]: ("8",), ids[1]: ("8",)}


def test_every_plan_of_seeds_is_remembered_once_and_by_all_runs_of_its_arm(store: Store) -> None:
    requests = [make_request(seed=seed) for seed in range(2)]
    store.studies.plan("main", command="c", requests=requests[:1], role="compare", seed_plan="6:30")
    for plan in ("12", "12", "6:30", ""):
        store.studies.plan(
            "main", command="c", requests=requests, role="compare", margins={"margin": 0.002}, seed_plan=plan
        )
    record = record_of(requests[0])
    store.runs.add(record)
    study = store.studies.load("main")
    assert study.seed_plans == {record.run_id: ("6:30", "12")}
    assert study.first_rule == 2
    assert study.margins == Margins(margin=0.002, margin_epochs=0.05)
    assert study.missing == 1, "the second has not ended"


def test_what_is_not_said_of_the_judging_stays_as_it_was(store: Store) -> None:
    def plan(**margins: float | str) -> Margins:
        store.studies.plan("main", command="c", requests=[make_request()], role="compare", margins=margins)
        return store.studies.load("main").margins

    assert plan() == Margins()
    assert plan(margin=0.002, margin_epochs=0.3) == Margins(margin=0.002, margin_epochs=0.3)
    judged = Margins(margin=0.002, margin_epochs=0.3, metric="balanced_accuracy")
    assert plan(metric="balanced_accuracy") == judged
    assert plan() == judged
    assert plan(margin=0.004) == dataclasses.replace(judged, margin=0.004)
    assert plan(metric="accuracy").metric == "accuracy"


def test_answers_are_read_where_verdicts_follow_from_them_or_where_they_are_asked_for(store: Store) -> None:
    request = make_request()
    predictions = make_predictions("test")
    store.studies.plan("main", command="c", requests=[request], role="compare")
    store.runs.add(record_of(request), predictions=[predictions])
    assert store.studies.load("main", with_details=False).predicted == {}
    asked = store.studies.load("main", with_details=False, with_answers=True)
    assert asked.predicted[request.id].tolist() == predictions.predicted.tolist()
    store.studies.plan("main", command="c", requests=[request], role="compare", margins={"metric": "balanced_accuracy"})
    judged = store.studies.load("main", with_details=False)
    assert judged.labels[request.data_hash].tolist() == predictions.labels.tolist()
    assert (judged.curves, judged.pictures) == ({}, {})


def test_answers_stand_in_the_order_of_the_images(store: Store) -> None:
    request = make_request()
    record = record_of(request)
    predictions = Predictions(
        split="test",
        images=np.array([2, 0, 1], dtype=np.int32),
        labels=np.array([7, 8, 9], dtype=np.uint8),
        predicted=np.array([7, 1, 9], dtype=np.uint8),
        confidence=np.full(3, 0.5, dtype=np.float32),
        true_probability=np.full(3, 0.5, dtype=np.float32),
    )
    store.studies.plan("main", command="c", requests=[request], role="compare")
    store.runs.add(record, predictions=[predictions])
    study = store.studies.load("main")
    assert study.predicted[record.run_id].tolist() == [1, 9, 7]
    assert study.labels[record.data_hash].tolist() == [8, 9, 7]
    assert store.studies.load("main", with_details=False).predicted == {}
