"""What a cluster cannot do is said before anything trains: at once, in one line, with the way out."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.dask_cluster import DaskCluster, free_port
from tests.front_door import SHORT, run, write_tiny

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.cluster

PRELOADS = Path(__file__).parent / "preloads"
AT_ONCE_SECONDS = 30.0
"""Imports, on a machine that does other things too, and ten seconds for a scheduler that does not answer."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path / "cluster") as found:
        yield found


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    return Refused(tmp_path, capsys)


class Refused:
    """Runs a study of one small net that must be refused; what was said.

    Attributes:
        head: First lines of the net's file.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.head, self._folder, self._capsys = "", folder, capsys

    def __call__(self, address: str, *words: object) -> str:
        """What was said, once it is known that nothing else happened."""
        started = time.monotonic()
        results = self._folder / "results"
        net = write_tiny(self._folder)
        net.write_text(self.head + net.read_text())
        code = run("--arch", net, "--cluster", address, "--results", results, *SHORT, *words)
        took, said = time.monotonic() - started, self._capsys.readouterr().err
        assert code == 2
        assert said.startswith("runner.py: ")
        assert said.count("\n") == 1
        assert took < AT_ONCE_SECONDS
        assert not (results / "runs.csv").exists()
        assert not list(results.glob(".cluster-*"))
        return said


@pytest.mark.parametrize("address", ["localhost:8786", "tcp://localhost", "http://localhost:8786"])
def test_what_is_no_address(address: str, refused: Refused) -> None:
    assert f"--cluster '{address}' is no address; write tcp://HOST:8786" in refused(address)


def test_a_scheduler_that_is_not_there(refused: Refused) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    said = refused(address)
    assert f"--cluster {address}: no scheduler answers" in said
    assert "start one with: python -m dask scheduler" in said


def test_something_that_is_no_scheduler_and_never_answers(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "no scheduler answers" in refused(f"tcp://127.0.0.1:{server.getsockname()[1]}")


def test_certificates_that_nobody_named(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", raising=False)
    assert "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in refused("tls://127.0.0.1:8786")


def test_devices_that_nobody_offers(cluster: DaskCluster, refused: Refused) -> None:
    assert f"no workers; start some: python -m dask worker {cluster.address}" in refused(cluster.address)
    cluster.add("plain")
    said = refused(cluster.address, "--device", "cuda")
    assert "--device cuda: none of the 1 workers" in said
    assert "--resources GPU=1" in said
    assert "--device mps is for this machine alone" in refused(cluster.address, "--device", "mps")
    cluster.add("boaster", "--resources", "GPU=1")
    assert "it offers a GPU, and torch finds none there" in refused(cluster.address, "--device", "cuda")


def test_a_worker_with_several_threads(cluster: DaskCluster, refused: Refused) -> None:
    cluster.add("plain")
    cluster.add("wide", nthreads=2)
    assert "has 2 threads, and a run needs a process of its own; start it with --nthreads 1" in refused(cluster.address)


@pytest.mark.parametrize(
    ("preload", "words"),
    [
        ("other_torch", "it has torch 2.12.0, here is 2."),
        ("other_project", "it has this project 0.0.1 with sources"),
        ("no_project", "it cannot run this project (Exception: ModuleNotFoundError"),
    ],
)
def test_a_worker_of_another_version(preload: str, words: str, cluster: DaskCluster, refused: Refused) -> None:
    cluster.add("plain")
    cluster.add("odd", "--preload", str(PRELOADS / f"{preload}.py"))
    said = refused(cluster.address)
    assert words in said
    assert f"Worker tcp://{cluster.names()['odd']['host']}" in said


def test_a_file_as_the_store_of_workers_elsewhere(cluster: DaskCluster, refused: Refused) -> None:
    cluster.add("far", "--preload", str(PRELOADS / "elsewhere.py"))
    said = refused(cluster.address)
    assert "Workers of" in said
    assert "--store postgresql+psycopg://USER@HOST/NAME" in said


def test_a_net_that_a_worker_cannot_load(cluster: DaskCluster, refused: Refused) -> None:
    cluster.add("plain", environment={"ONLY_THERE": "yes"})
    refused.head = "import os\nassert 'ONLY_THERE' not in os.environ\n"
    said = refused(cluster.address)
    assert "it cannot load tiny: " in said
    assert "line 2: importing it raised AssertionError" in said
    assert "put the net's file at the same place there" in said


def test_a_store_that_is_no_url(cluster: DaskCluster, refused: Refused) -> None:
    cluster.add("plain")
    assert "Store 'hello.db' is no database URL" in refused(cluster.address, "--store", "hello.db")
    said = refused(cluster.address, "--store", "postgresql+psycopg://bench:sec:ret@planted@127.0.0.1/bench")
    assert "write '@', ':' and '/' of a password as %40, %3A and %2F" in said
    assert "planted" not in said
