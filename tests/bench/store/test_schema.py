"""The schema: what every published version wrote stays readable, and others may live in the same database."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bench.store.migrations import migrations
from bench.store.schema import SCHEMA_VERSION, VERSION_TABLE, metadata
from bench.store.store import open_store
from tests import ROOT
from tests.bench.store.examples import store_url
from tests.factories import make_request, record_of


def test_the_newest_migration_is_the_schema_version() -> None:
    assert ScriptDirectory.from_config(migrations()).get_heads() == [SCHEMA_VERSION]


def test_migrations_build_what_the_tables_say(tmp_path: Path) -> None:
    with open_store(store_url(tmp_path)) as store, store.database.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_a_store_of_schema_1_stays_readable(tmp_path: Path) -> None:
    """`schema_v1.sql` was dumped from a store that version 0.1.0 wrote and is never edited."""
    dump = Path(__file__).with_name("schema_v1.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "bench.db")) as connection:
        connection.executescript(dump)
    with open_store(store_url(tmp_path), create=False) as store:
        study = store.studies.load("night")
        assert study.command == "python runner.py --arch alpha"
        (record,) = study.records
        assert (record.architecture, record.seed, record.attempt, record.status) == ("alpha", 3, 2, "ok")
        assert record.fault == "", "it does not say"
        assert (record.test_accuracy, record.macs, record.deterministic) == (0.9893, 5_000_000_000, False)
        assert record.train_loss is not None
        assert math.isnan(record.train_loss)
        assert record.recipe["lr"] == 0.006
        assert record.environment["libraries"] == {"torch": "2.13.0"}
        assert (record.time_to(0.9).epochs, record.time_to(0.99).epochs) == (0.35, math.inf)
        assert study.roles == {record.run_id: "compare"}
        assert study.superseded == 1
        curve = study.curves[record.run_id]
        assert [(p.step, p.probe, p.val_accuracy, p.train_loss) for p in curve] == [
            (1, True, 0.11, None),
            (2, True, 2 / 3, None),
            (25, False, 0.96, 0.5),
        ]
        predictions = store.runs.predictions(record.run_id, "test")
        np.testing.assert_array_equal(predictions.images, np.array([28262, 41943, 62765], dtype=np.int32))
        np.testing.assert_array_equal(predictions.labels, np.array([9, 8, 6], dtype=np.uint8))
        assert study.architectures["hash of alpha"].layers[0].output_shape == (10, 24, 24)
        assert study.datasets["data-1"].mean == (0.1307,)
        (timing,) = study.timings
        assert timing.seconds_per_batch == {1: (0.001, 1 / 3000), 256: (0.02,)}
        assert store.runs.add(record_of(make_request(99)))


def test_optuna_lives_in_the_same_database(tmp_path: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with open_store(store_url(tmp_path)) as store:
        store.runs.add(record_of(make_request()))
        storage = optuna.storages.RDBStorage(store_url(tmp_path))
        study = optuna.create_study(storage=storage, study_name="tuning")
        study.optimize(lambda trial: trial.suggest_float("lr", 0, 1), n_trials=2)
        assert len(study.trials) == 2
        storage.remove_session()
        storage.engine.dispose()
    with open_store(store_url(tmp_path)) as store:
        assert len(store.runs.counted([make_request().id])) == 1
    with closing(sqlite3.connect(tmp_path / "bench.db")) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"bench_runs", "bench_schema_version", "trials", "alembic_version"} <= tables


def test_opening_a_present_store_imports_neither_alembic_nor_torch(tmp_path: Path) -> None:
    open_store(store_url(tmp_path)).close()
    script = (
        "import sys; from bench.store.store import open_store; "
        "from bench.system.environment import describe_environment; "
        f"store = open_store({store_url(tmp_path)!r}); store.studies.names(); store.close(); describe_environment(); "
        "print({'alembic', 'torch', 'psycopg'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
