"""Tables for programs and notebooks: the runs of a study and its verdicts, a row each, with a type a column."""

from __future__ import annotations

import dataclasses
import math
import operator
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from bench.analysis.over_datasets import find_over_datasets
from bench.analysis.stats.classwise import score_runs
from bench.analysis.stats.estimates import time_never_if_diverged
from bench.analysis.verdicts import SCOPE
from bench.core.recipe import Budget, Recipe, format_augmentation, without_own
from bench.core.records import RULE, TARGETS, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.analysis.conditions import Condition
    from bench.analysis.metrics import Metric
    from bench.analysis.verdicts import PairVerdict
    from bench.core.records import Study

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
    "torch_version", "engine_version", "engine", "checkpoint_bytes", "checkpoint_hash", "weights_hash", "initial_hash",
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
    scores = score_runs(study)

    def score(name: str) -> _RunColumn:
        return _RunColumn(lambda run: getattr(scores.get(run.run_id), name, None), _DTYPES[float])

    own = {
        "test_balanced_accuracy": score("balanced_accuracy"),
        "test_macro_f1": score("macro_f1"),
        "study": _RunColumn(lambda _: study.name),
        "role": _RunColumn(lambda run: study.roles.get(run.run_id, "compare")),
        "recipe": _RunColumn(lambda run: run.recipe_name),
        "budget": _RunColumn(lambda run: str(Budget(**run.budget))),
        "machine": _RunColumn(lambda run: run.environment.get("machine")),
        "engine": _RunColumn(lambda run: run.engine),
    }
    times = {
        f"{unit}_to_{round(100 * target)}": _RunColumn(_time_reader(target, unit), _DTYPES[kind])
        for target in TARGETS
        for unit, kind in (("epochs", float), ("images", int), ("seconds", float))
    }
    types = _field_dtypes(RunRecord)
    declared = {name: _RunColumn(operator.attrgetter(name), types[name]) for name in types} | own | times
    names = dict.fromkeys([*PROMISED, "test_balanced_accuracy", "test_macro_f1", "budget", *times, *_ALSO])
    return {name: declared[name] for name in names}


def _export_columns(study: Study) -> dict[str, _RunColumn]:
    """The columns of `runs.csv`, then recipe, budget and environment, a column a field."""
    recipe = {f"recipe_{n}": _RunColumn(_reader("recipe", n), t) for n, t in _field_dtypes(Recipe).items()}
    recipe["recipe_augmentation"] = _RunColumn(_augmentation)
    budget = {f"budget_{n}": _RunColumn(_reader("budget", n), t) for n, t in _field_dtypes(Budget).items()}
    kinds = {"cpu": str, "cores": int, "commit": str, "dirty": bool, "kernels": str}
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


def run_rows(study: Study) -> tuple[list[str], list[dict[str, Value]]]:
    """Names of the columns of `runs.csv`, and a row a run; None where there is no finite number."""
    columns = _run_columns(study)
    return list(columns), [{name: _finite(of.read(run)) for name, of in columns.items()} for run in _ordered(study)]


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def runs_table(study: Study) -> pd.DataFrame:
    """The rows of `runs.csv` in its order, then recipe, budget and environment, a column a field."""
    columns, runs = _export_columns(study).items(), _ordered(study)
    return _frame({name: ([_finite(column.read(run)) for run in runs], column.dtype) for name, column in columns})


_VerdictReader: TypeAlias = "Callable[[PairVerdict, Metric, Condition], Value]"


def _scaled(name: str) -> _VerdictReader:
    """A value of the pair in the metric's unit: -0.02, not -0.019999999999999574."""

    def read(pair: PairVerdict, metric: Metric, _: Condition) -> Value:
        value = getattr(pair, name)
        return None if value is None else round(metric.scale * value, 10)

    return read


def _difference(pair: PairVerdict, metric: Metric, _: Condition) -> Value:
    return round(metric.scale * pair.differences.mean, 10) if pair.differences else None


def _p_sign_flips(pair: PairVerdict, _metric: Metric, _: Condition) -> Value:
    return pair.differences.p_flips if pair.differences and pair.p is not None else None


_VERDICT_COLUMNS: Mapping[str, tuple[type, _VerdictReader]] = {
    "dataset": (str, lambda _, __, condition: condition.records[0].dataset),
    "metric": (str, lambda _, metric, __: metric.name),
    "unit": (str, lambda _, metric, __: metric.unit),
    "a": (str, lambda pair, *_: pair.a),
    "b": (str, lambda pair, *_: pair.b),
    "n": (int, lambda pair, *_: pair.n),
    "difference": (float, _difference),
    "low": (float, _scaled("low")),
    "high": (float, _scaled("high")),
    "p_holm": (float, lambda pair, *_: pair.p_holm),
    "verdict": (str, lambda pair, *_: pair.verdict.value),
    "matters": (str, lambda pair, *_: {True: "yes", False: "no", None: None}[pair.matters]),
    "more_seeds": (int, lambda pair, *_: pair.more_seeds),
    "rule": (int, lambda *_: RULE),
    "scope": (str, lambda *_: SCOPE),
    "collapsed_a": (int, lambda pair, _, condition: len(condition.collapses[pair.a].collapsed)),
    "collapsed_b": (int, lambda pair, _, condition: len(condition.collapses[pair.b].collapsed)),
    "margin": (float, lambda _, metric, __: round(metric.scale * metric.margin, 10)),
    "left_out": (int, lambda pair, *_: len(pair.left_out)),
    "confidence": (float, lambda pair, *_: pair.confidence),
    "p": (float, lambda pair, *_: pair.p),
    "p_sign_flips": (float, _p_sign_flips),
    "p_equivalent_holm": (float, lambda pair, *_: pair.p_equivalent),
    "more_find": (float, _scaled("more_find")),
    "detectable": (float, _scaled("detectable")),
    "recipe": (str, lambda _, __, condition: without_own(condition.records[0].recipe_name)),
    "budget": (str, lambda _, __, condition: condition.budgets),
    "device": (str, lambda _, __, condition: condition.records[0].device),
    "engine": (str, lambda _, __, condition: condition.records[0].engine),
}


def verdict_rows(conditions: Sequence[Condition]) -> list[dict[str, Value]]:
    """One row a pair, metric and condition, then one a pair over datasets where these are enough.

    `difference` is a − b in `unit`; over datasets, which are called `all`, n counts these.
    """
    return [*_rows_by_condition(conditions), *_rows_over_datasets(conditions)]


def _rows_by_condition(conditions: Sequence[Condition]) -> list[dict[str, Value]]:
    return [
        {name: read(pair, comparison.metric, condition) for name, (_, read) in _VERDICT_COLUMNS.items()}
        for condition in conditions
        for comparison in (condition.accuracy, condition.epochs_to_95)
        if comparison.metric.unit != "epochs" or (condition.budget and condition.budget.epochs is not None)
        for pair in comparison.pairs
    ]


def _rows_over_datasets(conditions: Sequence[Condition]) -> Iterator[dict[str, Value]]:
    for over in find_over_datasets(conditions):
        for pair in over.pairs:
            known: dict[str, Value] = {
                "dataset": "all",
                "metric": over.metric.name,
                "unit": over.metric.unit,
                "a": pair.a,
                "b": pair.b,
                "n": len(over.conditions),
                "difference": round(over.metric.scale * pair.difference, 10),
                "p_holm": pair.p_holm,
                "verdict": {pair.a: "a better", pair.b: "b better"}.get(pair.better, "undecided"),
                "rule": RULE,
                "scope": "these datasets",
                "recipe": without_own(over.conditions[0].records[0].recipe_name),
                "device": over.conditions[0].records[0].device,
                "engine": over.conditions[0].records[0].engine,
            }
            yield dict.fromkeys(_VERDICT_COLUMNS) | known


def verdicts_table(conditions: Sequence[Condition]) -> pd.DataFrame:
    """The rows of `verdicts.csv`, with a type a column; no row where there is no pair."""
    rows = verdict_rows(conditions)
    return _frame({name: ([row[name] for row in rows], _DTYPES[kind]) for name, (kind, _) in _VERDICT_COLUMNS.items()})


def _frame(columns: Mapping[str, tuple[list[Value], str]]) -> pd.DataFrame:
    """A table of columns, each of its own type."""
    return pd.DataFrame({name: pd.array(values, dtype=dtype) for name, (values, dtype) in columns.items()})  # type: ignore[call-overload]
