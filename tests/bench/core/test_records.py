"""Time to a target, worked by hand; and which table a run stands in."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

import pytest

from bench.core.recipe import Recipe
from bench.core.records import CurvePoint, time_to_target
from bench.store.store import open_store
from bench.training.result import Outcome, make_record
from tests.bench.runs import make_task


def test_a_table_of_the_torch_engine_keeps_its_code_and_one_of_the_kernels_has_another() -> None:
    request = make_task().request
    key = request.table("shared")
    fields = [getattr(key, name) for name in "dataset data_hash recipe budget protocol device".split()]
    before = json.dumps([*fields, key.torch_version, key.engine_version])
    assert key.code == hashlib.sha256(before.encode()).hexdigest()[:16], "verdicts are stored under it"
    other = dataclasses.replace(request, engine="lanes").table("shared")
    assert other.code != key.code
    assert other != key
    assert other.anywhere == key.anywhere
    assert sorted([key, other]) == [other, key]


def test_a_record_says_which_engine_trained_it() -> None:
    task = make_task()
    by_kernels = dataclasses.replace(task, request=dataclasses.replace(task.request, engine="lanes"))
    records = [make_record(each, Outcome(), jobs=1, environment={"machine": "m"}) for each in (task, by_kernels)]
    assert [record.engine for record in records] == ["torch", "lanes"]
    assert [record.table.engine for record in records] == ["torch", "lanes"]
    assert dataclasses.replace(records[1], environment={}).engine == "torch", "as in older versions"


def _curve(*accuracies: float) -> list[CurvePoint]:
    return [
        CurvePoint(
            step=20 * number,
            images=2_560 * number,
            epoch=number / 20,
            train_seconds=0.5 * number,
            evaluation_seconds=0.1 * number,
            probe=True,
            val_loss=1.0,
            val_accuracy=accuracy,
        )
        for number, accuracy in enumerate(accuracies, start=1)
    ]


def test_the_first_of_two_passes_in_a_row() -> None:
    found = time_to_target(_curve(0.80, 0.96, 0.94, 0.95, 0.96, 0.97), 0.95)
    assert (found.epochs, found.images, found.seconds) == (4 / 20, 4 * 2_560, 2.0)


def test_never_reached() -> None:
    for curve in (_curve(), _curve(0.99), _curve(0.90, 0.96), _curve(0.96, 0.94, 0.96)):
        found = time_to_target(curve, 0.95)
        assert found.epochs == found.images == found.seconds == math.inf


def test_a_diverged_accuracy_is_no_pass() -> None:
    assert time_to_target(_curve(0.96, math.nan, 0.96), 0.95).epochs == math.inf


def _epochs(*accuracies: float) -> list[CurvePoint]:
    """As a recipe that stops hears them: at the ends of epochs."""
    return [dataclasses.replace(point, probe=False) for point in _curve(*accuracies)]


def test_a_run_that_its_own_target_ended_has_reached_it_and_every_lower_one_there() -> None:
    curve = _epochs(0.90, 0.93, 0.96)
    for target in (0.94, 0.95):
        found = time_to_target(curve, target, stopped_at=0.95)
        assert (found.target, found.epochs, found.images, found.seconds) == (target, 3 / 20, 3 * 2_560, 1.5)
    # A higher target was passed once at 0.96, which is no reason for which this run ended.
    assert time_to_target(curve, 0.955, stopped_at=0.95).epochs == math.inf


def test_two_passes_in_a_row_before_that_count_as_ever() -> None:
    found = time_to_target(_epochs(0.91, 0.92, 0.96), 0.9, stopped_at=0.95)
    assert found.epochs == 1 / 20


def test_a_run_that_something_else_ended_at_its_first_pass_stays_censored() -> None:
    assert time_to_target(_epochs(0.90, 0.93, 0.96), 0.95).epochs == math.inf  # the budget
    assert time_to_target(_epochs(0.90, 0.93, 0.96), 0.95, stopped_at=0.98).epochs == math.inf  # it never got there
    assert time_to_target(_curve(0.90, 0.93, 0.96), 0.95, stopped_at=0.95).epochs == math.inf  # cut short at a probe
    assert time_to_target([], 0.95, stopped_at=0.95).epochs == math.inf


@pytest.mark.parametrize("name", ["shared", "shared lr=0.01", "published", "tuned"])
def test_a_run_stands_in_the_table_that_it_was_wanted_for(name: str) -> None:
    """Before it trains, and read back from the store, whose JSON has lists where a recipe has tuples."""
    recipe = Recipe(lr=0.01, augmentation=(("shift", 1.0), ("rotation", 5.0)))
    task = dataclasses.replace(make_task(recipe=recipe), recipe_name=name)
    with open_store("sqlite://") as store:
        store.runs.add(make_record(task, Outcome(), jobs=1, environment={}))
        stored = store.runs.find(task.run_id)
    assert stored is not None
    assert stored.table == task.request.table(name)
    assert stored.table.family == make_task(epochs=9, recipe=recipe).request.table(name).family
    other = make_task(recipe=Recipe()).request.table(name)
    assert (stored.table == other) == (name in ("published", "tuned")), "whose recipes are each net's own"
