"""Several processes on one store, and processes that are killed while they write."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bench.store.database.database import _keep_ahead
from bench.store.store import open_store
from tests.bench.store.examples import make_curve, make_predictions, store_url
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier
    from pathlib import Path

PROCESSES, OWN, SHARED = 4, 20, 5


def _write_together(url: str, worker: int, barrier: Barrier, added: multiprocessing.Queue[int]) -> None:
    """Opens a store that may not exist yet; stores runs of its own and some that the others store as well."""
    barrier.wait(60)
    count = 0
    for seed in [*range(SHARED), *range(1_000 * (worker + 1), 1_000 * (worker + 1) + OWN)]:
        request = make_request(seed)
        with open_store(url) as store:
            store.studies.plan("main", command="run", requests=[request], role="compare")
            count += store.runs.add(record_of(request), make_curve(), [make_predictions("test", 100)])
    added.put(count)


def let_four_write(url: str) -> None:
    """Four processes make one store where there is none, and each finds what the others stored."""
    context = multiprocessing.get_context("spawn")
    barrier, added = context.Barrier(PROCESSES), context.Queue()
    workers = [context.Process(target=_write_together, args=(url, i, barrier, added)) for i in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    total = PROCESSES * OWN + SHARED
    assert sum(added.get(timeout=10) for _ in workers) == total, "a run that two processes stored was added once"
    with open_store(url) as store:
        study = store.studies.load("main")
        assert len(study.records) == total
        assert set(study.curves.values()) == {make_curve()}
        assert store.runs.predictions(study.records[0].run_id, "test").labels.shape == (100,)


def test_four_processes_make_one_store(tmp_path: Path) -> None:
    let_four_write(store_url(tmp_path))


def test_a_transaction_that_writes_has_its_turn_before_it_reads(tmp_path: Path) -> None:
    """Otherwise one that reads first, as a migration does, fails at once when another writes in between."""
    with (
        open_store(store_url(tmp_path)) as store,
        closing(sqlite3.connect(tmp_path / "bench.db", timeout=0, isolation_level=None)) as other,
    ):
        with store.database.engine.connect() as reading:
            reading.exec_driver_sql("SELECT count(*) FROM bench_runs")
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        with store.database.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


def _write_forever(url: str, start: int) -> None:
    with open_store(url) as store:
        for seed in range(start, start + 100_000):
            store.runs.add(record_of(make_request(seed)), make_curve(), [make_predictions("test", 5_000)])


def _count(file: Path) -> int:
    with closing(sqlite3.connect(file, timeout=30)) as connection:
        count: int = connection.execute("SELECT count(*) FROM bench_runs").fetchone()[0]
    return count


def test_a_killed_writer_leaves_whole_runs(tmp_path: Path) -> None:
    context, url, file = multiprocessing.get_context("spawn"), store_url(tmp_path), tmp_path / "bench.db"
    open_store(url).close()
    for kill in range(3):
        before = _count(file)
        writer = context.Process(target=_write_forever, args=(url, kill * 100_000))
        writer.start()
        deadline = time.monotonic() + 60
        while _count(file) < before + 2 + kill and time.monotonic() < deadline:
            time.sleep(0.003)
        writer.kill()
        writer.join(30)
        assert _count(file) >= before + 2
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        tables = ("bench_runs", "bench_curves", "bench_predictions")
        counts = {connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608
    assert len(counts) == 1, "a run is stored with its curve and predictions or not at all"


def test_the_journal_is_switched_when_its_turn_comes() -> None:
    """SQLite answers "locked" at once there, whatever its timeout, when several processes make one store."""

    class Connection:
        turns = 2

        def execute(self, statement: str) -> None:
            assert statement == "PRAGMA journal_mode=WAL"
            self.turns -= 1
            if self.turns >= 0:
                busy = sqlite3.OperationalError("database is locked")
                busy.sqlite_errorname = "SQLITE_BUSY"
                raise busy

    connection = Connection()
    _keep_ahead(connection, 5.0)
    assert connection.turns == -1
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        _keep_ahead(Connection(), 0.0)
