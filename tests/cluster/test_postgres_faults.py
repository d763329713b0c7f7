"""What a server can do to a store: refuse it, restart under it, lose an answer; nothing is lost or stored twice."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

import bench.store.database.database
from bench.core.errors import NoStoreError, StoreError
from bench.store.store import Store, open_store
from tests.bench.store.examples import make_curve, make_predictions, make_timing
from tests.cluster.postgres_server import PASSWORD
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.postgres_server import PostgresServer

pytestmark = pytest.mark.cluster


@contextlib.contextmanager
def one_line(*words: str) -> Iterator[None]:
    """Expects a StoreError of one line that says these words and no password."""
    with pytest.raises(StoreError) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    assert PASSWORD not in message
    assert "planted" not in message
    assert message.startswith("Store postgresql+psycopg://")
    for word in words:
        assert word in message


def open_at_once(url: str) -> Store:
    return open_store(url, patience_seconds=0)


def test_a_server_that_refuses_is_said_at_once(server: PostgresServer, url: str) -> None:
    started = time.monotonic()
    with one_line("bench:***@127.0.0.1", "password authentication failed", "check the server and the URL"):
        open_store(server.url("postgres", password="planted"))  # noqa: S106
    with one_line('database "missing" does not exist'):
        open_store(server.url("missing"))
    with one_line("invalid connection option"):
        open_store(f"{url}?nonsense=planted")
    with one_line("no schema has been selected"):
        open_store(f"{url}?options=-csearch_path%3Dnowhere")
    assert time.monotonic() - started < 5, "none of these goes away by waiting"


def test_a_server_that_is_not_there(server: PostgresServer, url: str) -> None:
    with one_line("resolve host 'no-such-host.invalid'"):
        open_at_once(url.replace("127.0.0.1", "no-such-host.invalid"))
    server.stop()
    with one_line(f"port {server.port} failed: Connection refused"):
        open_at_once(url)


def test_a_database_without_all_characters_is_refused(server: PostgresServer) -> None:
    with one_line("encoding LATIN1", "ENCODING 'UTF8'"):
        open_store(server.make_database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))


def test_no_store_is_made_where_only_reading_was_asked_for(url: str) -> None:
    with pytest.raises(NoStoreError, match="holds no results"):
        open_store(url, create=False)


def test_what_the_url_says_of_a_connection_counts(server: PostgresServer, url: str) -> None:
    server.execute("CREATE SCHEMA own", database=url.rsplit("/", 1)[1])
    own = f"{url}?options=-csearch_path%3Down&application_name=night"
    with open_store(own, timeout_seconds=3) as store, store.database.engine.connect() as connection:
        names = ("search_path", "lock_timeout", "application_name", "client_encoding")
        shown = [connection.scalar(sa.text(f"SHOW {name}")) for name in names]
    assert shown == ["own", "3s", "night", "UTF8"]
    with pytest.raises(NoStoreError):
        open_store(url, create=False)  # its tables are in the other schema


def test_who_may_only_read_reads_and_is_told_so_without_waiting(server: PostgresServer, url: str) -> None:
    database = url.rsplit("/", 1)[1]
    with open_store(url) as store:
        store.runs.add(record_of(make_request()))
    server.execute("CREATE ROLE reader LOGIN PASSWORD 'planted'", database=database)
    server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database=database)
    inserts = []
    with open_store(server.url(database, user="reader", password="planted")) as store:  # noqa: S106
        sa.event.listen(store.database.engine, "before_cursor_execute", lambda *given: inserts.append(given[2]))
        assert store.runs.find(make_request().id) == record_of(make_request())
        inserts.clear()
        with one_line("permission denied"):
            store.runs.add(record_of(make_request(1)))
    assert len(inserts) == 1, "it is not tried again"


def test_our_own_mistakes_keep_their_traceback_and_are_made_once(url: str) -> None:
    tries: list[object] = []
    with open_store(url) as store:
        sa.event.listen(store.database.engine, "begin", tries.append)
        with pytest.raises(sa.exc.IntegrityError, match="null value"):
            store.runs.add(record_of(make_request(), status=None))
    assert len(tries) == 1


def test_a_table_locked_too_long(url: str) -> None:
    with (
        open_store(url, timeout_seconds=0.2) as store,
        psycopg.connect(url.replace("+psycopg", "")) as other,
    ):
        other.execute("LOCK TABLE bench_runs IN SHARE MODE")
        assert store.runs.find("none") is None, "readers do not wait"
        with one_line("was locked by another program for 0.2 s", "again"):
            store.runs.add(record_of(make_request()))
        other.rollback()
        assert store.runs.add(record_of(make_request()))


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_restarted_between_calls_is_not_noticed(server: PostgresServer, url: str, mode: str) -> None:
    with open_store(url) as store:
        store.runs.add(record_of(make_request()))
        server.restart(mode)
        assert store.runs.find(make_request().id) == record_of(make_request())
        server.restart(mode)
        assert store.runs.add(record_of(make_request(1)), make_curve())


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_calls_wait_for_a_server_that_is_away(server: PostgresServer, url: str, mode: str) -> None:
    with open_store(url) as store:
        for call in (lambda: store.runs.add(record_of(make_request())), lambda: open_store(url).close()):
            server.stop(mode)
            starting = threading.Timer(1.5, server.start)
            starting.start()
            started = time.monotonic()
            call()
            assert time.monotonic() - started > 1.4
            starting.join()
        assert store.runs.find(make_request().id) is not None


def test_a_server_restarted_again_and_again_loses_no_run(server: PostgresServer, url: str) -> None:
    requests = [make_request(seed) for seed in range(10_000)]
    ended, kept = threading.Event(), threading.Semaphore(0)

    def restart() -> None:
        for mode in ("fast", "immediate", "fast", "immediate"):
            for _ in range(6):  # runs stored between two restarts, however busy the machine is
                kept.acquire()
            server.restart(mode)
        ended.set()

    with open_store(url) as store:
        restarting, stored = threading.Thread(target=restart, daemon=True), 0
        restarting.start()
        while not ended.is_set():
            store.runs.add(record_of(requests[stored]), make_curve(), [make_predictions("test", 500)])
            store.studies.plan("main", command="run", requests=requests[: stored + 1][-3:], role="compare")
            stored += 1
            kept.release()
        restarting.join()
        study = store.studies.load("main")
    assert stored > 20
    assert [record.request_id for record in sorted(study.records, key=lambda found: found.seed)] == [
        request.id for request in requests[:stored]
    ]
    assert set(study.curves.values()) == {make_curve()}
    assert len(study.predicted) == stored


def test_an_answer_that_is_lost_after_the_commit_stores_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, lost = psycopg.Connection.commit, list[str]()

    def commit_and_break(connection: psycopg.Connection) -> None:
        commit(connection)
        if len(lost) % 2 == 0:
            connection.close()
            lost.append("planted")
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        lost.append("passed")

    record, timing = record_of(make_request()), make_timing()
    with open_store(url) as store:
        monkeypatch.setattr(psycopg.Connection, "commit", commit_and_break)
        assert not store.runs.add(record, make_curve(), [make_predictions("test")])
        store.artifacts.add_timing(timing)
        store.studies.plan("main", command="run", requests=(request for request in [make_request()]), role="compare")
        monkeypatch.undo()
        assert lost == ["planted", "passed"] * 3
        study = store.studies.load("main")
        assert study.records == (record,)
        assert study.curves == {record.run_id: make_curve()}
        with store.database.engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT count(*) FROM bench_timings")) == 1
        assert store.artifacts.timing(architecture_hash="hash of alpha", machine="m1", device="cpu") == timing


def test_patience_ends(server: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.store.database.database, "PATIENCE_SECONDS", 1.0)
    with open_store(url) as store:
        server.stop()
        started = time.monotonic()
        with one_line("Connection refused", "run again"):
            store.runs.find("any")
        assert 1.0 <= time.monotonic() - started < 5.0
