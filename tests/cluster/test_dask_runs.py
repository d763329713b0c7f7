"""A study on a cluster: the same numbers as here, stored once, with the data and the weights where they are wanted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import numpy as np
import pytest

from bench.data.directories import own_data_directory
from bench.execution.cluster.executor import ClusterExecutor
from bench.execution.cluster.survey import survey
from bench.store.store import open_store
from tests.bench.runs import make_workplace
from tests.cluster.cluster_studies import STUDY, ClusterStudy, numbers
from tests.cluster.dask_cluster import DaskCluster, wait_until
from tests.cluster.postgres_server import PASSWORD
from tests.front_door import SHORT, rows, run, write_tiny

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("blank_figures")]

ELSEWHERE = str(Path(__file__).parent / "preloads" / "elsewhere.py")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as found:
        found.add("one")
        found.add("two")
        yield found


@pytest.fixture
def study(tmp_path: Path) -> tuple[object, ...]:
    return ("--arch", write_tiny(tmp_path), "--arch", "bn25k", "--seeds", 2, *SHORT)


def test_the_numbers_are_those_of_this_machine(
    cluster: DaskCluster, study: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert run(*study, "--results", here, "--jobs", 1) == 0
    capsys.readouterr()
    loud = [word for word in study if word != "--quiet"]
    assert run(*loud, "--results", there, "--cluster", cluster.address) == 0
    said = capsys.readouterr().out
    assert f"Cluster: {cluster.address}, 2 workers on this host." in said
    assert numbers(there) == numbers(here)
    assert [row["status"] for row in rows(there)] == ["ok"] * 4
    assert sorted(path.name for path in (there / "checkpoints").iterdir()) == sorted(
        path.name for path in (here / "checkpoints").iterdir()
    ), "and nothing is left of what was under way"
    before = rows(there)
    assert run(*loud, "--results", there, "--cluster", cluster.address) == 0
    assert "0 runs to train" in capsys.readouterr().out
    assert rows(there) == before


def test_workers_store_what_they_are(cluster: DaskCluster, study: tuple[object, ...], tmp_path: Path) -> None:
    assert run(*study, "--results", tmp_path / "there", "--cluster", cluster.address) == 0
    assert run(*study, "--results", tmp_path / "there", "--jobs", 1, "--fresh") == 0
    with open_store(f"sqlite:///{tmp_path}/there/bench.db") as store:
        ids = [f"{record.request_id}" for record in store.studies.load("main").records]
        first = [store.runs.find(request_id) for request_id in ids]
        second = [store.runs.find(f"{request_id}-2") for request_id in ids]
    assert {record and record.jobs for record in first} == {2}, "two workers share this host"
    assert {record and record.jobs for record in second} == {1}
    environments = [record.environment for record in (*first, *second) if record is not None]
    assert len(environments) == 8
    assert all(environment == environments[0] for environment in environments)


def test_data_is_sent_once_to_who_has_none(tmp_path: Path) -> None:
    data = own_data_directory()
    assert (data / "MNIST").is_dir(), "the real MNIST, named by BENCH_DATA_DIR"
    with DaskCluster(tmp_path / "cluster") as cluster:
        cluster.add("poor")
        cluster.add("rich", data=data.resolve())
        words = ("--arch", write_tiny(tmp_path), "--seeds", 2, "--dataset", "mnist", "--epochs", 1, "--no-timing")
        assert run(*words, "--results", tmp_path / "there", "--cluster", cluster.address, "--quiet") == 0
        assert run(*words, "--results", tmp_path / "here", "--jobs", 1, "--quiet") == 0
        assert numbers(tmp_path / "there") == numbers(tmp_path / "here")
        (kept,) = (path for path in (cluster.folder / "cache-poor" / "decoded").iterdir() if path.suffix != ".lock")
        assert kept.name.startswith("mnist-")
        assert cluster.said("poor").count("Run out-of-band function 'keep'") == 1
        assert cluster.said("rich").count("Run out-of-band function 'keep'") == 0


def test_images_of_ones_own_are_sent_to_workers_that_have_no_such_files(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (400, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", X=images, y=np.arange(400) % 10)
    net = ("--arch", write_tiny(tmp_path), "--seeds", 2, "--epochs", 1)
    words = (*net, "--dataset", tmp_path / "mine.npz", "--no-timing", "--quiet")
    with DaskCluster(tmp_path / "cluster") as cluster:
        cluster.add("far")
        assert run(*words, "--results", tmp_path / "there", "--cluster", cluster.address) == 0
        assert cluster.said("far").count("Run out-of-band function 'keep'") == 1
    assert run(*words, "--results", tmp_path / "here", "--jobs", 1) == 0
    assert numbers(tmp_path / "there") == numbers(tmp_path / "here")


def test_data_of_another_content_is_not_used(tmp_path: Path) -> None:
    with DaskCluster(tmp_path / "cluster") as cluster:
        wrong = tmp_path / "wrong"
        wrong.mkdir()
        for file in (own_data_directory() / "MNIST" / "raw").glob("*"):
            kept = file.name.replace("train-", "other-").replace("t10k-", "train-").replace("other-", "t10k-")
            (wrong / kept).symlink_to(file.resolve())
        cluster.add("wrong", data=wrong)
        words = ("--arch", write_tiny(tmp_path), "--seeds", 1, "--dataset", "mnist", "--epochs", 1, "--no-timing")
        assert run(*words, "--results", tmp_path / "there", "--cluster", cluster.address, "--quiet") == 0
        assert run(*words, "--results", tmp_path / "here", "--jobs", 1, "--quiet") == 0
        assert numbers(tmp_path / "there") == numbers(tmp_path / "here")


def test_weights_come_back_from_elsewhere(tmp_path: Path, url: str, study: tuple[object, ...]) -> None:
    with DaskCluster(tmp_path / "cluster") as cluster:
        cluster.add("far", "--preload", ELSEWHERE)
        assert run(*study, "--results", tmp_path / "there", "--cluster", cluster.address, "--store", url) == 0
        assert run(*study, "--results", tmp_path / "here", "--jobs", 1) == 0
        assert numbers(tmp_path / "there") == numbers(tmp_path / "here")
        with open_store(url) as store:
            records = store.studies.load("main").records
        assert len(records) == 4
        for record in records:
            content = (tmp_path / "there" / record.checkpoint).read_bytes()
            assert hashlib.sha256(content).hexdigest() == record.checkpoint_hash
        kept = {path.name for path in (cluster.folder / "cache-far" / "cluster" / "checkpoints").iterdir()}
        assert kept == {Path(record.checkpoint).name for record in records}, "weights, for a week, and nothing else"


@pytest.mark.slow
def test_a_worker_that_joins_later_takes_part(tmp_path: Path) -> None:
    with DaskCluster(tmp_path / "cluster") as cluster:
        cluster.add("first")
        with ClusterStudy(tmp_path / "there", *STUDY, "--cluster", cluster.address) as under_way:
            under_way.wait_for(r"\[1/6\]")
            cluster.add("second")
            assert under_way.end() == 0, under_way.said()
        with open_store(f"sqlite:///{tmp_path}/there/bench.db") as store:
            records = store.studies.load("main").records
        starts = sorted(record.started_at for record in records)
        ends = sorted(record.finished_at for record in records)
        assert any(start < end for start, end in zip(starts[2:], ends[1:], strict=False)), "two train at once"


@pytest.mark.slow
def test_everything_by_tls(tmp_path: Path, study: tuple[object, ...]) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1")
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    settings = {
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(certificate),
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
    }
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        settings[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(certificate)
        settings[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(key)
    with DaskCluster(tmp_path / "cluster", protocol="tls", environment=settings) as cluster:
        cluster.add("secret", wait=False)
        wait_until(lambda: "Registered to" in cluster.said("secret"))
        with ClusterStudy(tmp_path / "there", *study, "--cluster", cluster.address, environment=settings) as under_way:
            assert under_way.end() == 0, under_way.said()
        plain = cluster.address.replace("tls:", "tcp:")
        with ClusterStudy(tmp_path / "no", *study, "--cluster", plain, environment=settings) as refused:
            assert refused.end() == 2
        assert "no scheduler answers" in refused.said()
    assert run(*study, "--results", tmp_path / "here", "--jobs", 1) == 0
    assert numbers(tmp_path / "there") == numbers(tmp_path / "here")


def test_a_gpu_study_goes_to_workers_that_offer_a_gpu(cluster: DaskCluster, tmp_path: Path) -> None:
    cluster.add("three", "--resources", "GPU=1", environment={"WHO": "three"})
    try:
        offered = dataclasses.replace(survey(cluster.address, "cpu"), device="cuda")
        with ClusterExecutor(make_workplace(tmp_path), offered) as executor:
            futures = [executor.submit(os.getenv, "WHO") for _ in range(12)]
            assert {future.result(timeout=30) for future in futures} == {"three"}
            wait_until(lambda: executor.workers == 1, seconds=10)
    finally:
        cluster.kill("three")
        wait_until(lambda: "three" not in cluster.names())


def test_a_fault_of_a_task_is_its_own(cluster: DaskCluster, tmp_path: Path) -> None:
    said: list[str] = []
    with ClusterExecutor(make_workplace(tmp_path), survey(cluster.address, "cpu"), say=said.append) as executor:
        with pytest.raises(FileNotFoundError):
            executor.submit(os.stat, "/nowhere").result(timeout=30)
        assert executor.submit(os.getpid).result(timeout=30)
    assert said == [], "and not taken for the connection's"


def test_a_tuning_is_that_of_this_machine(cluster: DaskCluster, url: str, tmp_path: Path) -> None:
    words = ("--arch", write_tiny(tmp_path), "--tune", "--trials", 3, "--seeds", 2, *SHORT)
    assert run(*words, "--results", tmp_path / "there", "--cluster", cluster.address, "--store", url) == 0
    assert run(*words, "--results", tmp_path / "here", "--jobs", 2) == 0
    assert numbers(tmp_path / "there") == numbers(tmp_path / "here")
    assert (tmp_path / "there" / "tuning.csv").read_text().count("complete") == 3


def test_an_edited_net_is_not_trained_by_a_process_that_loaded_it_before(
    cluster: DaskCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "nets"
    package.mkdir()
    (package / "__init__.py").touch()
    words = ("--arch", write_tiny(package), "--seeds", 1, *SHORT, "--results", tmp_path / "there")
    assert run(*words, "--cluster", cluster.address) == 0
    write_tiny(package, hidden=9)
    assert run(*words, "--cluster", cluster.address) == 2
    assert "has changed since it was loaded; start all workers again" in capsys.readouterr().err


def test_the_password_of_the_database_is_in_no_log(tmp_path: Path, url: str) -> None:
    with DaskCluster(tmp_path / "cluster") as cluster:
        cluster.add("one")
        words = ("--arch", write_tiny(tmp_path), "--seeds", 1, *SHORT, "--results", tmp_path / "there")
        assert run(*words, "--cluster", cluster.address, "--store", url) == 0
        assert run(*words, "--cluster", cluster.address, "--store", f"{url}_missing") == 2
        for name in ("one", "scheduler"):
            assert PASSWORD not in cluster.said(name)
            assert quote_plus(PASSWORD) not in cluster.said(name)


def test_a_gate_holds_nets_against_references_that_a_cluster_recorded(
    cluster: DaskCluster, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, file = write_tiny(tmp_path), tmp_path / "thresholds.toml"
    place = ("--results", tmp_path / "there", "--cluster", cluster.address, "--store", url)
    data = ("--dataset", "mnist5k", "--epochs", 1, "--seeds", 8, "--force")
    assert run("--arch", net, "--write-thresholds", file, *data, *place, "--quiet") == 0
    assert run("--arch", net, "--check", file, *place) == 0
    assert "2 workers on this host" in capsys.readouterr().out
    gate = json.loads((tmp_path / "there" / "gate.json").read_text())
    assert gate["passed"] is True
    assert [net["name"] for net in gate["architectures"]] == ["tiny"]
