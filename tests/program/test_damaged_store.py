"""Bytes of a store change: one line says so, what is left can be saved, and no number is shown that was not stored."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bench.core.errors import UnreadableError
from bench.store.codec import dump_json, load_json
from tests.front_door import SHORT, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("blank_figures")

PAGE = 4096


def damage(content: bytes, number: int) -> bytes:
    """One of 40 ways to damage a database, each drawn from its own seed."""
    chance, changed = random.Random(number), bytearray(content)  # noqa: S311 - damage, no secret
    page = PAGE * chance.randrange(1, len(content) // PAGE)
    kind = number % 8
    if kind == 0:
        return content[: chance.randrange(len(content))]
    if kind == 1:
        return content[:page] + chance.randbytes(PAGE) + content[page + PAGE :]
    if kind == 2:  # where a page keeps what
        return content[:page] + chance.randbytes(12) + content[page + 12 :]
    count, first, last = {
        3: (3, 0, 100),  # the header
        4: (5, 100, PAGE),  # what the tables are called and hold
        5: (8, page, page + PAGE),
        6: (20, 0, len(content)),
        7: (200, 0, len(content)),
    }[kind]
    for _ in range(count):
        changed[chance.randrange(first, last)] = chance.randrange(256)
    return bytes(changed)


def read(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open(newline="") as stream:
        return {(row["architecture"], row["seed"]): row for row in csv.DictReader(stream)}


OF_PREDICTIONS = ("test_balanced_accuracy", "test_macro_f1")
"""Columns that are empty where a run's predictions are damaged, though its row is sound."""


def assert_one_line(code: int, said: str) -> None:
    assert code in (0, 2)
    assert len(said.strip().splitlines()) == (code == 2)
    assert "Traceback" not in said
    if code == 2:
        assert re.search("damaged|not a database|no results|newer version", said), said


@pytest.mark.parametrize("number", range(40))
def test_a_report_of_a_damaged_store_shows_what_was_stored_or_nothing(
    number: int, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = read(study / "r" / "runs.csv")
    (tmp_path / "bench.db").write_bytes(damage((study / "r" / "bench.db").read_bytes(), number))
    words, file = (("--export", "csv"), "export.csv") if number % 3 else (("--report",), "runs.csv")
    code = run(*words, "--results", tmp_path)
    assert_one_line(code, capsys.readouterr().err)
    shown = read(tmp_path / file) if (tmp_path / file).exists() else {}
    assert code == 2 or len(shown) == 4
    for key, row in shown.items():
        changed = {name for name, value in right[key].items() if row[name] != value} - {"study", "role"}
        changed -= {name for name in OF_PREDICTIONS if not row[name]}
        assert changed == set(), "as it was, or not at all"


def test_what_is_left_is_said_and_saved(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, file = read(results / "runs.csv"), results / "bench.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE bench_runs SET test_accuracy = 0.999 WHERE architecture = 'tiny' AND seed = 1")
    changed = right["tiny", "1"]["run_id"]
    for words in (("--report",), ("--export", "csv")):
        assert run(*words, "--results", results) == 2
        said = capsys.readouterr()
        assert said.err == (
            f"runner.py: Store {file} is damaged (run '{changed}' was changed); 3 runs of 4 can still be read: save "
            "them with --export csv, then choose another directory with --results.\n"
        )
    assert said.out == f"Export: {results / 'export.csv'}\n"
    saved = read(results / "export.csv")
    assert set(saved) == set(right) - {("tiny", "1")}
    assert all(row["test_accuracy"] == right[key]["test_accuracy"] for key, row in saved.items())


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("UPDATE bench_predictions SET arrays = X'00'", "test predictions cannot be read"),
        ("UPDATE bench_curves SET points = X'00'", "a learning curve cannot be read"),
        ("UPDATE bench_datasets SET facts = replace(facts, '4000', '4001')", "changed JSON"),
        ("UPDATE bench_architectures SET facts = replace(facts, '21840', '21841')", "changed JSON"),
        ("UPDATE bench_studies SET settings = '{'", "changed JSON"),
        ("UPDATE bench_runs SET epochs = 'one'", "a number cannot be read"),
        ("UPDATE bench_runs SET seed = X'00'", "cannot be read"),
        ("UPDATE bench_runs SET seed = seed + 1 WHERE seed = 1", "was changed"),
        ("UPDATE bench_study_requests SET role = 'cOmpare'", "cannot be read"),
        ("DELETE FROM bench_architectures", "what was counted of an architecture is missing"),
        ("DELETE FROM bench_datasets", "what is known of a dataset is missing"),
        ("ALTER TABLE bench_gates RENAME TO other", "no such table"),
        ("DROP TABLE bench_schema_version", "it has no table 'bench_schema_version'"),
        ("UPDATE bench_schema_version SET version_num = '0003'", "its tables are not those of its version"),
    ],
)
def test_every_kind_of_what_is_stored_is_found_damaged(
    change: str, what: str, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(results / "bench.db")) as database, database:
        database.execute(change)
    (results / "report.html").unlink()
    assert run("--report", "--results", results) == 2
    said = capsys.readouterr().err
    assert_one_line(2, said)
    assert what in said
    assert "can still be read" in said or ".recover" in said
    assert not (results / "report.html").exists()


def test_training_on_a_damaged_store_is_one_line(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(results / "bench.db")) as database, database:
        database.execute("UPDATE bench_runs SET val_accuracy = val_accuracy + 0.001")
    words = ("--arch", "lenet21k", "--jobs", 1, "--results", results, *SHORT)
    for more in (("--seeds", 2), ("--seeds", 3), ("--seeds", 2, "--plan")):
        assert run(*words, *more) == 2
        assert_one_line(2, capsys.readouterr().err)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 9, 14])
def test_a_damaged_directory_is_not_merged_nor_set_beside(
    number: int, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, before = tmp_path / "other", (results / "runs.csv").read_bytes()
    shutil.copytree(results, other)
    (other / "bench.db").write_bytes(damage((results / "bench.db").read_bytes(), number))
    for words in (("--report", "--compare", other), ("--merge", other)):
        code = run(*words, "--results", results)
        said = capsys.readouterr().err
        assert_one_line(code, said)
        assert code == 0 or "other" in said
    assert (results / "runs.csv").read_bytes() == before


def test_json_is_sealed_and_older_json_is_believed() -> None:
    value = {"a": 1.5, "b": [1, None, "ü"], "c": {}}
    text = dump_json(value)
    assert json.loads(text).keys() == {"a", "b", "c", "seal"}, "other programs can read it"
    assert load_json(text) == value
    assert load_json(dump_json({})) == {}
    assert load_json(dump_json([1, 2])) == [1, 2]
    assert load_json(json.dumps(value)) == value
    for changed in (text.replace("1.5", "1.6"), text.replace('"a"', '"d"'), text[:-2], text + "}", text[1:]):
        with pytest.raises(UnreadableError):
            load_json(changed)
