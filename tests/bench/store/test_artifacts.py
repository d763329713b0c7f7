"""Pictures and portraits in the store: they come back to the bit, go with their run, and cost little."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from bench.core.records import Predictions
from bench.data.datasets import load_dataset
from bench.store import schema
from bench.store.codec import (
    pack_curve,
    pack_pictures,
    pack_predictions,
    pack_record,
    unpack_pictures,
    unpack_portrait,
)
from bench.store.migrations import migrations
from bench.store.store import open_store
from bench.studies.pictures import take_pictures
from bench.studies.stored.merge import merge
from tests.bench.store.examples import (
    in_a_file,
    make_curve,
    make_pictures,
    make_portrait,
    make_predictions,
    run_sql,
    store_url,
)
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from bench.core.pictures import DataPictures, Portrait
    from bench.core.run import RunRequest
    from bench.store.store import Store


def compare(store: Store, *requests: RunRequest, name: str = "main", role: str = "compare") -> None:
    """Plan requests and run those that have not run."""
    store.studies.plan(name, command="run", requests=requests, role=role)
    for request in requests:
        store.runs.add(record_of(request))


def bits(shown: DataPictures | Portrait) -> list[Any]:
    """All that is in it, arrays with their type, shape and bytes."""
    found: list[Any] = []
    for field in dataclasses.fields(shown):
        value = getattr(shown, field.name)
        if isinstance(value, tuple):
            found += [bits(stage) for stage in value]
        else:
            found.append((value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value)
    return found


def test_pictures_and_portraits_come_back_to_the_bit(store: Store) -> None:
    request = make_request()
    compare(store, request)
    pictures, portrait = make_pictures(), make_portrait(request.id)
    assert not store.artifacts.has_pictures("data-1")
    assert store.artifacts.portrayed([request.id]) == set()
    store.artifacts.add_pictures("data-1", pictures)
    store.artifacts.add_portrait(portrait)
    assert store.artifacts.has_pictures("data-1")
    assert not store.artifacts.has_pictures("data-2")
    assert store.artifacts.portrayed([request.id, "another"]) == {request.id}
    study = store.studies.load("main")
    assert list(study.pictures) == ["data-1"]
    assert bits(study.pictures["data-1"]) == bits(pictures)
    assert [bits(found) for found in study.portraits] == [bits(portrait)]
    quick = store.studies.load("main", with_details=False)
    assert (quick.pictures, quick.portraits, quick.confidence) == ({}, (), {})


def test_a_portrait_without_stages_or_filters_comes_back(store: Store) -> None:
    request = make_request()
    compare(store, request)
    empty = np.zeros((0, 0, 0, 0), dtype=np.float32)
    bare = dataclasses.replace(make_portrait(request.id), stages=(), filters=empty)
    store.artifacts.add_portrait(bare)
    (found,) = store.studies.load("main").portraits
    assert bits(found) == bits(bare)


def test_what_is_stored_first_stays(store: Store) -> None:
    request = make_request()
    compare(store, request)
    for seed in (1, 2):
        store.artifacts.add_pictures("data-1", make_pictures(seed))
        store.artifacts.add_portrait(make_portrait(request.id, seed=seed))
    study = store.studies.load("main")
    assert bits(study.pictures["data-1"]) == bits(make_pictures(1))
    assert [bits(found) for found in study.portraits] == [bits(make_portrait(request.id, seed=1))]


def test_arrays_of_another_kind_are_refused(store: Store) -> None:
    pictures: Any = dataclasses.replace(make_pictures(), test=np.full((1, 1, 2, 2), 0.5))
    with pytest.raises(TypeError, match="Cannot cast"):
        store.artifacts.add_pictures("data-1", pictures)


def test_a_study_shows_one_portrait_a_cohort_and_only_what_it_compares(store: Store) -> None:
    alpha = [make_request(seed) for seed in (7, 3, 5)]
    beta, tuned = make_request(0, name="beta", data_hash="data-2"), make_request(1, name="gamma", data_hash="data-3")
    edited = make_request(9, name="edited")
    compare(store, *alpha, beta, edited)
    compare(store, tuned, role="tune")
    compare(store, make_request(9, name="edited", architecture_hash="newer"))  # supersedes the older one
    for request in (alpha[0], alpha[2], beta, tuned, edited):  # not alpha's seed 3
        store.artifacts.add_portrait(make_portrait(request.id))
    for data_hash in ("data-1", "data-2", "data-3", "data-4"):
        store.artifacts.add_pictures(data_hash, make_pictures())
    study = store.studies.load("main")
    assert {portrait.run_id for portrait in study.portraits} == {alpha[2].id, beta.id}
    assert set(study.pictures) == {"data-1", "data-2"}


@in_a_file
def test_a_portrait_goes_with_its_run_and_stays_without_its_weights(store: Store, tmp_path: Path) -> None:
    kept, gone = make_request(0), make_request(1, name="beta")
    compare(store, kept, gone)
    for request in (kept, gone):
        store.artifacts.add_portrait(make_portrait(request.id))
    store.runs.forget_checkpoints([kept.id])
    assert store.artifacts.portrayed([kept.id, gone.id]) == {kept.id, gone.id}
    with store.database.begin() as connection:
        connection.execute(sa.delete(schema.runs).where(schema.runs.c.run_id == gone.id))
    assert run_sql(tmp_path, "SELECT run_id FROM bench_portraits") == [(kept.id,)]


@in_a_file
def test_damage_is_found_wherever_it_is(store: Store, tmp_path: Path) -> None:
    request = make_request()
    compare(store, request)
    store.artifacts.add_pictures("data-1", make_pictures())
    store.artifacts.add_portrait(make_portrait(request.id))
    for table, unpack in (
        ("bench_pictures", unpack_pictures),
        ("bench_portraits", lambda packed: unpack_portrait(packed, run_id="r")),
    ):
        ((packed,),) = run_sql(tmp_path, f"SELECT arrays FROM {table}")  # noqa: S608
        for place in range(0, len(packed), 101):
            damaged = bytearray(packed)
            damaged[place] ^= 1
            assert unpack(bytes(damaged)).damaged
        assert unpack(packed[:-1]).damaged
        assert not unpack(packed).damaged


@in_a_file
def test_what_is_damaged_counts_as_missing_and_costs_nothing_else(store: Store, tmp_path: Path) -> None:
    request = make_request()
    compare(store, request)
    store.artifacts.add_pictures("data-1", make_pictures())
    store.artifacts.add_portrait(make_portrait(request.id))
    run_sql(tmp_path, "UPDATE bench_pictures SET arrays = ?", b"")
    run_sql(tmp_path, "UPDATE bench_portraits SET arrays = substr(arrays, 2)")
    study = store.studies.load("main")
    pictures, (portrait,) = study.pictures["data-1"], study.portraits
    assert [record.run_id for record in study.records] == [request.id]
    assert (pictures.damaged, len(pictures.test), len(pictures.samples)) == (True, 0, 0)
    assert (portrait.damaged, portrait.run_id, portrait.stages, len(portrait.filters)) == (True, request.id, (), 0)


@in_a_file
def test_a_damaged_portrait_stands_only_where_its_cohort_has_no_other(store: Store, tmp_path: Path) -> None:
    first, second = make_request(1), make_request(2)
    compare(store, first, second)
    for request in (first, second):
        store.artifacts.add_portrait(make_portrait(request.id))
    run_sql(tmp_path, "UPDATE bench_portraits SET arrays = x'00' WHERE run_id = ?", first.id)
    (shown,) = store.studies.load("main").portraits
    assert bits(shown) == bits(make_portrait(second.id))


@in_a_file
def test_only_what_is_damaged_is_forgotten(store: Store, tmp_path: Path) -> None:
    first, second, other = make_request(1), make_request(2), make_request(3)
    compare(store, first, second, other)
    for request in (first, second, other):
        store.artifacts.add_portrait(make_portrait(request.id))
    for data_hash in ("data-1", "data-2"):
        store.artifacts.add_pictures(data_hash, make_pictures())
    run_sql(tmp_path, "UPDATE bench_portraits SET arrays = x'00' WHERE run_id != ?", second.id)
    store.artifacts.forget_damaged("data-1", [first.id, second.id])
    assert store.artifacts.portrayed([first.id, second.id, other.id]) == {
        second.id,
        other.id,
    }  # other was not asked about
    assert store.artifacts.has_pictures("data-1")
    run_sql(tmp_path, "UPDATE bench_pictures SET arrays = x'00'")
    store.artifacts.forget_damaged("data-1", [])
    assert (store.artifacts.has_pictures("data-1"), store.artifacts.has_pictures("data-2")) == (False, True)


def test_confidence_stands_beside_the_predicted_class_in_the_order_of_the_images(store: Store) -> None:
    request = make_request()
    predictions = Predictions(
        split="test",
        images=np.array([2, 0, 1], dtype=np.int32),
        labels=np.array([7, 8, 9], dtype=np.uint8),
        predicted=np.array([7, 1, 9], dtype=np.uint8),
        confidence=np.array([0.25, 0.9993, 0.5], dtype=np.float32),
        true_probability=np.zeros(3, dtype=np.float32),
    )
    store.studies.plan("main", command="c", requests=[request], role="compare")
    store.runs.add(record_of(request), predictions=[predictions, make_predictions("validation", 9)])
    confidence = store.studies.load("main").confidence[request.id]
    assert confidence.dtype == np.float32
    assert confidence.tolist() == [float(np.float32(0.9993)), 0.5, 0.25]


def make_older_store(folder: Path, revision: str) -> None:
    """A store as a version of that schema left it."""
    engine = sa.create_engine(store_url(folder))
    config = migrations()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_a_store_of_schema_3_keeps_its_runs_and_takes_pictures(tmp_path: Path) -> None:
    make_older_store(tmp_path, "0003")
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    older = {name for (name,) in run_sql(tmp_path, tables)}
    assert "bench_predictions" in older
    assert older & {"bench_pictures", "bench_portraits"} == set()
    record, predictions = record_of(make_request(), initial_hash="", fault=""), make_predictions("test")
    row = pack_record(record)
    del row["initial_hash"], row["fault"]  # of schemas 6 and 7
    engine = sa.create_engine(store_url(tmp_path))
    with engine.begin() as connection:
        connection.execute(sa.insert(schema.runs), row)
        connection.execute(sa.insert(schema.curves), {"run_id": record.run_id, "points": pack_curve(make_curve())})
        arrays = {"run_id": record.run_id, "split": "test", "arrays": pack_predictions(predictions)}
        connection.execute(sa.insert(schema.predictions), arrays)
    engine.dispose()
    with open_store(store_url(tmp_path), create=False) as store:
        assert store.runs.find(record.run_id) == record
        assert store.runs.curve(record.run_id) == make_curve()
        store.studies.plan("main", command="run", requests=[make_request()], role="compare")
        study = store.studies.load("main")
        assert study.predicted[record.run_id].tolist() == predictions.predicted.tolist()
        assert (study.pictures, study.portraits) == ({}, ())
        store.artifacts.add_portrait(make_portrait(record.run_id))
        store.artifacts.add_pictures("data-1", make_pictures())
        assert len(store.studies.load("main").portraits) == 1
    assert run_sql(tmp_path, "SELECT version_num FROM bench_schema_version") == [(schema.SCHEMA_VERSION,)]


def test_postgresql_keeps_them_as_bytes_and_the_portrait_with_its_run() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    made = {table.name: str(CreateTable(table).compile(dialect=dialect)) for table in schema.metadata.sorted_tables}
    assert "arrays BYTEA NOT NULL" in made["bench_pictures"]
    assert "arrays BYTEA NOT NULL" in made["bench_portraits"]
    assert "REFERENCES bench_runs (run_id) ON DELETE CASCADE" in made["bench_portraits"]


def test_a_merge_brings_pictures_and_portraits(tmp_path: Path) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    new, failed_here, shared, painted = (make_request(seed, name=f"net{seed}") for seed in range(4))
    with open_store(store_url(other)) as store:
        compare(store, new, failed_here, shared, painted)
        for request in (new, failed_here, shared, painted):
            store.artifacts.add_portrait(make_portrait(request.id, seed=1))
        for data_hash in ("data-1", "data-2"):
            store.artifacts.add_pictures(data_hash, make_pictures(1))
    with open_store(store_url(here)) as store:
        compare(store, shared, painted)
        store.runs.add(record_of(failed_here, status="failed"))
        store.artifacts.add_portrait(make_portrait(painted.id, seed=2))
        store.artifacts.add_pictures("data-1", make_pictures(2))
    for _ in range(2):
        merge(other, results=here, store_url=store_url(here))
        with open_store(store_url(here)) as store:
            study = store.studies.load("main")
            assert store.artifacts.has_pictures("data-2")
        expected = {new.id: 1, f"{failed_here.id}-2": 1, shared.id: 1, painted.id: 2}
        found = {portrait.run_id: bits(portrait) for portrait in study.portraits}
        assert found == {run_id: bits(make_portrait(run_id, seed=seed)) for run_id, seed in expected.items()}
        assert bits(study.pictures["data-1"]) == bits(make_pictures(2))
        assert len(run_sql(here, "SELECT run_id FROM bench_portraits")) == 4


def test_a_portrait_painted_after_a_merge_comes_to_where_its_run_is_now(tmp_path: Path) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    request = make_request()
    with open_store(store_url(here)) as store:
        store.runs.add(record_of(request, status="failed", weights_hash=""))
    with open_store(store_url(other)) as store:
        compare(store, request)
    merge(other, results=here, store_url=store_url(here))
    with open_store(store_url(other)) as store:
        store.artifacts.add_portrait(make_portrait(request.id))
    merge(other, results=here, store_url=store_url(here))
    assert run_sql(here, "SELECT run_id FROM bench_portraits") == [(f"{request.id}-2",)]


def test_the_test_images_of_mnist_take_less_than_two_and_a_half_megabytes() -> None:
    folder = Path(os.environ.get("BENCH_DATA_DIR") or "data")
    if not (folder / "MNIST").is_dir():
        pytest.skip("needs the published MNIST in $BENCH_DATA_DIR")
    pictures = take_pictures(load_dataset("mnist", folder))
    packed = pack_pictures(pictures)
    assert pictures.test.shape == (10_000, 1, 28, 28)
    assert len(packed) < 2_500_000
    np.testing.assert_array_equal(unpack_pictures(packed).test, pictures.test)


@pytest.mark.slow
def test_a_thousand_runs_with_ten_thousand_predictions_load_in_seconds(store: Store) -> None:
    requests = [make_request(seed) for seed in range(1_000)]
    store.studies.plan("main", command="run", requests=requests, role="compare")
    images = np.arange(10_000, dtype=np.int32)
    packed = dataclasses.replace(make_predictions("test", 10_000), images=images)
    for request in requests:
        store.runs.add(record_of(request), make_curve(), [packed])
    started = time.perf_counter()
    study = store.studies.load("main")
    seconds = time.perf_counter() - started
    assert len(study.confidence) == 1_000
    assert seconds < 8, f"{seconds:.1f} s; 2 s on two idle cores"
