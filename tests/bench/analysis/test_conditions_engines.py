"""Runs of two engines never stand in one table, and tables that differ in it say so."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from bench.analysis.conditions import find_conditions
from bench.analysis.frames import run_rows, verdict_rows
from bench.analysis.winners import place_of
from tests.factories import make_run, study_of

if TYPE_CHECKING:
    from bench.core.records import RunRecord


def run(net: str, seed: int, engine: str) -> RunRecord:
    record, _ = make_run(net, seed=seed)
    known = {"engine": engine} if engine == "lanes" else {}  # older versions did not say it
    return dataclasses.replace(
        record, run_id=f"{net}-{seed}-{engine}", environment={**record.environment, "machine": "m", **known}
    )


def test_runs_of_two_engines_stand_in_two_tables_that_are_told_apart() -> None:
    runs = [run(net, seed, engine) for net in ("bn25k", "fc3136") for seed in range(6) for engine in ("torch", "lanes")]
    study = study_of(*((record, ()) for record in runs))
    conditions = find_conditions(study)
    assert sorted(condition.title for condition in conditions) == [
        "mnist, shared recipe, 3 epochs, cpu, lanes engine",
        "mnist, shared recipe, 3 epochs, cpu, torch engine",
    ]
    for condition in conditions:
        assert {record.engine for record in condition.records} == {condition.title.split()[-2]}
    assert len({condition.code for condition in conditions}) == 2
    assert {row["engine"] for row in verdict_rows(conditions)} == {"torch", "lanes"}
    assert sorted(str(row["engine"]) for row in run_rows(study)[1]) == ["lanes"] * 12 + ["torch"] * 12


def test_the_engine_is_named_only_where_there_are_two() -> None:
    for engine in ("torch", "lanes"):
        (condition,) = find_conditions(study_of(*((run("bn25k", seed, engine), ()) for seed in range(6))))
        assert condition.title == "mnist, shared recipe, 3 epochs, cpu"


def test_tuned_runs_are_not_paired_with_default_ones_of_the_other_engine() -> None:
    assert place_of(run("bn25k", 0, "torch")) != place_of(run("bn25k", 0, "lanes"))
