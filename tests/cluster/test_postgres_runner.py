"""From the command line to a server and back: training, tuning, the gate, reports, exports and merges."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from tests.front_door import SHORT, rows, run, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.postgres_server import PostgresServer

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("blank_figures")]


def trials(results: Path) -> list[list[str]]:
    """Every trial but the clocks, which no two tunings share."""
    with (results / "tuning.csv").open(newline="") as stream:
        return [
            [value for name, value in row.items() if "seconds" not in name and "per_second" not in name]
            for row in csv.DictReader(stream)
        ]


def test_a_tuning_in_a_server_is_that_in_a_file(server: PostgresServer, url: str, tmp_path: Path) -> None:
    words = ("--arch", write_tiny(tmp_path), "--tune", "--trials", 4, "--seeds", 2, "--jobs", 1, *SHORT)
    assert run(*words, "--store", url, "--results", tmp_path / "server") == 0
    assert run(*words, "--results", tmp_path / "file") == 0
    assert len(trials(tmp_path / "server")) == 4
    assert trials(tmp_path / "server") == trials(tmp_path / "file")
    on_server, in_file = (
        sorted((row["role"], row["recipe"], row["seed"], row["weights_hash"]) for row in rows(tmp_path / name))
        for name in ("server", "file")
    )
    assert on_server == in_file
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    names = {name for (name,) in server.execute(tables, database=url.rsplit("/", 1)[1])}
    assert {"bench_runs", "bench_schema_version", "trials", "studies", "alembic_version"} <= names
    server.restart()
    before = sorted(rows(tmp_path / "server"), key=str)
    assert run(*words, "--store", url, "--results", tmp_path / "server") == 0
    assert sorted(rows(tmp_path / "server"), key=str) == before, "nothing is trained twice"
    assert run("--merge", tmp_path / "file", "--store", url, "--results", tmp_path / "server", "--quiet") == 0
    assert len(trials(tmp_path / "server")) == 4


def test_reports_and_exports_read_a_server_and_a_merge_fills_it(url: str, tmp_path: Path) -> None:
    path, here = write_tiny(tmp_path), tmp_path / "here"
    assert run("--arch", path, "--seeds", 1, "--jobs", 1, "--results", tmp_path / "file", *SHORT) == 0
    assert run("--merge", tmp_path / "file", "--store", url, "--results", here, "--quiet") == 0
    assert rows(here) == rows(tmp_path / "file")
    assert run("--arch", path, "--seeds", 2, "--jobs", 1, "--store", url, "--results", here, *SHORT) == 0
    trained = rows(here)
    assert [row["seed"] for row in trained] == ["0", "1"]
    assert trained[:1] == rows(tmp_path / "file")
    (here / "runs.csv").unlink()
    assert run("--report", "--store", url, "--results", here, "--quiet") == 0
    assert rows(here) == trained
    assert run("--export", "csv", "--store", url, "--results", here, "--quiet") == 0
    with (here / "export.csv").open(newline="") as stream:
        assert [row["run_id"] for row in csv.DictReader(stream)] == [row["run_id"] for row in trained]
    assert run("--prune", "--store", url, "--results", here, "--quiet") == 0


def test_a_server_that_is_not_there_is_one_line_and_exit_code_2(
    tmp_path: Path, server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = server.url("postgres", password="planted")  # noqa: S106
    assert run("--report", "--store", wrong, "--results", tmp_path) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "password authentication failed" in said
    assert "planted" not in said
