"""What the doctor found is kept with a study: replaced when a net is examined again, merged, forgotten with its net."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from bench.core.metadata import CHECKS, Diagnosis, Finding
from bench.store.store import open_store
from bench.studies.stored.merge import merge
from tests.bench.store.examples import store_url
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from pathlib import Path

LEAK = Finding(level="error", check="leak", layer="norm", message="images leak: 12 %", place="net.py:3")
BIAS = Finding(level="advice", check="bias-before-norm", message="a “bias”")


def found(name: str, *findings: Finding, data_hash: str = "data-1") -> Diagnosis:
    return Diagnosis(architecture=name, dataset="mnist5k", data_hash=data_hash, findings=findings, seconds=0.25)


def test_diagnoses_come_back_as_they_were_and_the_last_one_counts(tmp_path: Path) -> None:
    with open_store(store_url(tmp_path)) as store:
        store.studies.add_diagnoses("night", [found("b", LEAK, BIAS), found("a")], command="python runner.py --all")
        study = store.studies.load("night")
        assert (study.command, study.records) == ("python runner.py --all", ())
        assert study.diagnoses == (found("a"), found("b", LEAK, BIAS))
        assert [error.check for error in study.diagnoses[1].errors] == ["leak"]
        assert study.diagnoses[1].advice == (BIAS,)
        store.studies.add_diagnoses("night", [found("b", BIAS), found("b", data_hash="data-2")], command="again")
        assert store.studies.load("night").diagnoses == (found("a"), found("b", BIAS), found("b", data_hash="data-2"))
        assert store.studies.last() == "night"
        assert store.studies.load("night").command == "again"
        store.studies.add_diagnoses("night", [dataclasses.replace(found("a"), seconds=9.0)], command="not written")
        assert store.studies.load("night").command == "again"


def test_they_are_merged_and_forgotten_with_their_net(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for place, net in ((here, found("alpha")), (there, found("beta", LEAK))):
        with open_store(store_url(place)) as store:
            store.studies.plan("night", command="", requests=[make_request()], role="compare")
            store.runs.add(record_of(make_request()))
            store.studies.add_diagnoses("night", [net], command="")
    merge(there, results=here, store_url=store_url(here))
    with open_store(store_url(here)) as store:
        assert store.studies.load("night").diagnoses == (found("alpha"), found("beta", LEAK))
        store.studies.forget("night", ["beta"])
        assert store.studies.load("night").diagnoses == (found("alpha"),)


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_says_what_holds_of_a_net(check: str) -> None:
    assert check == check.lower()
    assert CHECKS[check][0].islower() or CHECKS[check].startswith("n ")
