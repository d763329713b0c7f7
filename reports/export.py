"""The runs of a study as a typed table for other programs: `export.csv`, `export.json` or `export.parquet`."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import io
import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import StoreError, UsageError
from bench.files import write_atomically
from bench.recipe import Budget, Recipe, format_augmentation
from bench.records import RunRecord
from reports.tables import run_rows, runs_csv

if TYPE_CHECKING:
    from pathlib import Path

    from bench.records import Study

_ENVIRONMENT = {"cpu": "string", "cores": "Int64", "commit": "string", "dirty": "boolean"}
"""What of the environment is exported, beside the machine and the version of torch, which `runs.csv` has."""

_TYPES = {"str": "string", "int": "Int64", "float": "Float64", "bool": "boolean"}
"""pandas' types that know a missing value, by annotation."""


def write_export(study: Study, results: Path, kind: str) -> Path:
    """Write every run of a study, one row a run, numbers as numbers; what was never reached is null or empty.

    Args:
        study: What the store holds.
        results: The results directory.
        kind: "csv", "json" (a list of objects) or "parquet".

    Returns:
        The file.

    Raises:
        UsageError: Parquet needs a package that is not installed.
        StoreError: The directory cannot be written.
    """
    if kind == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError("--export parquet needs the package 'pyarrow', which is not installed; pip install pyarrow.")
    content = _CONTENTS[kind](export_table(study))
    path = results / f"export.{kind}"
    try:
        write_atomically(path, content)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StoreError(f"'{path}' cannot be written ({reason}). Choose another --results.") from error
    return path


def export_table(study: Study) -> pd.DataFrame:
    """The rows of `runs.csv` in its order, then recipe, budget and environment, a column a field."""
    records = {record.run_id: record for record in study.records}
    rows = [row | _details(records[str(row["run_id"])]) for row in run_rows(study)]
    types = _column_types(next(csv.reader(io.StringIO(runs_csv(study)))))
    columns = {name: [row[name] for row in rows] for name in types}
    return pd.DataFrame({name: pd.array(values, dtype=types[name]) for name, values in columns.items()})  # type: ignore[call-overload]


def _details(record: RunRecord) -> dict[str, Any]:
    recipe = {f"recipe_{field.name}": record.recipe.get(field.name) for field in dataclasses.fields(Recipe)}
    pairs = tuple((name, strength) for name, strength in record.recipe.get("augmentation", ()))
    budget = {f"budget_{field.name}": record.budget.get(field.name) for field in dataclasses.fields(Budget)}
    environment = {name: record.environment.get(name) for name in _ENVIRONMENT}
    return recipe | {"recipe_augmentation": format_augmentation(pairs)} | budget | environment


def _column_types(names: list[str]) -> dict[str, str]:
    """The type of each column, in order: those of `runs.csv` first."""
    declared = {field.name: _type(field) for field in dataclasses.fields(RunRecord)}
    recipe = {f"recipe_{field.name}": _type(field) for field in dataclasses.fields(Recipe)}
    budget = {f"budget_{field.name}": _type(field) for field in dataclasses.fields(Budget)}
    return {name: _time_type(name) or declared.get(name, "string") for name in names} | recipe | budget | _ENVIRONMENT


def _time_type(name: str) -> str:
    """Type of a column like `epochs_to_95`; empty for any other."""
    unit, found, _ = name.partition("_to_")
    return {"images": "Int64", "epochs": "Float64", "seconds": "Float64"}.get(unit, "") if found else ""


def _type(field: dataclasses.Field[Any]) -> str:
    return _TYPES.get(str(field.type).removesuffix(" | None"), "string")


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _json(table: pd.DataFrame) -> bytes:
    """By Python's own writer: pandas' rounds floats to 15 digits."""
    rows = table.astype(object).where(table.notna(), None).to_dict(orient="records")
    return (json.dumps(rows, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _parquet(table: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    table.to_parquet(content, engine="pyarrow", index=False)
    return content.getvalue()


_CONTENTS = {"csv": _csv, "json": _json, "parquet": _parquet}
