"""Tables for programs: `runs.csv`, `verdicts.csv`, `tuning.csv`, and the typed export of runs."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import io
import json
import math
import operator
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from bench.analysis.stats.estimates import time_never_if_diverged
from bench.analysis.verdicts import SCOPE
from bench.core.errors import StoreError, UsageError, reason
from bench.core.recipe import Budget, Recipe, format_augmentation
from bench.core.records import RULE, TARGETS, RunRecord
from bench.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.analysis.conditions import Condition
    from bench.analysis.metrics import Metric
    from bench.analysis.verdicts import PairVerdict
    from bench.core.records import Study
    from bench.core.tuning import Trial, Tuning

Value: TypeAlias = str | int | float | None

PROMISED = (
    "run_id", "study", "role", "protocol", "architecture", "architecture_hash", "recipe", "dataset", "seed", "status",
    "params", "macs", "epochs", "test_accuracy", "val_accuracy", "epochs_to_95", "train_seconds",
    "train_images_per_second", "device",
)  # fmt: skip
"""Columns of `runs.csv` that scripts may rely on; they come first."""

_ALSO = (
    "train_accuracy", "train_loss", "val_loss", "test_loss", "test_looks", "epoch_kept", "steps", "evaluation_seconds",
    "wall_seconds", "machine", "threads", "jobs", "layout", "split_seed", "attempt", "cohort", "data_hash",
    "torch_version", "engine_version", "checkpoint_bytes", "checkpoint_hash", "weights_hash", "initial_hash",
    "started_at", "finished_at", "error",
)  # fmt: skip

_DTYPES = {str: "string", int: "Int64", float: "Float64", bool: "boolean"}
"""pandas' types that know a missing value."""


@dataclasses.dataclass(frozen=True)
class _RunColumn:
    """A column of the table of runs: how a run's value in it is found, and its type in the export."""

    read: Callable[[RunRecord], Value]
    dtype: str = "string"


def _run_columns(study: Study) -> dict[str, _RunColumn]:
    """The columns of `runs.csv` by name, in order."""
    own = {
        "study": _RunColumn(lambda _: study.name),
        "role": _RunColumn(lambda run: study.roles.get(run.run_id, "compare")),
        "recipe": _RunColumn(lambda run: run.recipe_name),
        "budget": _RunColumn(lambda run: str(Budget(**run.budget))),
        "machine": _RunColumn(lambda run: run.environment.get("machine")),
    }
    times = {
        f"{unit}_to_{round(100 * target)}": _RunColumn(_time_reader(target, unit), _DTYPES[kind])
        for target in TARGETS
        for unit, kind in (("epochs", float), ("images", int), ("seconds", float))
    }
    types = _field_dtypes(RunRecord)
    declared = {name: _RunColumn(operator.attrgetter(name), types[name]) for name in types} | own | times
    names = dict.fromkeys([*PROMISED, "budget", *times, *_ALSO])
    return {name: declared[name] for name in names}


def _export_columns(study: Study) -> dict[str, _RunColumn]:
    """The columns of `runs.csv`, then recipe, budget and environment, a column a field."""
    recipe = {f"recipe_{n}": _RunColumn(_reader("recipe", n), t) for n, t in _field_dtypes(Recipe).items()}
    recipe["recipe_augmentation"] = _RunColumn(_augmentation)
    budget = {f"budget_{n}": _RunColumn(_reader("budget", n), t) for n, t in _field_dtypes(Budget).items()}
    kinds = {"cpu": str, "cores": int, "commit": str, "dirty": bool}
    environment = {name: _RunColumn(_reader("environment", name), _DTYPES[kind]) for name, kind in kinds.items()}
    return _run_columns(study) | recipe | budget | environment


def _field_dtypes(noun: type) -> dict[str, str]:
    """The type of each field of a dataclass by its annotation; text where that is neither number nor yes or no."""
    hints = typing.get_type_hints(noun, localns={"Mapping": Mapping})
    kinds = {name: {hint, *typing.get_args(hint)} & _DTYPES.keys() for name, hint in hints.items()}
    return {name: _DTYPES[kind.pop()] if kind else "string" for name, kind in kinds.items()}


def _reader(mapping: str, name: str) -> Callable[[RunRecord], Value]:
    return lambda run: getattr(run, mapping).get(name)


def _time_reader(target: float, unit: str) -> Callable[[RunRecord], Value]:
    return lambda run: getattr(time_never_if_diverged(run, target), unit)


def _augmentation(run: RunRecord) -> str:
    return format_augmentation(tuple((name, strength) for name, strength in run.recipe.get("augmentation", ())))


def _ordered(study: Study) -> list[RunRecord]:
    """Every run, whatever its role and status, by architecture, seed and id."""
    return sorted(study.records, key=lambda record: (record.architecture, record.seed, record.run_id))


def runs_csv(study: Study) -> str:
    """One row a run as CSV with a header: what was never reached, never measured or is no finite number is empty.

    Accuracies are fractions.
    """
    columns = _run_columns(study)
    rows = [{name: _finite(column.read(run)) for name, column in columns.items()} for run in _ordered(study)]
    return _csv(list(columns), rows)


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def export_table(study: Study) -> pd.DataFrame:
    """The rows of `runs.csv` in its order, then recipe, budget and environment, a column a field."""
    columns, runs = _export_columns(study).items(), _ordered(study)
    cells = {name: ([_finite(column.read(run)) for run in runs], column.dtype) for name, column in columns}
    return pd.DataFrame({name: pd.array(values, dtype=dtype) for name, (values, dtype) in cells.items()})  # type: ignore[call-overload]


def verdicts_csv(conditions: Sequence[Condition]) -> str:
    """One row a pair, metric and condition; empty when there is no pair. `difference` is a − b in `unit`."""
    rows = [
        _verdict_row(pair, comparison.metric, condition)
        for condition in conditions
        for comparison in (condition.accuracy, condition.epochs_to_95)
        if comparison.metric.unit != "epochs" or (condition.budget and condition.budget.epochs is not None)
        for pair in comparison.pairs
    ]
    return _csv(list(rows[0]), rows) if rows else ""


def _verdict_row(pair: PairVerdict, metric: Metric, condition: Condition) -> dict[str, Value]:
    found, record = pair.differences, condition.records[0]

    def scaled(value: float | None) -> float | None:
        return None if value is None else round(metric.scale * value, 10)  # -0.02, not -0.019999999999999574

    return {
        "dataset": record.dataset,
        "metric": metric.name,
        "unit": metric.unit,
        "a": pair.a,
        "b": pair.b,
        "n": pair.n,
        "difference": scaled(found.mean) if found else None,
        "low": scaled(pair.low),
        "high": scaled(pair.high),
        "p_holm": pair.p_holm,
        "verdict": pair.verdict.value,
        "matters": {True: "yes", False: "no", None: None}[pair.matters],
        "more_seeds": pair.more_seeds,
        "rule": RULE,
        "scope": SCOPE,
        "collapsed_a": len(condition.collapses[pair.a].collapsed),
        "collapsed_b": len(condition.collapses[pair.b].collapsed),
        "margin": scaled(metric.margin),
        "left_out": len(pair.left_out),
        "confidence": pair.confidence,
        "p": pair.p,
        "p_sign_flips": found.p_flips if found and pair.p is not None else None,
        "p_equivalent_holm": pair.p_equivalent,
        "more_find": scaled(pair.more_find),
        "detectable": scaled(pair.detectable),
        "recipe": record.recipe_name,
        "budget": condition.budgets,
        "device": record.device,
    }


def tuning_csv(study: Study) -> str:
    """One row a trial, with a column for each hyperparameter that any tuning searched; empty when there is no trial.

    `value` is the mean validation accuracy over the trial's seeds, a fraction; empty for a failed trial.
    """
    tunings = sorted(study.tunings, key=lambda t: (t.architecture, t.dataset, t.architecture_hash, t.name))
    there = {name for tuning in tunings for name in tuning.objectives}
    objectives = [name for name in ("macs", "latency") if name in there]
    trials = [(trial, *_trial_columns(trial, tuning, objectives)) for tuning in tunings for trial in tuning.trials]
    if not trials:
        return ""
    _, first, last = trials[0]
    searched = sorted({name for trial, _, _ in trials for name in trial.settings})
    settings = {name: f"setting_{name}" if name in first | last else name for name in searched}
    rows = [
        first | {settings[name]: _plain(value) for name, value in trial.settings.items()} | last
        for trial, first, last in trials
    ]
    return _csv([*first, *settings.values(), *last], rows)


def _trial_columns(
    trial: Trial, tuning: Tuning, objectives: Sequence[str]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The columns before and behind the hyperparameters; `objectives` are those of any tuning beside accuracy."""
    reached = dict(zip(tuning.objectives, trial.values, strict=False))  # a failed trial has no values
    first: dict[str, Value] = {
        "architecture": tuning.architecture,
        "trial": trial.number,
        "state": trial.state,
        "value": trial.values[0] if trial.values else None,
        "epochs": trial.epochs,
        "images": trial.images,
    }
    last: dict[str, Value] = {
        "dataset": tuning.dataset,
        "seeds": " ".join(map(str, tuning.seeds)),
        "trained": trial.architecture,
        "winner": "yes" if trial.number in {winner.number for winner in tuning.winners} else None,
        "repeats": trial.repeats,
        "recipe": json.dumps(dict(trial.recipe), sort_keys=True),
        "reason": trial.reason,
    }
    columns = {"macs": "macs", "latency": "latency_seconds"}
    return first, last | {columns[name]: reached.get(name) for name in objectives}


def _plain(value: Any) -> Value:
    """A setting as it is, or as JSON where it is no text or number."""
    simple = isinstance(value, str | int | float) and not isinstance(value, bool)
    return value if simple else json.dumps(value)


def _csv(columns: Sequence[str], rows: Sequence[dict[str, Value]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_export(study: Study, results: Path, kind: str) -> Path:
    """Write every run of a study, one row a run, numbers as numbers; what was never reached is null or empty.

    The kind is "csv", "json" (a list of objects) or "parquet".

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
        raise StoreError(f"'{path}' cannot be written ({reason(error)}). Choose another --results.") from error
    return path


def _typed_csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def _json(table: pd.DataFrame) -> bytes:
    """By Python's own writer: pandas' rounds floats to 15 digits."""
    rows = table.astype(object).where(table.notna(), None).to_dict(orient="records")
    return (json.dumps(rows, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _parquet(table: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    table.to_parquet(content, engine="pyarrow", index=False)
    return content.getvalue()


_CONTENTS = {"csv": _typed_csv, "json": _json, "parquet": _parquet}
