"""Runs of another net of the same source: kept, and counted for nothing until the net is what it was."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bench.core.metadata import ArchitectureMetadata, is_other_net
from bench.store.store import open_store
from bench.studies.planning import make_plan
from tests.bench.store.examples import make_architecture_metadata, make_timing, run_sql, store_url
from tests.factories import make_request, record_of

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.records import RunRecord
    from bench.store.store import Store


FACTS = dataclasses.replace(make_architecture_metadata(), macs=5_000_000_000, initial_hash="here:net")
WIDER = dataclasses.replace(FACTS, params=63_610, initial_hash="here:wider")
SAME_SIZE = dataclasses.replace(FACTS, initial_hash="here:other")


def supersede(store: Store, facts: ArchitectureMetadata) -> int:
    return store.runs.supersede_other_nets(facts, torch_version="2.13.0", engine_version=1)


def counted(store: Store) -> dict[int, str]:
    """Run id of what counts, by seed."""
    found = store.runs.counted([make_request(seed).id for seed in range(4)])
    return {record.seed: record.run_id for record in found.values()}


@pytest.fixture
def seeds(store: Store) -> list[RunRecord]:
    records = [record_of(make_request(seed)) for seed in range(3)]
    for record in records:
        store.runs.add(record)
    store.studies.plan("s", command="c", requests=[make_request(seed) for seed in range(3)], role="compare")
    store.artifacts.add_architecture(FACTS)
    return records


@pytest.mark.parametrize("other", [WIDER, SAME_SIZE, dataclasses.replace(FACTS, macs=7)])
def test_other_counts_or_another_hash_supersede_every_run_of_the_source(
    other: ArchitectureMetadata, store: Store, seeds: list[RunRecord]
) -> None:
    assert supersede(store, FACTS) == 0
    assert len(counted(store)) == len(store.studies.load("s").records) == 3
    assert supersede(store, other) == 3
    assert supersede(store, other) == 0, "they were before"
    study = store.studies.load("s")
    assert counted(store) == {}
    assert (study.records, study.superseded, study.missing) == ((), 3, 3)
    assert store.runs.find(seeds[0].run_id) == seeds[0], "nothing is lost"
    assert store.runs.next_attempts([make_request(0).id]) == {make_request(0).id: 2}
    assert store.runs.training_speeds("m1") == {}
    # The net is what it was: its runs count again, and what was trained in between does not.
    between = record_of(make_request(0), attempt=2, params=other.params, macs=other.macs,
                          initial_hash=other.initial_hash)  # fmt: skip
    store.runs.add(between)
    assert counted(store) == {0: between.run_id}
    assert supersede(store, FACTS) == 1
    assert counted(store) == {record.seed: record.run_id for record in seeds}


def test_a_machine_with_other_bits_brings_no_superseded_run_back(store: Store, seeds: list[RunRecord]) -> None:
    """Equal counts say nothing there of a net that only its hash has told apart; here they do."""
    assert supersede(store, SAME_SIZE) == 3
    supersede(store, dataclasses.replace(FACTS, initial_hash="there:x"))
    assert counted(store) == {}
    supersede(store, FACTS)
    assert counted(store) == {record.seed: record.run_id for record in seeds}


def test_what_is_not_known_says_nothing(store: Store) -> None:
    store.runs.add(record_of(make_request(0), initial_hash=""))  # an older version
    store.runs.add(record_of(make_request(1), initial_hash="there:x"))  # a machine with other bits
    store.runs.add(record_of(make_request(2), params=None, macs=None, initial_hash=""))
    assert supersede(store, FACTS) == 0
    assert len(counted(store)) == 3
    # Counts speak on every machine.
    assert supersede(store, WIDER) == 2


def test_other_sources_and_versions_are_left_alone(store: Store) -> None:
    store.runs.add(record_of(make_request(0, name="beta")))
    store.runs.add(record_of(make_request(1, torch_version="2.12.0")))
    store.runs.add(record_of(make_request(2, engine_version=0)))
    assert supersede(store, WIDER) == 0


def test_an_interrupted_run_of_another_net_does_not_go_on(store: Store) -> None:
    request = make_request(0)
    store.runs.add(record_of(request, status="interrupted"))
    assert store.runs.next_attempts([request.id]) == {request.id: 1}
    supersede(store, WIDER)
    assert store.runs.next_attempts([request.id]) == {request.id: 2}


def test_a_failure_of_the_new_net_does_not_bring_the_old_one_back(store: Store, seeds: list[RunRecord]) -> None:
    supersede(store, WIDER)
    failed = record_of(make_request(0), attempt=2, status="failed", params=63_610, initial_hash="here:wider")
    store.runs.add(failed)
    assert counted(store) == {0: failed.run_id}
    assert seeds[0].status == "ok"


def test_a_plan_trains_what_is_stored_of_another_net(store: Store, seeds: list[RunRecord]) -> None:
    """Also before anything is superseded: `--plan` changes nothing."""
    requests = [make_request(seed) for seed in range(3)]

    def plan(facts: ArchitectureMetadata) -> tuple[int, int]:
        made = make_plan(
            requests, store, metadata={"alpha": facts}, name_recipe=lambda _: "shared", train_images=100, machine="m1"
        )
        assert all(task.initial_hash == facts.initial_hash for task in made.tasks)
        return len(made.reused), len(made.tasks)

    assert len(seeds) == 3
    assert [plan(facts) for facts in (FACTS, WIDER, SAME_SIZE)] == [(3, 0), (0, 3), (0, 3)]
    assert plan(dataclasses.replace(FACTS, initial_hash="there:x")) == (3, 0)
    assert len(counted(store)) == 3


def test_a_timing_of_another_net_is_not_shown(store: Store, seeds: list[RunRecord]) -> None:
    assert len(seeds) == 3
    store.artifacts.add_timing(dataclasses.replace(make_timing(), initial_hash="here:net"))
    assert len(store.studies.load("s").timings) == 1
    store.artifacts.add_architecture(SAME_SIZE)
    assert store.studies.load("s").timings == ()
    store.artifacts.add_timing(make_timing(measured_at="2026-01-02"))  # an older version's, of which nothing is known
    assert len(store.studies.load("s").timings) == 1


def test_counts_and_hashes_by_hand() -> None:
    assert not is_other_net(FACTS, FACTS)
    assert is_other_net(FACTS, WIDER)
    assert is_other_net(FACTS, SAME_SIZE)
    assert not is_other_net(FACTS, dataclasses.replace(FACTS, initial_hash=""))
    assert not is_other_net(FACTS, dataclasses.replace(FACTS, initial_hash="there:other"))


def test_a_store_of_schema_5_learns_which_runs_their_own_target_ended(tmp_path: Path) -> None:
    """Times of runs that older versions called never reached are read from their curves again."""
    from tests.bench.store.examples import make_curve  # its last point is the end of an epoch, at 0.96

    requests = {
        stop: make_request(seed, recipe=dataclasses.replace(make_request().recipe, stop_at_accuracy=stop))
        for seed, stop in enumerate((None, 0.95, 0.98))
    }
    with open_store(store_url(tmp_path)) as store:
        for request in requests.values():
            store.runs.add(record_of(request), make_curve())
    for column in ("initial_hash", "superseded", "fault"):
        run_sql(tmp_path, f"ALTER TABLE bench_runs DROP COLUMN {column}")
    run_sql(tmp_path, "DROP TABLE bench_diagnoses")
    run_sql(tmp_path, "DROP TABLE bench_claims")
    run_sql(tmp_path, "UPDATE bench_schema_version SET version_num = '0005'")
    unknown = '[{"target": 0.9, "epochs": 0.35, "images": 1120, "seconds": 0.5}, ' + ", ".join(
        f'{{"target": {target}, "epochs": null, "images": null, "seconds": null}}' for target in (0.95, 0.98)
    )
    run_sql(tmp_path, "UPDATE bench_runs SET time_to_targets = ?", unknown + "]")
    without_seal = "json_remove(budget, '$.row_seal_1', '$.seal')"  # as rows of that schema were
    run_sql(tmp_path, f"UPDATE bench_runs SET budget = {without_seal}")  # noqa: S608
    with closing(open_store(store_url(tmp_path), create=False)) as store:
        found = {}
        for stop, request in requests.items():
            record = store.runs.find(request.id)
            assert record is not None
            assert record.initial_hash == ""
            found[stop] = [(record.time_to(t).epochs, record.time_to(t).images) for t in (0.9, 0.95, 0.98)]
        assert len(store.runs.counted([request.id for request in requests.values()])) == 3
    never = (float("inf"), float("inf"))
    assert found == {
        None: [(0.35, 1120), never, never],
        0.95: [(0.35, 1120), (1.0, 3_200), never],
        0.98: [(0.35, 1120), never, never],  # 0.96 is not what it stops at
    }
