"""Merging results directories: what becomes of studies and timings, and the line that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.store.store import open_store
from bench.studies.stored.merge import Merged
from tests.bench.store.examples import make_timing, store_url
from tests.bench.store.merging import FIRST, SECOND, add, do, dump, plan
from tests.factories import make_request

if TYPE_CHECKING:
    from pathlib import Path


def test_of_two_cohorts_here_s_stays_compared_and_theirs_is_kept(here: Path, other: Path) -> None:
    edited = [make_request(seed, architecture_hash="edited") for seed in range(2)]
    for folder, requests in ((here, [FIRST]), (other, edited)):
        for request in (*requests, make_request(0, name="beta" if folder == here else "gamma")):
            add(folder, request)
            plan(folder, request)
    add(other, SECOND)  # HERE's cohort, which the other no longer compares
    plan(other, SECOND)
    plan(other, *edited)
    do(other, here)
    with open_store(store_url(here)) as store:
        study = store.studies.load("main")
    found = sorted((record.architecture, record.architecture_hash, record.seed) for record in study.records)
    alpha = [("alpha", "hash of alpha", 0), ("alpha", "hash of alpha", 1)]
    assert found == [*alpha, ("beta", "hash of beta", 0), ("gamma", "hash of gamma", 0)]
    assert study.superseded == 2


def test_the_study_that_is_shown_stays_the_one_that_is_shown(here: Path, other: Path, tmp_path: Path) -> None:
    plan(here, FIRST, name="old", command="mine")
    plan(here, FIRST, name="mine")
    for name in ("a", "b", "old"):
        plan(other, SECOND, name=name, command="theirs")
    do(other, here)
    with open_store(store_url(here)) as store:
        assert store.studies.names() == ["mine", "old", "b", "a"]
        assert store.studies.load("old").command == "mine"
    do(other, tmp_path / "empty")
    with open_store(store_url(tmp_path / "empty")) as store:
        assert store.studies.names() == ["old", "b", "a"]


def test_the_latest_timing_stays_here_s(here: Path, other: Path) -> None:
    with open_store(store_url(here)) as store:
        store.artifacts.add_timing(make_timing(measured_at="mine"))
    with open_store(store_url(other)) as store:
        for moment in ("1", "2"):
            store.artifacts.add_timing(make_timing(measured_at=moment))
            store.artifacts.add_timing(make_timing(measured_at=moment, machine="m2"))
    do(other, here)
    key = {"architecture_hash": "hash of alpha", "device": "cpu"}
    with open_store(store_url(here)) as store:
        found = [store.artifacts.timing(**key, machine=machine) for machine in ("m1", "m2")]
        store.artifacts.add_timing(make_timing(measured_at="later"))
        later = store.artifacts.timing(**key, machine="m1")
    assert [timing.measured_at for timing in (*found, later) if timing] == ["mine", "2", "later"]
    assert len(dump(here)["bench_timings"]) == 6


def test_the_line_that_is_said() -> None:
    assert str(Merged(merged=12, already=3)) == "12 runs merged, 3 were here already."
    assert str(Merged(merged=1, already=1)) == "1 run merged, 1 was here already."


@pytest.mark.parametrize(
    ("names", "into"),
    [
        (("main",), "study main"),
        (("a\nb", "main"), "studies a b and main"),
        (("a", "b", "c"), "studies a, b and c"),
        (("a", "b", "c", "d"), "studies a, b, c and 1 more"),
        (tuple(map(str, range(1_003))), "studies 0, 1, 2 and 1,000 more"),
    ],
)
def test_the_line_names_the_studies(names: tuple[str, ...], into: str) -> None:
    assert str(Merged(merged=10, already=0, studies=names)) == f"10 runs merged into {into}, 0 were here already."


def test_the_studies_of_the_other_are_named_the_last_planned_first(here: Path, other: Path) -> None:
    add(here, FIRST)
    plan(here, FIRST, name="ours")
    add(other, SECOND)
    for name in ("early", "late", "early"):
        plan(other, SECOND, name=name)
    assert do(other, here) == Merged(merged=1, already=0, studies=("early", "late"))
    with open_store(store_url(here)) as store:
        assert store.studies.names() == ["ours", "early", "late"]


def test_verdicts_shown_here_are_kept_before_their_table_grows(here: Path, other: Path) -> None:
    for folder, seeds in ((here, range(6)), (other, range(6, 8))):
        requests = [make_request(seed, name=name) for name in ("alpha", "beta") for seed in seeds]
        for request in requests:
            add(folder, request)
        plan(folder, *requests)
    do(other, here)
    with open_store(store_url(here)) as store:
        study = store.studies.load("main")
    assert len(study.records) == 16
    assert {(verdict.a, verdict.b) for verdict in study.shown} == {("alpha", "beta")}
    with open_store(store_url(here)) as store:
        store.studies.keep_shown("main", ())
    do(other, here)
    with open_store(store_url(here)) as store:
        assert store.studies.load("main").shown == (), "nothing came over: no table grew"
