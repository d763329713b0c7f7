"""Training times and what seconds of training reach: never one order over runs of unlike machines or settings."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from bench.analysis.conditions import find_conditions
from reports.build import build_document
from reports.document import Figure, Prose, Table
from reports.sections.comparison import speed_tables
from tests.factories import make_run, make_timing, study_of
from tests.reports.document_reading import rows_of, section_of

if TYPE_CHECKING:
    from bench.core.records import RunRecord, Study

SECONDS = {"epochs": None, "seconds": 20.0}
NO_ORDER = "runs of unlike machines stand in tables of their own, and there is no order between these"


def run_on(machine: str, net: str, *, seed: int, **changes: Any) -> RunRecord:
    record, _ = make_run(net, seed=seed)
    environment = {**record.environment, "machine": machine}
    return dataclasses.replace(record, run_id=f"{net}-{seed}", **{"environment": environment, "jobs": 1, **changes})


def study_on(machines: dict[str, str], **changes: Any) -> Study:
    """Six seeds of each net, all on its machine."""
    return study_of(*((run_on(at, net, seed=s, **changes), ()) for net, at in machines.items() for s in range(6)))


def speed_blocks(study: Study, kind: type[Table | Figure | Prose]) -> list[Any]:
    (condition,) = find_conditions(study)
    blocks = section_of(build_document(study), f"{condition.slug}-speed").blocks
    return [block for block in blocks if isinstance(block, kind)]


def first_caption(study: Study, slug: str) -> str:
    return next(b.caption for b in section_of(build_document(study), slug).blocks if isinstance(b, Table))


def test_training_times_of_unlike_machines_never_share_a_table_or_a_picture() -> None:
    study = study_on({"bn25k": "fast", "conv16k": "slow", "fc3136": "fast"})
    tables = speed_blocks(study, Table)
    assert [[row["Architecture"] for row in rows_of(table)] for table in tables] == [["bn25k", "fc3136"], ["conv16k"]]
    for table, machine in zip(tables, ("fast", "slow"), strict=True):
        where = f"Training speed (machine {machine}, cpu, 1 thread a run, 1 run at a time)"
        assert table.caption == f"{where}; medians over seeds, evaluation excluded; {NO_ORDER}"
    figures = speed_blocks(study, Figure)
    assert [figure.title for figure in figures] == [
        f"Test accuracy against training seconds (median, machine {machine})" for machine in ("fast", "slow")
    ]
    drawn = [{series.label for panel in figure.panels for series in panel.series} for figure in figures]
    assert drawn == [{"bn25k", "fc3136"}, {"conv16k"}]


def test_seeds_of_one_net_on_unlike_machines_have_a_median_each() -> None:
    halves = [
        run_on("fast" if seed < 3 else "slow", "bn25k", seed=seed, train_seconds=10.0 if seed < 3 else 30.0)
        for seed in range(6)
    ]
    tables = speed_blocks(study_of(*((run, ()) for run in halves)), Table)
    assert [(row["Runs"], row["Training (s)"]) for table in tables for row in rows_of(table)] == [
        ("3", "10.0"),
        ("3", "30.0"),
    ]


def test_settings_of_one_machine_are_apart_and_it_is_not_called_unlike_itself() -> None:
    study = study_of(*((run_on("fast", "bn25k", seed=seed, jobs=1 + seed % 2), ()) for seed in range(6)))
    captions = [table.caption for table in speed_blocks(study, Table)]
    assert len(captions) == 2
    assert all(c.endswith("runs of another machine or setting stand in a table of their own") for c in captions)
    assert not any("machine fast" in caption for caption in captions)


def test_the_share_of_peak_is_worked_out_by_hand_where_the_machine_was_timed() -> None:
    study = study_on({"bn25k": "fast", "conv16k": "slow"}, macs=1_000_000, train_images_per_second=5_000.0)
    timed = dataclasses.replace(make_timing("bn25k", machine="fast"), peak_flops=100e9)
    others = [make_timing("conv16k", machine="slow"), dataclasses.replace(timed, machine="slow", device="cuda")]
    fast, slow = speed_blocks(dataclasses.replace(study, timings=(timed, *others)), Table)
    # three forward passes, two operations a multiply-accumulate: 3 · 2 · 10⁶ · 5,000 of 10¹¹ a second
    assert [row["Share of peak (%)"] for row in rows_of(fast)] == ["30"]
    assert "Share of peak (%)" not in rows_of(slow)[0], "nobody measured its peak"
    uncounted = study_on({"bn25k": "fast"}, macs=None, train_images_per_second=5_000.0)
    (table,) = speed_blocks(dataclasses.replace(uncounted, timings=(timed,)), Table)
    assert [row["Share of peak (%)"] for row in rows_of(table)] == ["—"]


def test_what_a_share_of_peak_is_stands_above_the_table() -> None:
    study = study_on({"bn25k": "fast"})
    assert "three forward passes" not in speed_blocks(study, Prose)[0].text
    timed = dataclasses.replace(make_timing("bn25k", machine="fast"), peak_flops=100e9)
    assert "three forward passes" in speed_blocks(dataclasses.replace(study, timings=(timed,)), Prose)[0].text


@pytest.mark.parametrize(("jobs", "marked"), [(1, False), (2, True)])
def test_training_speed_is_marked_where_runs_shared_the_machine(jobs: int, *, marked: bool) -> None:
    record, curve = make_run("bn25k", seed=0)
    (condition,) = find_conditions(study_of((dataclasses.replace(record, jobs=jobs), curve)))
    ((_, table),) = speed_tables(condition, {})
    assert ("shared the machine with other runs: not ranked" in table.caption) is marked


def test_after_seconds_of_training_nets_of_unlike_machines_are_not_judged_against_each_other() -> None:
    study = study_on({"bn25k": "fast", "conv16k": "slow", "fc3136": "fast"}, budget=SECONDS)
    conditions = sorted(find_conditions(study), key=lambda condition: condition.title)
    assert [[(pair.a, pair.b) for pair in each.accuracy.pairs] for each in conditions] == [[("bn25k", "fc3136")], []]
    assert [each.title for each in conditions] == [
        f"mnist, shared recipe, 20 s of training, machine {machine}, cpu, 1 thread a run, 1 run at a time"
        for machine in ("fast", "slow")
    ]
    for condition in conditions:
        caption = first_caption(study, condition.slug)
        assert "stand in a table of their own, and there is no order between the two" in caption


@pytest.mark.parametrize("changes", [{"threads": 2}, {"jobs": 4}])
def test_after_seconds_of_training_other_ways_of_running_are_apart_too(changes: dict[str, Any]) -> None:
    runs = [run_on("fast", "bn25k", seed=0, budget=SECONDS), run_on("fast", "fc3136", seed=0, budget=SECONDS)]
    assert len(find_conditions(study_of(*((run, ()) for run in runs)))) == 1
    runs[1] = dataclasses.replace(runs[1], **changes)
    assert len(find_conditions(study_of(*((run, ()) for run in runs)))) == 2


def test_after_seconds_on_one_machine_the_title_names_none() -> None:
    study = study_on({"bn25k": "fast", "fc3136": "fast"}, budget=SECONDS)
    (condition,) = find_conditions(study)
    assert condition.title == "mnist, shared recipe, 20 s of training, cpu"
    assert "no order" not in first_caption(study, condition.slug)


def test_after_epochs_accuracies_of_unlike_machines_are_compared() -> None:
    (condition,) = find_conditions(study_on({"bn25k": "fast", "conv16k": "slow"}))
    assert [(pair.a, pair.b) for pair in condition.accuracy.pairs] == [("bn25k", "conv16k")]
