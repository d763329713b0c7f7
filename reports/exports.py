"""Files for programs: `runs.csv`, `verdicts.csv`, `tuning.csv`, `doctor.csv`, `claims.csv`, and the typed export."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from typing import TYPE_CHECKING, Any

from bench.analysis.frames import run_rows, runs_table, verdict_rows
from bench.core.errors import StoreError, UsageError, reason
from bench.system.files import write_atomically
from reports.sections.claims.section import claimed_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pandas as pd

    from bench.analysis.conditions import Condition
    from bench.analysis.frames import Value
    from bench.core.metadata import Diagnosis
    from bench.core.records import Study
    from bench.core.work.claims.judged import JudgedClaim
    from bench.core.work.tuning import Trial, Tuning


def runs_csv(study: Study) -> str:
    """One row a run as CSV with a header: what was never reached, never measured or is no finite number is empty.

    Accuracies are fractions.
    """
    return _csv(*run_rows(study))


def verdicts_csv(conditions: Sequence[Condition]) -> str:
    """One row a pair, metric and condition; empty when there is no pair. `difference` is a − b in `unit`."""
    rows = verdict_rows(conditions)
    return _csv(list(rows[0]), rows) if rows else ""


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
    searched = sorted({name for trial, _, _ in trials for name in trial.hyperparameters})
    columns = {name: f"setting_{name}" if name in first | last else name for name in searched}
    rows = [
        first | {columns[name]: _plain(value) for name, value in trial.hyperparameters.items()} | last
        for trial, first, last in trials
    ]
    return _csv([*first, *columns.values(), *last], rows)


def doctor_csv(diagnoses: Iterable[Diagnosis], *, alone: bool = False) -> str:
    """One row a finding, errors of a net before its advice; empty when there is none, unless it is all that is said."""
    columns = ("architecture", "level", "check", "layer", "message", "place", "dataset")
    rows: list[dict[str, Value]] = [
        {"architecture": diagnosis.architecture, "dataset": diagnosis.dataset}
        | {name: getattr(finding, name) for name in columns[1:-1]}
        for diagnosis in diagnoses
        for finding in diagnosis.findings
    ]
    return _csv(columns, rows) if rows or alone else ""


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
    """The value of a hyperparameter as it is, or as JSON where it is no text or number."""
    simple = isinstance(value, str | int | float) and not isinstance(value, bool)
    return value if simple else json.dumps(value)


def claims_csv(judged: Sequence[JudgedClaim]) -> str:
    """One row a claim, or a part of one; empty when there is none. `of` is the claim that a part belongs to."""
    rows: list[dict[str, Value]] = [
        {
            "id": of.claim.id,
            "claim": of.claim.text,
            "claimed": claimed_text(of),
            "measured": of.measured,
            "n": of.n,
            "verdict": of.verdict,
            "why": of.why,
            "of": of.claim.group,
            "source": of.claim.source,
            "protocol": of.claim.protocol if of.claim.arms else None,
            "contradiction": of.claim.contradiction or None,
            "dataset": of.asked.dataset or None,
        }
        for of in judged
    ]
    return _csv(list(rows[0]), rows) if rows else ""


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
    content = _CONTENTS[kind](runs_table(study))
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
