"""What a server keeps: every older schema's rows, any text, large arrays, and all of a directory that is merged."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from bench.core.errors import StoreError
from bench.store import schema
from bench.store.codec import pack_curve, pack_predictions, pack_record
from bench.store.migrations import migrations
from bench.store.store import Store, open_store
from bench.studies.stored.merge import Merged, merge
from tests.bench.store.examples import (
    make_architecture_metadata,
    make_curve,
    make_dataset_metadata,
    make_pictures,
    make_portrait,
    make_predictions,
    make_timing,
    store_url,
)
from tests.bench.store.test_studies_gate import OUTCOME, REQUEST
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.core.run import RunRequest

pytestmark = pytest.mark.cluster

OLDER = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")


def test_every_older_schema_is_tested() -> None:
    assert int(schema.SCHEMA_VERSION) == int(OLDER[-1]) + 1


@pytest.mark.parametrize("revision", OLDER)
def test_a_store_of_an_older_schema_keeps_what_it_has(url: str, revision: str) -> None:
    record = record_of(make_request(), train_loss=math.nan, initial_hash="", fault="")
    row, predictions = pack_record(record), make_predictions("test")
    del row["fault"], row["budget"]["row_seal_1"]  # later columns, later seals
    if revision < "0006":
        del row["initial_hash"]
    engine, config = sa.create_engine(url), migrations()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(sa.insert(schema.runs), row)
        connection.execute(sa.insert(schema.curves), {"run_id": record.run_id, "points": pack_curve(make_curve())})
        arrays = {"run_id": record.run_id, "split": "test", "arrays": pack_predictions(predictions)}
        connection.execute(sa.insert(schema.predictions), arrays)
        connection.exec_driver_sql(
            "INSERT INTO bench_studies (name, command, last_used) VALUES ('night', 'python runner.py', 1)"
        )
        connection.exec_driver_sql(
            "INSERT INTO bench_study_requests (study_id, request_id, role, arm, cohort, current) "
            "VALUES (1, %s, 'compare', 'arm', %s, true)",
            (record.request_id, record.cohort),
        )
    engine.dispose()
    with open_store(url, create=False) as store:
        study = store.studies.load("night")
        assert study.command == "python runner.py"
        (found,) = study.records
        assert found.train_loss is not None
        assert math.isnan(found.train_loss)
        assert dataclasses.replace(found, train_loss=0.1) == record_of(make_request(), initial_hash="", fault="")
        assert study.curves == {record.run_id: make_curve()}
        assert study.seed_plans == {}
        np.testing.assert_array_equal(store.runs.predictions(record.run_id, "test").predicted, predictions.predicted)
        with store.database.engine.connect() as connection:
            options = {"version_table": schema.VERSION_TABLE, "compare_type": True}
            assert compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata) == []
        store.studies.plan("night", command="again", requests=[make_request(1)], role="compare")
        assert store.runs.add(record_of(make_request(1)))
        store.artifacts.add_portrait(make_portrait(record.run_id))


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    with open_store(url) as store:
        store.runs.add(record_of(make_request()))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE bench_schema_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="has schema '9999', written by a newer version"):
        open_store(url)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT count(*) FROM bench_runs").fetchone() == (1,)


def test_any_text_comes_back(url: str) -> None:
    name = "Köpfe 頭 🧠 '\"; DROP TABLE bench_runs; -- %s %(x)s :y \\ \t"
    environment: dict[str, Any] = {"machine": name, "libraries": {name: [1, 0.1, None, True, "\x00 \ud800"]}}
    request = make_request(name="網-🧠")
    record = record_of(request, recipe_name=name, environment=environment, layout=name)
    with open_store(url) as store:
        store.runs.add(record)
        store.studies.plan(name, command=name, requests=[request], role="compare")
        assert store.runs.find(record.run_id) == record
        study = store.studies.load(name)
        assert (study.name, study.command, study.records) == (name, name, (record,))
        assert store.runs.training_speeds(name) == {"hash of 網-🧠": 2_742.5}


def test_json_that_is_none_is_refused_and_leaves_nothing(url: str) -> None:
    with open_store(url) as store:
        with pytest.raises(ValueError, match="Out of range float"):
            store.runs.add(record_of(make_request(), environment={"load": math.inf}))
        assert store.runs.find(make_request().id) is None


def test_columns_are_readable_with_plain_sql(url: str) -> None:
    with open_store(url) as store:
        store.runs.add(record_of(make_request(), val_loss=math.nan, test_loss=-math.inf, params=np.int64(21_840)))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute(
            "SELECT test_accuracy, macs, params, deterministic, val_loss::text, test_loss::text, budget->>'epochs', "
            "time_to_targets->1->>'epochs', environment->'libraries'->>'torch' FROM bench_runs"
        ).fetchone()
    assert row == (0.9893, 5_000_000_000, 21_840, False, "NaN", "-Infinity", "3", None, "2.13.0")


def test_how_a_check_ended_comes_back_and_the_last_one_counts(url: str) -> None:
    later = dataclasses.replace(OUTCOME, judgements=OUTCOME.judgements[2:], notes=())
    with open_store(url) as store:
        for name in ("gate", "other"):
            store.studies.plan(name, command="check", requests=[REQUEST], role="gate")
            store.studies.add_gate(name, OUTCOME)
        store.studies.add_gate("gate", later)
        assert (store.studies.load("gate").gate, store.studies.load("other").gate) == (later, OUTCOME)
        assert store.studies.last(compares=True) is None
        store.studies.forget_gate("gate")
        assert (store.studies.load("gate").gate, store.studies.load("other").gate) == (None, OUTCOME)


def test_arrays_of_twenty_megabytes_come_back(url: str) -> None:
    record, large = record_of(make_request()), make_predictions("test", 3_000_000)
    with open_store(url) as store:
        store.runs.add(record, (), [large])
        with store.database.engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT length(arrays) FROM bench_predictions")) > 20_000_000
        back = store.runs.predictions(record.run_id, "test")
    for field in dataclasses.fields(large):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(large, field.name))


def test_runs_come_in_the_same_order_as_from_a_file(url: str, tmp_path: Path) -> None:
    """A server may sort text by a language's rules, which pass over signs and case."""
    requests = [make_request(name=name) for name in ("b", "A", "a_1", "a-2", "B", "a", "é")]
    orders = []
    for place in (url, store_url(tmp_path)):
        with open_store(place) as store:
            store.studies.plan("main", command="run", requests=requests, role="compare")
            for request in requests:
                store.runs.add(record_of(request))
            orders.append([record.architecture for record in store.studies.load("main").records])
    assert orders == [["A", "B", "a", "a-2", "a_1", "b", "é"]] * 2


def fill(store: Store, requests: Sequence[RunRequest], *, weights: bytes) -> None:
    """Runs with everything that can stand beside them."""
    stored: dict[str, Any] = {"checkpoint_hash": hashlib.sha256(weights).hexdigest()}
    for request in requests:
        record = record_of(request, val_loss=math.nan, checkpoint=f"checkpoints/{request.id}.pt", **stored)
        store.runs.add(record, make_curve(), [make_predictions("test")])
        store.artifacts.add_portrait(make_portrait(request.id))
    store.artifacts.add_architecture(make_architecture_metadata())
    store.artifacts.add_dataset(make_dataset_metadata())
    store.artifacts.add_pictures("data-1", make_pictures())
    store.artifacts.add_timing(make_timing(machine=weights.decode()))


def test_a_directory_is_merged_into_a_server_once(url: str, tmp_path: Path) -> None:
    common, theirs, ours = ([make_request(seed)] for seed in range(3))
    other, here = tmp_path / "other", tmp_path / "here"
    with open_store(store_url(other)) as store:
        fill(store, common + theirs, weights=b"m1")
        store.studies.plan("night", command="theirs", requests=common + theirs, role="compare")
        given = store.studies.load("night")
    (other / "checkpoints").mkdir()
    for request in common + theirs:
        (other / "checkpoints" / f"{request.id}.pt").write_bytes(b"m1")
    with open_store(url) as store:
        fill(store, common + ours, weights=b"m1")
        store.studies.plan("day", command="ours", requests=common + ours, role="compare")
    for merged in (Merged(merged=1, already=1, studies=("night",)), Merged(merged=0, already=2, studies=("night",))):
        assert merge(other, results=here, store_url=url) == merged
    assert [path.read_bytes() for path in (here / "checkpoints").iterdir()] == [b"m1"]
    with open_store(url) as store:
        assert store.studies.names() == ["day", "night"]
        found = store.studies.load("night")
        assert [record.request_id for record in found.records] == [record.request_id for record in given.records]
        assert (found.curves, found.timings, found.architectures) == (given.curves, given.timings, given.architectures)
        assert len(found.portraits) == 1
        assert store.runs.add(record_of(make_request(9)))
        store.artifacts.add_timing(make_timing(machine="m9"))
        store.studies.plan("new", command="new", requests=[make_request(9)], role="compare")
        assert store.studies.names() == ["new", "day", "night"]
