"""The plan: what is trained, what is reused, in which order, and how long it will take."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from bench.core.errors import RecipeError
from bench.core.metadata import DatasetMetadata, Proof
from bench.core.run import Plan, RunRequest, Task, Workplace
from bench.execution.worker import store_unfinished
from bench.models.counts import count_architecture
from bench.models.fingerprint import architecture_hash
from bench.spec import Architecture, Budget, Recipe
from bench.store.store import open_store
from bench.studies import planning
from bench.studies.machine import Hardware

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.core.records import RunRecord
    from bench.store.store import Store


class Heavy(nn.Sequential):
    """A net of 784,000 MACs."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 1000), nn.Linear(1000, 10))


class Light(nn.Sequential):
    """A net of 7,840 MACs."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 10))


NETS = [Architecture(name="light", build=Light), Architecture(name="heavy", build=Heavy)]
DATA = DatasetMetadata(
    name="mnist5k",
    data_hash="d",
    pool_images=4_000,
    test_images=1_000,
    validation_images=800,
    image_shape=(1, 28, 28),
    classes=tuple("0123456789"),
    mean=(0.13,),
    deviation=(0.31,),
    origin="",
)
HERE = Hardware(device="cpu", machine="m", jobs=1)
FACTS = {net.name: count_architecture(net) for net in NETS}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path}/bench.db") as opened:
        yield opened


def _requests(*, seeds: tuple[int, ...] = (0, 1), budget: Budget | None = None) -> list[RunRequest]:
    training = {net.name: [(Recipe(), budget or Budget(epochs=2))] for net in NETS}
    return planning.make_requests(NETS, training=training, dataset=DATA, seeds=seeds, hardware=HERE)


def _plan(store: Store, requests: list[RunRequest], *, fresh: bool = False) -> Plan:
    return planning.make_plan(
        requests, store, metadata=FACTS, name_recipe=lambda _: "shared", train_images=3_200, machine="m", fresh=fresh
    )


def _store_run(store: Store, request: RunRequest, **fields: Any) -> RunRecord:
    """A stored run of a request, made from the record of a lost one."""
    known = FACTS[request.architecture.name]
    task = Task(
        request=request, attempt=1, recipe_name="shared", params=known.params, macs=known.macs, timeout_seconds=3_600.0
    )
    place = Workplace(results=Path(), store_url="sqlite://", data_dir=Path(), jobs=1)
    record = dataclasses.replace(store_unfinished(task, place, status="failed", reason="planted"), **fields)
    store.runs.add(record)
    return record


def test_every_architecture_with_every_seed_and_a_split_of_its_own() -> None:
    requests = _requests(seeds=(0, 7))
    assert [(r.architecture.name, r.seed, r.split_seed) for r in requests] == [
        ("light", 0, 0),
        ("light", 7, 7),
        ("heavy", 0, 0),
        ("heavy", 7, 7),
    ]
    assert len({request.id for request in requests}) == 4
    assert len({request.cohort for request in requests}) == 2
    assert {request.torch_version for request in requests} == {torch.__version__}


def test_the_source_of_a_net_is_read_once_however_many_seeds_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 7 ms: of 10,000 runs that would be over a minute."""
    hashed: list[str] = []

    def hash_net(net: Architecture) -> str:
        hashed.append(net.name)
        return architecture_hash(net)

    monkeypatch.setattr(planning, "architecture_hash", hash_net)
    requests = _requests(seeds=tuple(range(50)))
    assert hashed == ["light", "heavy"]
    assert {r.architecture.name: r.architecture_hash for r in requests} == {n.name: architecture_hash(n) for n in NETS}


def test_the_longest_runs_come_first(store: Store) -> None:
    plan = _plan(store, _requests())
    assert [task.request.architecture.name for task in plan.tasks] == ["heavy", "heavy", "light", "light"]
    assert plan.tasks[0].macs == 784 * 1000 + 1000 * 10
    assert not plan.measured


@pytest.mark.parametrize(("status", "reused"), [("ok", True), ("diverged", True), ("failed", False)])
def test_what_would_come_out_the_same_is_reused_and_a_failure_is_tried_again(
    store: Store, status: str, *, reused: bool
) -> None:
    requests = _requests()
    record = _store_run(store, requests[0], status=status)
    plan = _plan(store, requests)
    assert [found.run_id for found in plan.reused] == ([record.run_id] if reused else [])
    again = [task for task in plan.tasks if task.request.id == requests[0].id]
    assert [(task.attempt, task.run_id) for task in again] == ([] if reused else [(2, f"{record.request_id}-2")])
    assert len(_plan(store, requests, fresh=True).tasks) == 4


def test_stored_speeds_give_the_estimate(store: Store) -> None:
    requests = _requests()
    _store_run(store, requests[0], status="ok", train_images_per_second=1_000.0, environment={"machine": "m"})
    plan = _plan(store, requests)
    light = next(task for task in plan.tasks if task.request.architecture.name == "light")
    # Two epochs of 3,200 images at 1,000 a second, and a fifth more for evaluation.
    assert plan.seconds[light.run_id] == pytest.approx(6.4 * 1.2)
    assert plan.wall_seconds(1) == pytest.approx(6.0 + sum(plan.seconds.values()))
    assert plan.wall_seconds(1000) == pytest.approx(6.0 + max(plan.seconds.values()))
    timed = _plan(store, _requests(budget=Budget(seconds=10.0)))
    assert set(timed.seconds.values()) == {12.0}


def test_a_run_by_the_kernels_is_guessed_to_take_less_and_not_by_the_speed_of_the_other_engine(store: Store) -> None:
    by_torch = _requests()
    by_kernels = [dataclasses.replace(request, engine="lanes") for request in by_torch]
    seconds = [_plan(store, requests).seconds for requests in (by_torch, by_kernels)]
    shares = [one / other for one, other in zip(*(sorted(each.values()) for each in seconds[::-1]), strict=True)]
    # A third of what every image takes, 0.87 of what every MAC takes.
    assert 1 / 3 < shares[0] == shares[1] < shares[2] == shares[3] < 0.88
    _store_run(store, by_torch[0], status="ok", train_images_per_second=1_000.0, environment={"machine": "m"})
    assert _plan(store, by_kernels).seconds == seconds[1]
    assert not _plan(store, by_kernels).reused


def test_a_net_whose_trial_step_took_far_longer_than_its_macs_say_is_guessed_by_that(store: Store) -> None:
    requests = _requests()
    by_macs = _plan(store, requests).seconds
    known = FACTS["heavy"]
    guess = 1.2e-4 + 7.3e-11 * known.macs  # seconds an image, by torch

    def with_step(seconds: float) -> Plan:
        facts = FACTS | {"heavy": dataclasses.replace(known, proof=Proof(step_seconds=seconds))}
        return planning.make_plan(
            requests, store, metadata=facts, name_recipe=lambda _: "shared", train_images=3_200, machine="m"
        )

    assert with_step(2.9 * guess).seconds == by_macs
    far = with_step(4 * guess)
    for task in far.tasks:
        times = 4 if task.request.architecture.name == "heavy" else 1
        assert far.seconds[task.run_id] == pytest.approx(times * by_macs[task.run_id])
    _store_run(store, requests[2], status="ok", train_images_per_second=1_000.0, environment={"machine": "m"})
    left = with_step(4 * guess)
    (heavy,) = (task.run_id for task in left.tasks if task.request.architecture.name == "heavy")
    assert left.seconds[heavy] == pytest.approx(6.4 * 1.2), "what was measured here counts more than any guess"


def test_requests_are_of_the_engine_that_trains() -> None:
    training = {net.name: [(Recipe(), Budget(epochs=2))] for net in NETS}
    hardware = dataclasses.replace(HERE, engine="lanes")
    requests = planning.make_requests(NETS, training=training, dataset=DATA, seeds=(0,), hardware=hardware)
    assert {request.engine for request in requests} == {"lanes"}


def test_a_batch_larger_than_the_training_images_is_refused_before_anything_trains() -> None:
    training = {net.name: [(Recipe(batch_size=3_201), Budget(epochs=1))] for net in NETS}
    with pytest.raises(RecipeError, match="3,201 of light is more than the 3,200 training images of mnist5k"):
        planning.make_requests(NETS, training=training, dataset=DATA, seeds=(0,), hardware=HERE)
