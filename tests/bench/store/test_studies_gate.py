"""How a check ended, through the store and from one store into another."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sqlite3
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bench.core.recipe import Budget, Recipe
from bench.core.run import RunRequest
from bench.core.work.gate import Floors, GateOutcome, Judgement
from bench.spec import Architecture
from bench.store.store import open_store
from bench.studies.stored.merge import merge
from tests.bench.studies.gate.examples import FRESH, NORMAL, make_measurement, make_reference, make_stage

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


def _build() -> nn.Module:
    raise AssertionError("the store never builds a net")


REQUEST = RunRequest(
    architecture=Architecture(name="bn25k", build=_build), architecture_hash="hash", recipe=Recipe(),
    budget=Budget(epochs=3), dataset="mnist5k", data_hash="da7a", protocol="validation", seed=20_000, split_seed=0,
    device="cpu", torch_version="2.13.0", engine_version=1,
)  # fmt: skip
REFERENCE = dataclasses.replace(
    make_reference(floors=Floors(accuracy=0.97)),
    history=(make_measurement(mean=1 / 3, allowed=2.5), make_measurement(commit="")),
)
OUTCOME = GateOutcome(
    file="gate/köpfe.toml",
    judgements=(
        Judgement(
            architecture="bn25k", passed=False, reason="fell", reference=REFERENCE, detail="Traceback:\n  two lines",
            stages=(make_stage(), make_stage(FRESH, 0.1 + 0.2)),
        ),
        Judgement(architecture="lost", passed=None, reason="the machine"),
        Judgement(
            architecture="ok", passed=True, reason="", stages=(make_stage(),),
            reference=make_reference("ok", accuracies=NORMAL, allowed=1.55),
        ),
    ),
    drop=0.002,
    dataset="mnist5k",
    trained="3 epochs, shared",
    notes=("one note", "another"),
)  # fmt: skip


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'bench.db'}"


def check(folder: Path, outcome: GateOutcome | None = None, *, name: str = "gate") -> None:
    """Plan a study and, where there is an outcome, store how its check ended."""
    folder.mkdir(exist_ok=True)
    with open_store(url(folder)) as store:
        store.studies.plan(name, command="check", requests=[REQUEST], role="gate")
        if outcome is not None:
            store.studies.add_gate(name, outcome)


def stored(folder: Path, name: str = "gate") -> GateOutcome | None:
    with open_store(url(folder)) as store:
        return store.studies.load(name).gate


def test_an_outcome_comes_back_whole(tmp_path: Path) -> None:
    check(tmp_path, OUTCOME)
    found = stored(tmp_path)
    assert found == OUTCOME
    assert found is not None
    assert found.judgements[0].stages[1].epochs_to_95[-1] == math.inf
    assert isinstance(found.judgements[0].stages[0].seeds, tuple)
    assert (found.passed, found.regressed) == (False, True)


def test_the_database_holds_plain_json_without_infinity(tmp_path: Path) -> None:
    check(tmp_path, OUTCOME)
    with contextlib.closing(sqlite3.connect(tmp_path / "bench.db")) as database:
        ((text,),) = database.execute("SELECT outcome FROM bench_gates").fetchall()
    assert "Infinity" not in text
    assert json.loads(text)["judgements"][0]["stages"][0]["epochs_to_95"] == [0.25, 0.25, None]


def test_a_study_that_was_never_checked_has_no_outcome(tmp_path: Path) -> None:
    check(tmp_path)
    assert stored(tmp_path) is None


def test_the_last_check_of_a_study_counts_and_studies_have_their_own(tmp_path: Path) -> None:
    later = dataclasses.replace(OUTCOME, judgements=OUTCOME.judgements[2:], notes=())
    check(tmp_path, OUTCOME)
    check(tmp_path, OUTCOME, name="other")
    check(tmp_path, later)
    assert stored(tmp_path) == later
    assert stored(tmp_path, "other") == OUTCOME
    with contextlib.closing(sqlite3.connect(tmp_path / "bench.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM bench_gates").fetchall() == [(2,)]


def test_an_outcome_of_no_study_is_a_bug_of_ours(tmp_path: Path) -> None:
    with open_store(url(tmp_path)) as store, pytest.raises(sa.exc.NoResultFound):
        store.studies.add_gate("nobody", OUTCOME)


def test_merging_brings_outcomes_of_studies_that_were_not_checked_here(tmp_path: Path) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    mine = dataclasses.replace(OUTCOME, file="mine.toml")
    check(here, mine, name="both")
    check(here, name="planned")
    theirs = dataclasses.replace(OUTCOME, notes=("theirs",))
    for name in ("new", "planned", "both"):
        check(other, theirs, name=name)
    check(other, name="unchecked")
    for _ in range(2):
        merge(other, results=here, store_url=url(here))
        assert [stored(here, name) for name in ("both", "planned", "new", "unchecked")] == [mine, theirs, theirs, None]
    assert stored(other, "both") == theirs
