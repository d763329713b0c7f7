"""`runs.csv` as CLI.md promises it, read back by another library."""

from __future__ import annotations

import dataclasses
import io

import pandas as pd

from reports.exports import runs_csv
from tests.factories import make_run, make_study, study_of

# Copied from CLI.md.
PROMISED = """
run_id, study, role, protocol, architecture, architecture_hash, recipe, dataset, seed, status, params, macs, epochs,
test_accuracy, val_accuracy, epochs_to_95, train_seconds, train_images_per_second, device
"""


def _read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def test_promised_columns_come_first_and_none_twice() -> None:
    header = runs_csv(make_study()).splitlines()[0].split(",")
    promised = PROMISED.replace(",", " ").split()
    assert header[: len(promised)] == promised
    assert len(header) == len(set(header))


def test_one_row_a_run_whatever_became_of_it() -> None:
    study = make_study()
    table = _read(runs_csv(study))
    assert sorted(table["run_id"]) == sorted(record.run_id for record in study.records)
    assert table["status"].value_counts().to_dict() == {"ok": 28, "failed": 1, "diverged": 1}
    failed = table[table["status"] == "failed"].iloc[0]
    assert failed["error"] == "RuntimeError: not enough memory for a batch of 128"
    assert failed["test_accuracy"] == ""


def test_the_machine_stands_beside_the_times_that_only_it_allows_to_compare() -> None:
    record, curve = make_run("fc3136", seed=0)
    named = dataclasses.replace(record, run_id="named", environment={**record.environment, "machine": "c0de"})
    rows = _read(runs_csv(study_of((record, curve), (named, curve)))).set_index("run_id")
    assert (rows.loc["named", "machine"], rows.loc["fc3136-3-0", "machine"]) == ("c0de", "")


def test_values_are_exact_and_whole_numbers_stay_whole() -> None:
    record, curve = make_run("fc3136", seed=0)
    record = dataclasses.replace(record, test_accuracy=0.1 + 0.2, train_seconds=1 / 3)
    row = _read(runs_csv(study_of((record, curve)))).iloc[0]
    assert float(row["test_accuracy"]) == 0.1 + 0.2
    assert float(row["train_seconds"]) == 1 / 3
    assert (row["params"], row["macs"], row["seed"], row["role"]) == ("421642", "4240000", "0", "compare")


def test_never_reached_and_not_finite_are_empty() -> None:
    record, curve = make_run("bn25k", seed=0)
    assert record.time_to(0.95).epochs < 1
    never = dataclasses.replace(record, run_id="never", time_to_targets=(), val_loss=float("nan"))
    diverged = dataclasses.replace(record, run_id="diverged", status="diverged")
    table = _read(runs_csv(study_of((record, curve), (never, ()), (diverged, ()))))
    rows = {str(row["run_id"]): row for row in table.to_dict("records")}
    assert float(rows["bn25k-3-0"]["epochs_to_95"]) == record.time_to(0.95).epochs
    assert {rows["never"][name] for name in ("epochs_to_95", "images_to_95", "seconds_to_95", "val_loss")} == {""}
    assert rows["diverged"]["epochs_to_95"] == ""


def test_foreign_text_stays_in_its_field() -> None:
    record, curve = make_run("bn25k", seed=0)
    name, error = 'a,"b"|c', "line one\nline two, with a comma"
    row = _read(runs_csv(study_of((dataclasses.replace(record, architecture=name, error=error), curve)))).iloc[0]
    assert (row["architecture"], row["error"]) == (name, error)
