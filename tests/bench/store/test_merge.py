"""Merging results directories: which runs come over, under which id, and which are refused."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from bench.core.errors import StoreError
from bench.store.store import open_store
from bench.studies.stored.merge import Merged
from tests.bench.store.examples import (
    make_architecture_metadata,
    make_curve,
    make_dataset_metadata,
    make_predictions,
    make_timing,
    store_url,
)
from tests.bench.store.merging import FIRST, SECOND, THIRD, add, do, dump, plan, statuses

if TYPE_CHECKING:
    from pathlib import Path


def test_everything_comes_over_to_the_bit_and_the_other_stays(here: Path, other: Path) -> None:
    records = [add(other, FIRST, weights=b"one"), add(other, SECOND, weights=b"two", test_loss=float("nan"))]
    plan(other, FIRST, SECOND, command="python runner.py --all")
    with open_store(store_url(other)) as store:
        store.artifacts.add_architecture(make_architecture_metadata())
        store.artifacts.add_dataset(make_dataset_metadata())
        store.artifacts.add_timing(make_timing())
        study = store.studies.load("main")
    before = dump(other)
    assert do(other, here) == Merged(merged=2, already=0, studies=("main",))
    assert dump(other) == before
    with open_store(store_url(here)) as store:
        found = store.studies.load("main")
        for record in records:
            assert repr(store.runs.find(record.run_id)) == repr(record)
            for split, count in (("test", 5), ("validation", 3)):
                arrays = store.runs.predictions(record.run_id, split)
                assert arrays.confidence.tobytes() == make_predictions(split, count).confidence.tobytes()
    assert repr(found) == repr(study)
    assert found.curves[FIRST.id] == make_curve()
    assert [(here / record.checkpoint).read_bytes() for record in records] == [b"one", b"two"]


def test_doing_it_twice_changes_nothing(here: Path, other: Path) -> None:
    add(here, FIRST, status="failed")
    plan(here, FIRST)
    for attempt, status in enumerate(("failed", "ok"), start=1):
        add(other, FIRST, attempt=attempt, status=status, error="their own")
    add(other, SECOND, status="diverged", test_loss=float("nan"), test_accuracy=None)
    plan(other, FIRST, SECOND)
    plan(other, SECOND, name="second")
    with open_store(store_url(other)) as store:
        store.artifacts.add_timing(make_timing())
    assert do(other, here) == Merged(merged=3, already=0, studies=("second", "main"))
    before = dump(here)
    assert do(other, here) == Merged(merged=0, already=3, studies=("second", "main"))
    assert dump(here) == before


def test_the_same_run_is_here_already_whatever_its_clock(here: Path, other: Path) -> None:
    mine = add(here, FIRST)
    add(other, FIRST, train_seconds=99.0)
    add(other, SECOND, status="failed", error="out of memory")
    add(here, SECOND, status="failed", error="out of memory")
    assert do(other, here) == Merged(merged=0, already=2)
    with open_store(store_url(here)) as store:
        assert store.runs.find(FIRST.id) == mine


@pytest.mark.parametrize(
    ("changes", "theirs"),
    [
        ({"weights_hash": "e" * 64}, "test accuracy 0.9893 (weights eeeeeeee)"),
        ({"test_accuracy": 0.5}, "test accuracy 0.5 (weights dddddddd)"),
        ({"test_loss": 0.25}, "test accuracy 0.9893 (weights dddddddd)"),
        ({"steps": 74}, "test accuracy 0.9893 (weights dddddddd)"),
        ({"status": "diverged", "error": "no longer\nfinite"}, "'diverged: no longer finite'"),
        ({"attempt": 2, "test_accuracy": 0.5}, "test accuracy 0.5 (weights dddddddd)"),
    ],
)
def test_a_contradiction_changes_nothing_and_names_both(
    here: Path, other: Path, changes: dict[str, Any], theirs: str
) -> None:
    add(here, SECOND)
    add(other, FIRST)
    add(other, SECOND, **changes)
    before = dump(here)
    with pytest.raises(StoreError) as refusal:
        do(other, here)
    said = str(refusal.value)
    assert "alpha with seed 1 ended here with test accuracy 0.9893 (weights dddddddd), there with " + theirs in said
    assert "empty directory (--results NEW)" in said
    assert "\n" not in said
    assert dump(here) == before


def test_a_repetition_that_the_other_made_of_a_shared_run_is_no_contradiction(here: Path, other: Path) -> None:
    add(here, FIRST, started_at="once")
    add(other, FIRST, started_at="once")
    add(other, FIRST, attempt=2, deterministic=False, test_accuracy=0.5)
    assert do(other, here) == Merged(merged=1, already=1)
    assert statuses(here) == {FIRST.id: "ok", f"{FIRST.id}-2": "ok"}


def test_what_is_not_settled_comes_as_a_further_attempt(here: Path, other: Path) -> None:
    add(here, FIRST, status="failed")
    add(here, FIRST, attempt=2, status="failed")
    add(other, FIRST, weights=b"theirs")
    add(here, SECOND)
    add(other, SECOND, status="failed", error="their own")
    add(here, THIRD, status="interrupted")
    add(other, THIRD)
    assert do(other, here) == Merged(merged=3, already=0)
    expected = {FIRST.id: "failed", f"{FIRST.id}-2": "failed", f"{FIRST.id}-3": "ok"}
    expected |= {SECOND.id: "ok", f"{SECOND.id}-2": "failed", THIRD.id: "interrupted", f"{THIRD.id}-2": "ok"}
    assert statuses(here) == expected
    with open_store(store_url(here)) as store:
        counted = store.runs.counted([FIRST.id, SECOND.id, THIRD.id])
        assert store.runs.curve(f"{FIRST.id}-3") == make_curve()
        assert store.runs.next_attempts([FIRST.id]) == {FIRST.id: 4}
    assert [counted[r.id].run_id for r in (FIRST, SECOND, THIRD)] == [f"{FIRST.id}-3", SECOND.id, f"{THIRD.id}-2"]
    assert (counted[FIRST.id].attempt, counted[FIRST.id].checkpoint) == (3, f"checkpoints/{FIRST.id}-3.pt")
    assert (here / counted[FIRST.id].checkpoint).read_bytes() == b"theirs"


def test_interrupted_runs_come_over_only_where_there_is_no_attempt(here: Path, other: Path) -> None:
    add(here, FIRST, status="failed")
    add(other, FIRST, status="interrupted")
    add(other, SECOND, status="interrupted", checkpoint="")
    for request in (FIRST, SECOND):
        (other / "checkpoints" / f"{request.id}.unfinished").write_bytes(b"state")
    assert do(other, here) == Merged(merged=1, already=1)
    assert statuses(here) == {FIRST.id: "failed", SECOND.id: "interrupted"}
    assert {path.name for path in (here / "checkpoints").iterdir()} == {f"{FIRST.id}.pt", f"{SECOND.id}.unfinished"}


def test_states_come_over_for_runs_that_a_kill_left_without_a_row(here: Path, other: Path) -> None:
    add(here, FIRST)
    add(other, SECOND)
    for name in (FIRST.id, SECOND.id, THIRD.id, "ours"):
        (other / "checkpoints" / f"{name}.unfinished").write_bytes(b"theirs")
    (here / "checkpoints" / "ours.unfinished").write_bytes(b"ours")
    do(other, here)
    found = {path.stem: path.read_bytes() for path in (here / "checkpoints").glob("*.unfinished")}
    assert found == {THIRD.id: b"theirs", "ours": b"ours"}


def test_a_run_whose_weights_are_gone_comes_without_and_changed_ones_are_refused(here: Path, other: Path) -> None:
    record = add(other, FIRST)
    (other / record.checkpoint).write_bytes(b"changed")
    with pytest.raises(StoreError, match=f"{FIRST.id}.pt' are not those that were stored"):
        do(other, here)
    (other / record.checkpoint).unlink()
    assert do(other, here) == Merged(merged=1, already=0)
    with open_store(store_url(here)) as store:
        assert store.runs.find(FIRST.id) == dataclasses.replace(record, checkpoint="")


def test_a_path_in_the_other_store_never_leads_outside(here: Path, other: Path) -> None:
    add(other, FIRST, checkpoint="checkpoints/../../secret.pt", weights=b"secret")
    do(other, here)
    assert not list(here.rglob("*.pt"))
