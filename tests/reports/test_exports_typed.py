"""Exports read back by other libraries, cell by cell against `runs.csv` of the same study."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.cli.parser import RUN_FORMATS
from bench.core.errors import StoreError, UsageError
from bench.core.recipe import Recipe
from reports.exports import runs_csv, write_export
from tests.factories import ENVIRONMENT, make_run, make_study, study_of

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.records import Study


@pytest.fixture
def study() -> Study:
    """Finished, failed and diverged runs; floats of 17 digits, text to be quoted, and a target never reached."""
    record, curve = make_run("bn25k", seed=9)
    odd = dataclasses.replace(
        record,
        run_id="odd",
        architecture='a,"b"\nc – σ',
        test_accuracy=0.1 + 0.2,
        train_seconds=1 / 3,
        macs=5_000_000_000,
        time_to_targets=(),
        val_loss=float("nan"),
        recipe=Recipe(augmentation=(("shift", 2.0), ("rotation", 15.0)), patience=4).to_json(),
        budget={"epochs": None, "seconds": 2.5},
        environment=ENVIRONMENT | {"machine": "m1", "cores": 2, "dirty": True, "commit": None},
    )
    base = make_study()
    kept = [(r, base.curves[r.run_id]) for r in base.records]
    return study_of(*kept, (odd, curve))


def read_back(path: Path) -> list[dict[str, Any]]:
    """Rows as another library reads them; a missing value is None."""
    if path.suffix == ".json":
        found: list[dict[str, Any]] = json.loads(path.read_text(), parse_constant=pytest.fail)
        return found
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    with path.open(newline="") as stream:
        return [{name: value or None for name, value in row.items()} for row in csv.DictReader(stream)]


def same(text: str, value: object) -> bool:
    """Whether a field of `runs.csv` and a value that was read back say the same, to the last bit."""
    if value is None or text == "":
        return text == (value or "")
    return text == value if isinstance(value, str) else float(text) == value


@pytest.mark.parametrize("kind", RUN_FORMATS)
def test_every_cell_of_runs_csv_comes_back(study: Study, tmp_path: Path, kind: str) -> None:
    path = write_export(study, tmp_path, kind)
    assert path == tmp_path / f"export.{kind}"
    expected = list(csv.DictReader(io.StringIO(runs_csv(study))))
    found = read_back(path)
    assert len(found) == len(expected) == len(study.records)
    for before, after in zip(expected, found, strict=True):
        assert list(after)[: len(before)] == list(before)
        if kind == "csv":
            after = {n: float(v) if v and before[n] != v else v for n, v in after.items() if n in before}  # noqa: PLW2901
        wrong = {name: (text, after[name]) for name, text in before.items() if not same(text, after[name])}
        assert wrong == {}


@pytest.mark.parametrize("kind", RUN_FORMATS)
def test_recipe_budget_and_environment_have_columns_of_their_own(study: Study, tmp_path: Path, kind: str) -> None:
    rows = {row["run_id"]: row for row in read_back(write_export(study, tmp_path, kind))}
    odd, plain = rows["odd"], rows["bn25k-3-0"]
    expected = {
        "recipe_optimizer": "adam",
        "recipe_lr": 0.006,
        "recipe_batch_size": 128,
        "recipe_nesterov": False,
        "recipe_augmentation": "shift:2,rotation:15",
        "recipe_patience": 4,
        "recipe_stop_at_accuracy": None,
        "budget_epochs": None,
        "budget_seconds": 2.5,
        "machine": "m1",
        "cpu": "Example CPU, 2 cores",
        "cores": 2,
        "commit": None,
        "dirty": True,
        "torch_version": "2.13.0+cpu",
    }
    as_kind = (lambda v: v if v is None else str(v)) if kind == "csv" else (lambda v: v)
    assert {name: odd[name] for name in expected} == {name: as_kind(value) for name, value in expected.items()}
    assert (plain["budget_epochs"], plain["cores"]) == (as_kind(3), None)


def test_parquet_knows_numbers_from_text(study: Study, tmp_path: Path) -> None:
    schema = pq.read_schema(write_export(study, tmp_path, "parquet"))
    types = {"macs": pa.int64(), "images_to_95": pa.int64(), "recipe_patience": pa.int64(), "budget_epochs": pa.int64()}
    types |= {"test_accuracy": pa.float64(), "epochs_to_95": pa.float64(), "recipe_lr": pa.float64()}
    types |= {"dirty": pa.bool_(), "recipe_nesterov": pa.bool_()}
    assert {name: schema.field(name).type for name in types} == types
    for name in ("run_id", "recipe", "budget", "started_at", "commit"):
        assert pa.types.is_string(schema.field(name).type) or pa.types.is_large_string(schema.field(name).type)


def test_json_values_have_their_types(study: Study, tmp_path: Path) -> None:
    odd = next(row for row in read_back(write_export(study, tmp_path, "json")) if row["run_id"] == "odd")
    names = ("macs", "test_accuracy", "dirty", "seed", "epochs_to_95", "val_loss", "finished_at")
    assert [type(odd[name]).__name__ for name in names] == [
        "int",
        "float",
        "bool",
        "int",
        "NoneType",
        "NoneType",
        "str",
    ]


def test_a_study_without_runs_has_its_columns(study: Study, tmp_path: Path) -> None:
    empty = dataclasses.replace(study, records=(), curves={}, roles={})
    columns = list(pd.read_csv(write_export(study, tmp_path, "csv")).columns)
    assert list(pd.read_csv(write_export(empty, tmp_path, "csv")).columns) == columns
    assert read_back(write_export(empty, tmp_path, "json")) == []
    assert pq.read_table(write_export(empty, tmp_path, "parquet")).column_names == columns


def test_without_pyarrow_one_line_says_what_to_install(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pyarrow" else pytest.fail(name))
    with pytest.raises(UsageError, match=r"^--export parquet needs .*; pip install pyarrow\.$"):
        write_export(study, tmp_path, "parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_line(study: Study, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"export\.csv' cannot be written .*Choose another --results"):
        write_export(study, tmp_path / "file", "csv")
