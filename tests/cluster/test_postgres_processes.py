"""Several processes on one server: writers, locks, and what is left of a lock whose process or connection ends."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import StoreError
from bench.execution.worker import train_run
from bench.store.store import open_store
from tests.bench.runs import make_task, make_workplace
from tests.bench.store.test_database_processes import let_four_write
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Event
    from pathlib import Path

    from tests.cluster.postgres_server import PostgresServer

pytestmark = pytest.mark.cluster

OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid != pg_backend_pid()"


def name_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


def no_waiting() -> None:
    raise AssertionError("the lock is free")


def test_four_processes_make_one_store_and_store_each_run_once(url: str) -> None:
    let_four_write(url)


def _hold(url: str, held: Event, let_go: Event) -> None:
    with open_store(url) as store, store.hold("run-1", waiting=no_waiting):
        held.set()
        let_go.wait(60)


@pytest.mark.parametrize("end", ["lets go", "is killed"])
def test_a_second_process_waits_until_the_first_lets_go_or_dies(url: str, end: str) -> None:
    context = multiprocessing.get_context("spawn")
    held, let_go = context.Event(), context.Event()
    first = context.Process(target=_hold, args=(url, held, let_go))
    first.start()
    try:
        assert held.wait(60)
        waits = []

        def waiting() -> None:
            waits.append(time.monotonic())
            if len(waits) == 2:
                let_go.set() if end == "lets go" else first.kill()

        with open_store(url) as store:
            with store.hold("another run", waiting=no_waiting):
                pass
            with store.hold("run-1", waiting=waiting):
                assert 2 <= len(waits) <= 6
    finally:
        first.kill()
        first.join(30)


def test_what_ends_the_waiting_leaves_no_lock(url: str) -> None:
    def refuse() -> None:
        raise StoreError("planted")

    with open_store(url) as store, open_store(url) as other:
        with (
            store.hold("run-1", waiting=no_waiting),
            pytest.raises(StoreError, match="planted"),
            other.hold("run-1", waiting=refuse),
        ):
            pass
        with pytest.raises(ValueError, match="inside"), other.hold("run-1", waiting=no_waiting):
            raise ValueError("inside")
        with store.hold("run-1", waiting=no_waiting):
            pass


def test_one_store_holds_more_locks_than_its_pool_has_connections(url: str) -> None:
    with open_store(url) as store, contextlib.ExitStack() as held:
        for number in range(20):
            held.enter_context(store.hold(f"tune-{number}", waiting=no_waiting))
        assert store.runs.find("none") is None


def test_a_lock_is_waited_for_while_the_server_restarts(server: PostgresServer, url: str) -> None:
    with open_store(url) as store:
        server.stop()
        starting = threading.Timer(1.0, server.start)
        starting.start()
        with store.hold("run-1", waiting=no_waiting):
            starting.join()
            assert store.runs.find("none") is None


@pytest.mark.parametrize("end", ["connection", "server"])
def test_a_run_whose_lock_dies_is_stored(server: PostgresServer, url: str, end: str) -> None:
    record = record_of(make_request())
    with open_store(url) as store, store.hold(record.run_id, waiting=no_waiting):
        if end == "connection":
            assert len(server.execute(OTHERS, name_of(url))) >= 1
        else:
            server.restart("immediate")
        assert store.runs.add(record)
    with open_store(url) as store:
        assert store.runs.find(record.run_id) == record
        with store.hold(record.run_id, waiting=no_waiting):
            pass


def test_a_server_that_restarts_while_a_run_trains_costs_nothing(
    server: PostgresServer, url: str, tmp_path: Path
) -> None:
    workplace = dataclasses.replace(make_workplace(tmp_path), store_url=url)
    restarts: list[Callable[[], None]] = [lambda: server.restart("fast"), lambda: server.restart("immediate")]
    task = make_task()
    record = train_run(task, workplace, lambda _progress: restarts.pop()() if restarts else None)
    assert restarts == []
    assert (record.status, record.run_id) == ("ok", task.run_id)
    with open_store(url) as store:
        assert store.runs.find(task.run_id) == record
        assert len(store.runs.predictions(task.run_id, "test").labels) == 1_000
