"""What happens to a cluster in the middle of a study costs time and no number: nothing stored is trained again."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from bench.core.errors import ClusterError
from bench.core.run import Cluster
from bench.execution.cluster import executor as cluster_executor
from bench.execution.cluster.survey import survey
from bench.store.store import open_store
from tests.bench.runs import make_workplace
from tests.cluster.cluster_studies import RUNS, STUDY, ClusterStudy, numbers, train_here
from tests.cluster.dask_cluster import DaskCluster, wait_until
from tests.cluster.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.core.records import RunRecord
    from tests.cluster.postgres_server import PostgresServer

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[str, ...]]:
    """The numbers of this machine."""
    return numbers(train_here(tmp_path_factory.mktemp("local") / "here"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path / "cluster") as found:
        found.add("one")
        found.add("two")
        yield found


def stored(url: str) -> dict[str, RunRecord]:
    with open_store(url) as store:
        return {record.run_id: record for record in store.studies.load("main").records if record.status == "ok"}


def survive(
    wanted: dict[tuple[str, str], tuple[str, ...]],
    happen: Callable[[], object],
    *,
    address: str,
    url: str,
    results: Path,
) -> str:
    """Run the study, let something happen after two of its runs, and hold what comes out; what was said."""
    with ClusterStudy(results, *STUDY, "--cluster", address, "--store", url) as under_way:
        under_way.wait_for(r"\[2/6\]")
        before = stored(url)
        files = {path: path.stat().st_mtime_ns for path in (results / "checkpoints").glob("*.pt")}
        happen()
        assert under_way.end() == 0, under_way.said()
        said = under_way.said()
    assert numbers(results) == wanted
    after = stored(url)
    assert len(before) >= 2
    for run_id, record in before.items():
        path = results / record.checkpoint
        assert path.stat().st_mtime_ns == files[path], f"{run_id} was not trained again"
    assert len(after) == RUNS
    assert {record.attempt for record in after.values()} == {1}
    assert {run_id: after[run_id] for run_id in before} == before, "what was stored is as it was"
    return said


def test_one_study_meets_them_all(
    cluster: DaskCluster,
    server: PostgresServer,
    url: str,
    tmp_path: Path,
    wanted: dict[tuple[str, str], tuple[str, ...]],
) -> None:
    """A worker process killed, the connection cut, the database restarted; one by one they are tested below, slowly."""
    with Relay(cluster.port) as relay:

        def happen() -> None:
            cluster.kill_process("one")
            relay.cut(seconds=5.0)
            server.restart("immediate")

        said = survive(wanted, happen, address=f"tcp://127.0.0.1:{relay.port}", url=url, results=tmp_path / "there")
        assert relay.cuts
        assert "The connection to the scheduler was lost" in said
        assert "Traceback" not in said


@pytest.mark.slow
def test_a_worker_process_is_killed(
    cluster: DaskCluster, url: str, tmp_path: Path, wanted: dict[tuple[str, str], tuple[str, ...]]
) -> None:
    happen = lambda: cluster.kill_process("one")  # noqa: E731
    survive(wanted, happen, address=cluster.address, url=url, results=tmp_path / "there")
    wait_until(lambda: set(cluster.names()) == {"one", "two"})  # its nanny has started another


@pytest.mark.slow
def test_a_worker_goes_with_its_nanny(
    cluster: DaskCluster, url: str, tmp_path: Path, wanted: dict[tuple[str, str], tuple[str, ...]]
) -> None:
    survive(wanted, lambda: cluster.kill("one"), address=cluster.address, url=url, results=tmp_path / "there")
    wait_until(lambda: set(cluster.names()) == {"two"})


@pytest.mark.slow
def test_the_connection_to_the_scheduler_is_cut_and_comes_back(
    cluster: DaskCluster, url: str, tmp_path: Path, wanted: dict[tuple[str, str], tuple[str, ...]]
) -> None:
    with Relay(cluster.port) as relay:
        said = survive(
            wanted,
            lambda: relay.cut(seconds=5.0),
            address=f"tcp://127.0.0.1:{relay.port}",
            url=url,
            results=tmp_path / "there",
        )
        assert relay.cuts
        assert "The connection to the scheduler was lost" in said
        assert "does not answer; waiting for it" in said


@pytest.mark.slow
def test_the_database_restarts(
    cluster: DaskCluster,
    server: PostgresServer,
    url: str,
    tmp_path: Path,
    wanted: dict[tuple[str, str], tuple[str, ...]],
) -> None:
    happen = lambda: server.restart("immediate")  # noqa: E731
    survive(wanted, happen, address=cluster.address, url=url, results=tmp_path / "there")


def test_a_worker_that_joins_later_is_held_to_the_same(cluster: DaskCluster, tmp_path: Path) -> None:
    with ClusterStudy(tmp_path / "there", *STUDY, "--cluster", cluster.address) as under_way:
        under_way.wait_for(r"\[1/6\]")
        cluster.kill("one")
        cluster.kill("two")
        under_way.wait_for("has no workers any more; waiting 5 minutes")
        cluster.add("wide", nthreads=2)
        assert under_way.end() == 2
        assert "has 2 threads, and a run needs a process of its own; start it with --nthreads 1" in " ".join(
            under_way.said().split()
        )
        assert "Traceback" not in under_way.said()


@pytest.mark.slow
def test_the_scheduler_dies_and_another_takes_its_place(
    cluster: DaskCluster, url: str, tmp_path: Path, wanted: dict[tuple[str, str], tuple[str, ...]]
) -> None:
    def replace() -> None:
        cluster.kill_scheduler()
        for name in ("one", "two"):
            cluster.kill(name)
        cluster.start_scheduler()
        cluster.add("three")

    said = survive(wanted, replace, address=cluster.address, url=url, results=tmp_path / "there")
    assert "Traceback" not in said


@pytest.mark.slow
def test_the_client_is_killed_and_the_same_command_goes_on(
    cluster: DaskCluster, url: str, tmp_path: Path, wanted: dict[tuple[str, str], tuple[str, ...]]
) -> None:
    words = (*STUDY, "--cluster", cluster.address, "--store", url)
    with ClusterStudy(tmp_path / "there", *words) as first:
        first.wait_for(r"\[2/6\]")
    before = stored(url)
    assert 2 <= len(before) < RUNS
    with ClusterStudy(tmp_path / "there", *words) as second:
        assert second.end() == 0, second.said()
    assert numbers(tmp_path / "there") == wanted
    after = stored(url)
    assert {run_id: after[run_id] for run_id in before} == before
    assert {record.attempt for record in after.values()} == {1}


def test_a_result_that_goes_with_its_worker_is_had_from_another(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both workers die when the call has ended and before its result is fetched: nobody waits for it in silence."""
    said: list[str] = []
    fetch = cluster_executor.ClusterExecutor._fetch
    fetched: list[Any] = []

    def fetch_late(self: Any, call: Any, inner: Any) -> None:
        if not fetched:
            cluster.kill("one")
            cluster.kill("two")
            wait_until(lambda: not cluster.names())
        fetched.append(inner)
        fetch(self, call, inner)

    monkeypatch.setattr(cluster_executor.ClusterExecutor, "_fetch", fetch_late)
    known = survey(cluster.address, "cpu")
    with cluster_executor.ClusterExecutor(make_workplace(tmp_path), known, say=said.append) as executor:
        result = executor.submit(os.getpid)
        wait_until(lambda: any("has no workers any more" in line for line in said))
        cluster.add("three")
        assert result.result(timeout=120) > 0
    assert len(fetched) == 2
    assert not any("connection" in line for line in said)


@pytest.mark.parametrize(("there", "words"), [(False, "did not answer within 2 s"), (True, "had no worker within 2 s")])
def test_patience_ends(*, there: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_executor, "PATIENCE_SECONDS", 2.0)
    with contextlib.ExitStack() as stack:
        dask = DaskCluster(tmp_path / "cluster")
        if there:
            stack.enter_context(dask)
        known = Cluster(
            address=dask.address, device="cpu", workers=1, machine="", machines=1, hosts=1, neighbours={}, is_here=True
        )
        executor = stack.enter_context(cluster_executor.ClusterExecutor(make_workplace(tmp_path), known))
        fault = executor.submit(time.sleep, 0).exception(timeout=60)
        assert isinstance(fault, ClusterError)
        assert words in str(fault)
        assert executor.submit(time.sleep, 0).exception(timeout=1) is fault, "and nothing waits any more"
