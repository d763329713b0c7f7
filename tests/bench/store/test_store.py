"""What is put into the store comes out again, bit for bit."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.core.errors import StoreError
from bench.core.records import CurvePoint, RunRecord
from bench.store.store import Store, open_store
from tests.bench.store.examples import (
    in_a_file,
    make_architecture_metadata,
    make_curve,
    make_dataset_metadata,
    make_predictions,
    make_timing,
    run_sql,
    store_url,
)
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from pathlib import Path


def put(store: Store, record: RunRecord) -> RunRecord:
    """Store a record without curve or predictions and read it back."""
    assert store.runs.add(record)
    return store.runs.counted([record.request_id])[record.request_id]


def test_every_field_of_a_record_comes_back(store: Store) -> None:
    record = record_of(make_request(7))
    left_out = [f.name for f in dataclasses.fields(record) if getattr(record, f.name) == f.default]
    assert left_out == [], "the example must tell a lost field from a default"
    assert put(store, record) == record


def test_a_bare_record_comes_back(store: Store) -> None:
    full, request = record_of(make_request()), make_request()
    bare = RunRecord(
        **{f.name: getattr(full, f.name) for f in dataclasses.fields(full) if f.default is f.default_factory}
    )
    assert bare.request_id == request.id
    assert bare.params is None
    assert bare.time_to_targets == ()
    assert put(store, bare) == bare


@in_a_file
def test_columns_are_readable_with_plain_sql(store: Store, tmp_path: Path) -> None:
    record = record_of(make_request())
    store.runs.add(record)
    (row,) = run_sql(
        tmp_path,
        "SELECT test_accuracy, macs, deterministic, machine, json_extract(time_to_targets, '$[1].epochs'), "
        "json_extract(time_to_targets, '$[0].epochs'), json_extract(budget, '$.epochs') FROM bench_runs",
    )
    assert row == (0.9893, 5_000_000_000, 0, "m1", None, 0.35, 3)


def test_nan_infinity_and_nothing_stay_apart(store: Store) -> None:
    back = put(
        store, record_of(make_request(), status="diverged", train_loss=math.nan, val_loss=math.inf, test_loss=None)
    )
    assert back.train_loss is not None
    assert math.isnan(back.train_loss)
    assert back.val_loss == math.inf
    assert back.test_loss is None
    assert math.isinf(back.time_to_targets[1].epochs)
    assert back.time_to_targets[1].images == math.inf


@in_a_file
def test_numbers_of_numpy_are_numbers(store: Store, tmp_path: Path) -> None:
    put(store, record_of(make_request(), params=np.int64(21_840), test_accuracy=np.float32(0.5)))
    (row,) = run_sql(tmp_path, "SELECT typeof(params), params, typeof(test_accuracy) FROM bench_runs")
    assert row == ("integer", 21_840, "real")


def test_any_traceback_can_be_stored(store: Store) -> None:
    back = put(store, record_of(make_request(), error="null \0 half \ud800 naïve", traceback="\udfff"))
    assert (back.error, back.traceback) == ("null \\x00 half \\ud800 naïve", "\\udfff")


def test_the_same_attempt_again_changes_nothing(store: Store) -> None:
    first = record_of(make_request())
    assert store.runs.add(first, make_curve(), [make_predictions("test")])
    assert not store.runs.add(dataclasses.replace(first, test_accuracy=0.5), (), [make_predictions("validation")])
    assert not store.runs.add(dataclasses.replace(first, run_id="another id"))
    assert store.runs.counted([first.request_id]) == {first.request_id: first}
    assert store.runs.curve(first.run_id) == make_curve()
    with pytest.raises(StoreError, match="no validation predictions"):
        store.runs.predictions(first.run_id, "validation")


def test_a_run_is_stored_whole_or_not_at_all(store: Store) -> None:
    record, twice = record_of(make_request()), [make_predictions("test"), make_predictions("test")]
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.runs.add(record, make_curve(), twice)
    assert store.runs.counted([record.request_id]) == {}
    assert store.runs.add(record)


def test_the_last_settled_attempt_counts_among_ten_thousand(store: Store) -> None:
    request, unknown = make_request(), [f"{number:016x}" for number in range(10_000)]
    for attempt, status in ((2, "ok"), (3, "diverged"), (10, "failed"), (1, "interrupted")):
        store.runs.add(record_of(request, attempt=attempt, status=status))
    unsettled = make_request(1)
    for attempt in (1, 2):
        store.runs.add(record_of(unsettled, attempt=attempt, status="failed"))
    counted = store.runs.counted([*unknown, request.id, unsettled.id, request.id])
    assert {key: record.attempt for key, record in counted.items()} == {request.id: 3, unsettled.id: 2}
    assert store.runs.counted([]) == {}


def test_the_next_attempt_is_a_new_one_unless_the_last_was_interrupted(store: Store) -> None:
    ended, cut, unknown = make_request(0), make_request(1), make_request(2)
    store.runs.add(record_of(ended, status="failed"))
    store.runs.add(record_of(cut))
    store.runs.add(record_of(cut, attempt=2, status="interrupted"))
    assert store.runs.next_attempts([ended.id, cut.id, unknown.id]) == {ended.id: 2, cut.id: 2}


def test_a_run_that_ends_takes_the_place_of_its_interrupted_part(store: Store) -> None:
    part, whole = record_of(make_request(), status="interrupted"), record_of(make_request())
    assert store.runs.add(part, make_curve()[:1])
    assert store.runs.add(whole, make_curve())
    assert store.runs.find(whole.run_id) == whole
    assert store.runs.curve(whole.run_id) == make_curve()
    assert not store.runs.add(part), "what has ended is not interrupted any more"
    assert store.runs.find(whole.run_id) == whole
    assert store.runs.find("unknown") is None


def test_curves_come_back_exactly(store: Store) -> None:
    record = record_of(make_request())
    store.runs.add(record, make_curve())
    assert store.runs.curve(record.run_id) == make_curve()
    assert [point.train_loss for point in store.runs.curve(record.run_id)] == [None, None, 0.5]
    assert store.runs.curve(record.run_id)[0].train_seconds == 0.30000000000000004


def test_a_diverged_curve_keeps_nan(store: Store) -> None:
    times: dict[str, Any] = {"train_seconds": 1.0, "evaluation_seconds": 0.0}
    point = CurvePoint(
        step=1, images=128, epoch=1.0, probe=False, val_loss=math.inf, val_accuracy=0.1, train_loss=math.nan, **times
    )
    record = record_of(make_request())
    store.runs.add(record, [point])
    (back,) = store.runs.curve(record.run_id)
    assert back.train_loss is not None
    assert math.isnan(back.train_loss)
    assert (back.val_loss, back.train_accuracy) == (math.inf, None)


def test_an_empty_curve_and_an_unknown_run(store: Store) -> None:
    record = record_of(make_request())
    store.runs.add(record)
    assert store.runs.curve(record.run_id) == ()
    with pytest.raises(StoreError, match="no run 'nobody'"):
        store.runs.curve("nobody")


@pytest.mark.parametrize("count", [0, 5, 10_000])
def test_predictions_come_back_with_their_types(store: Store, count: int) -> None:
    record, given = record_of(make_request()), make_predictions("validation", count)
    store.runs.add(record, (), [given, make_predictions("test", 3)])
    back = store.runs.predictions(record.run_id, "validation")
    for field in dataclasses.fields(given):
        before, after = getattr(given, field.name), getattr(back, field.name)
        if field.name != "split":
            assert after.dtype == before.dtype
        np.testing.assert_array_equal(after, before)
    assert len(store.runs.predictions(record.run_id, "test").labels) == 3


@in_a_file
def test_predictions_are_compact(store: Store, tmp_path: Path) -> None:
    store.runs.add(record_of(make_request()), (), [make_predictions("test", 10_000)])
    ((size,),) = run_sql(tmp_path, "SELECT length(arrays) FROM bench_predictions")
    assert size < 10_000 * (4 + 1 + 1 + 4 + 4)  # bytes of one image: index, two classes, two probabilities


def test_how_long_a_step_took_is_not_stored_with_what_is_exact(store: Store) -> None:
    facts = make_architecture_metadata()
    timed = dataclasses.replace(facts, proof=dataclasses.replace(facts.proof, step_seconds=0.01))
    store.artifacts.add_architecture(timed)
    (found,) = store.artifacts.architectures([facts.architecture_hash]).values()
    assert found == facts
    assert found.proof.step_seconds is None


def test_facts_come_back_and_are_renewed(store: Store) -> None:
    facts = make_architecture_metadata()
    store.artifacts.add_architecture(facts)
    assert store.artifacts.architectures(["hash of alpha", "unknown"]) == {"hash of alpha": facts}
    store.artifacts.add_architecture(make_architecture_metadata(params=7))
    assert store.artifacts.architectures(["hash of alpha"])["hash of alpha"].params == 7


def test_the_latest_timing_of_a_machine_and_device(store: Store) -> None:
    first, later = make_timing(measured_at="2026-02-02"), make_timing(measured_at="2026-01-01")  # the clock jumped back
    for timing in (first, later, make_timing(machine="m2"), make_timing(device="cuda")):
        store.artifacts.add_timing(timing)
    assert store.artifacts.timing(architecture_hash="hash of alpha", machine="m1", device="cpu") == later
    assert store.artifacts.timing(architecture_hash="hash of alpha", machine="m3", device="cpu") is None
    assert store.artifacts.timing(architecture_hash="other", machine="m1", device="cpu") is None


def test_training_speeds_are_medians_of_finished_runs_on_this_machine(store: Store) -> None:
    for seed, speed in enumerate((100.0, 300.0, 1000.0)):
        store.runs.add(record_of(make_request(seed), train_images_per_second=speed))
    store.runs.add(record_of(make_request(3), train_images_per_second=1e9, status="diverged"))
    store.runs.add(record_of(make_request(4), train_images_per_second=1e9, environment={"machine": "m2"}))
    store.runs.add(record_of(make_request(5), train_images_per_second=None))
    store.runs.add(record_of(make_request(6), train_images_per_second=math.nan))
    store.runs.add(record_of(make_request(0, name="beta"), train_images_per_second=50.0))
    store.runs.add(record_of(make_request(0, name="beta", device="cuda"), train_images_per_second=5000.0))
    assert store.runs.training_speeds("m1", device="cpu") == {"hash of alpha": 300.0, "hash of beta": 50.0}
    assert store.runs.training_speeds("m1")["hash of beta"] == 2525.0
    assert store.runs.training_speeds("nowhere") == {}


def test_training_speeds_of_one_engine_say_nothing_of_the_other(store: Store) -> None:
    for seed, (speed, environment) in enumerate(
        ((100.0, {}), (300.0, {"engine": "torch"}), (900.0, {"engine": "lanes", "kernels": "lanes8-1"}))
    ):
        record = record_of(make_request(seed), train_images_per_second=speed)
        store.runs.add(dataclasses.replace(record, environment={**record.environment, **environment}))
    assert store.runs.training_speeds("m1", engine="torch") == {"hash of alpha": 200.0}
    assert store.runs.training_speeds("m1", engine="lanes") == {"hash of alpha": 900.0}


@in_a_file
def test_what_one_store_wrote_another_reads(store: Store, tmp_path: Path) -> None:
    facts = make_dataset_metadata()
    store.artifacts.add_dataset(facts)
    store.runs.add(record_of(make_request()))
    with open_store(store_url(tmp_path), create=False) as second:
        assert list(second.runs.counted([make_request().id])) == [make_request().id]
