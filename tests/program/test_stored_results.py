"""What the front door does with stored results, without training: report, prune, export, merge."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.front_door import SHORT, rows, run, weights, write_tiny

if TYPE_CHECKING:
    from pathlib import Path


def test_report_is_free_and_byte_identical(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("report.html", "report.md", "runs.csv")
    before = [(results / name).read_bytes() for name in names]
    for name in names:
        (results / name).unlink()
    assert run("--report", "--results", results) == 0
    assert [(results / name).read_bytes() for name in names] == before
    assert "lenet21k" in capsys.readouterr().out


@pytest.mark.usefixtures("blank_figures")
def test_studies_are_kept_apart_and_the_last_one_is_shown(results: Path) -> None:
    assert run("--arch", "lenet21k", "--seeds", 1, "--jobs", 1, "--study", "b", "--results", results, *SHORT) == 0
    assert [(row["study"], row["seed"]) for row in rows(results)] == [("b", "0")]
    assert run("--report", "--results", results, "--study", "main") == 0
    assert len(rows(results)) == 4
    assert run("--report", "--results", results, "--study", "mian") == 2


@pytest.mark.usefixtures("blank_figures")
def test_prune_deletes_only_weights_that_nobody_compares(results: Path, tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path, hidden=9)
    assert run("--arch", tiny, "--seeds", 2, "--jobs", 1, "--results", results, *SHORT) == 0
    assert len(list((results / "checkpoints").iterdir())) == 6
    assert run("--prune", "--plan", "--results", results) == 0
    assert len(list((results / "checkpoints").iterdir())) == 6
    assert run("--prune", "--results", results) == 0
    kept = {path.stem for path in (results / "checkpoints").iterdir()}
    assert kept == {row["run_id"] for row in rows(results)}


def test_export_writes_what_runs_csv_says_with_types(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(results)
    for kind in ("csv", "json", "parquet"):
        assert run("--export", kind, "--results", results) == 0
        assert capsys.readouterr().out == f"Export: {results / f'export.{kind}'}\n"
    with (results / "export.json").open() as stream:
        found = json.load(stream)
    names = ("run_id", "weights_hash", "test_accuracy", "train_seconds", "params", "status")
    told = [[row[name] for name in names] for row in before]
    assert [[str(row[name]) for name in names] for row in found] == told
    assert all(row["recipe_optimizer"] == "adam" and row["budget_epochs"] == 1 for row in found)
    assert run("--export", "csv", "--results", results, "--study", "mian") == 2


@pytest.mark.usefixtures("blank_figures")
def test_two_directories_merged_are_what_one_would_have_been(
    study: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--arch", "lenet21k", "--jobs", 1, *SHORT)
    assert run(*words, "--seeds", "1,2", "--results", tmp_path / "other") == 0
    capsys.readouterr()
    assert run("--merge", tmp_path / "other", "--results", results) == 0
    assert "1 run merged into study main, 1 was here already." in capsys.readouterr().out
    expected = weights(study / "r") | weights(tmp_path / "other")
    assert weights(results) == expected
    assert len(expected) == 5
    assert {path.stem for path in (results / "checkpoints").iterdir()} == {row["run_id"] for row in rows(results)}
    before = (results / "bench.db").stat().st_mtime_ns
    assert run(*words, "--seeds", 3, "--results", results, "--plan") == 0, "nothing is left to train"
    assert (results / "bench.db").stat().st_mtime_ns == before
    with sqlite3.connect(tmp_path / "other" / "bench.db") as database:
        unsealed = "budget = json_remove(budget, '$.row_seal_1', '$.seal')"  # a row that was changed is damaged
        database.execute(f"UPDATE bench_runs SET weights_hash = 'planted', {unsealed} WHERE seed = 2")  # noqa: S608
    capsys.readouterr()
    assert run("--merge", tmp_path / "other", "--results", results) == 2
    said = capsys.readouterr().err
    assert said.startswith("runner.py: Contradiction, nothing is merged: lenet21k with seed 2")
    assert len(said.splitlines()) == 1


@pytest.mark.usefixtures("blank_figures")
def test_merging_into_an_empty_directory_and_from_nowhere(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--merge", study / "r", "--results", tmp_path / "new") == 0
    assert (tmp_path / "new" / "runs.csv").read_bytes() == (study / "r" / "runs.csv").read_bytes()
    assert "4 runs merged into study main, 0 were here already." in capsys.readouterr().out
    assert run("--merge", tmp_path / "nothing", "--results", tmp_path / "none") == 2
    assert "no bench.db in" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
