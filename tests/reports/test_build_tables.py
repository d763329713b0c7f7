"""What may stand in one table, planted one difference at a time."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import TYPE_CHECKING, Any

import pytest

from bench.analysis.conditions import find_conditions, setup_of
from bench.core.recipe import Budget, Recipe
from reports.build import build_document
from reports.exports import verdicts_csv
from reports.sections.appendix import describe_recipe
from reports.writers.markdown import write_markdown
from tests.factories import make_run, make_study, study_of

if TYPE_CHECKING:
    from bench.core.records import CurvePoint, RunRecord


@pytest.mark.parametrize(
    "difference",
    [
        {"dataset": "kmnist"},
        {"data_hash": "other"},
        {"recipe": Recipe(lr=1e-3).to_json(), "recipe_name": "shared lr=0.001"},
        {"budget": {"epochs": 1, "seconds": None}},
        {"budget": {"epochs": None, "seconds": 20.0}},
        {"protocol": "validation"},
        {"device": "cuda"},
        {"torch_version": "2.14.0"},
        {"engine_version": 2},
    ],
)
def test_runs_that_differ_in_more_than_net_and_seed_never_share_a_table(difference: dict[str, Any]) -> None:
    one, _ = make_run("bn25k", seed=0)
    other = dataclasses.replace(make_run("bn25k", seed=1)[0], **difference)
    conditions = find_conditions(study_of((one, ()), (other, ())))
    assert [len(condition.records) for condition in conditions] == [1, 1]
    assert len({condition.slug for condition in conditions}) == 2


def test_net_and_seed_may_differ() -> None:
    runs = [make_run(net, seed=seed) for net in ("fc3136", "bn25k") for seed in (1, 0)]
    (condition,) = find_conditions(study_of(*runs))
    assert [(e.label, [r.seed for r in e.records]) for e in condition.entries] == [
        ("bn25k", [0, 1]),
        ("fc3136", [0, 1]),
    ]


def test_published_recipes_share_a_table_though_each_net_has_its_own() -> None:
    runs = [
        (dataclasses.replace(make_run(net, seed=0)[0], recipe=Recipe(lr=lr).to_json(), recipe_name="published"), ())
        for net, lr in (("bn25k", 1e-3), ("fc3136", 1e-2))
    ]
    (condition,) = find_conditions(study_of(*runs))
    assert len(condition.entries) == 2


def _published(net: str, *budgets: int, seeds: int = 1) -> list[tuple[RunRecord, tuple[CurvePoint, ...]]]:
    runs = [make_run(net, seed=seed, epochs=epochs) for epochs in budgets for seed in range(seeds)]
    return [(dataclasses.replace(record, recipe_name="published"), curve) for record, curve in runs]


def test_the_budgets_of_published_recipes_are_part_of_them_and_share_a_table() -> None:
    runs = [*_published("bn25k", 5, seeds=6), *_published("conv16k", 1, seeds=6), *_published("fc3136", 3, seeds=6)]
    (condition,) = find_conditions(study_of(*runs))
    assert (condition.budget, condition.title) == (None, "mnist, published recipe, own budgets, cpu")
    assert condition.trained == "unequal budgets (1 epoch to 5 epochs)"
    assert len(condition.accuracy.pairs) == 3
    assert condition.epochs_to_95.pairs == ()


def test_a_report_of_own_budgets_says_that_they_are_unequal_and_judges_no_times() -> None:
    study = study_of(*_published("bn25k", 5, seeds=6), *_published("conv16k", 1, seeds=6))
    text = write_markdown(build_document(study))
    said = "This compares unequal budgets: each architecture trained as its source says, and as long (bn25k 5 epochs, "
    assert text.partition("\n## ")[0].count(f"{said}conv16k 1 epoch).") == 1, "in the first lines"
    assert "each source's own: bn25k 5 epochs and conv16k 1 epoch" in text
    assert "Order against budget" not in text
    assert "Rank stability" not in text
    assert "Compared by the mean of the epochs to 95 %" not in text
    (row,) = csv.DictReader(io.StringIO(verdicts_csv(find_conditions(study))))
    assert (row["metric"], row["budget"]) == ("test_accuracy", "unequal budgets (1 epoch to 5 epochs)")


def test_budgets_that_a_command_gave_published_recipes_make_a_table_each() -> None:
    conditions = find_conditions(study_of(*_published("bn25k", 1, 3), *_published("conv16k", 1, 3)))
    assert [condition.budget for condition in conditions] == [Budget(epochs=3), Budget(epochs=1)]
    assert [len(condition.entries) for condition in conditions] == [2, 2]
    assert len(find_conditions(study_of(*_published("bn25k", 3), *_published("conv16k", 1, 3)))) == 2


@pytest.mark.parametrize(("jobs", "tables"), [(2, 1), (4, 2)])
def test_own_budgets_of_seconds_share_a_table_where_they_passed_alike(jobs: int, tables: int) -> None:
    timed = [
        (dataclasses.replace(record, budget={"epochs": None, "seconds": 20.0}, jobs=jobs), curve)
        for record, curve in _published("bn25k", 5)
    ]
    assert len(find_conditions(study_of(*timed, *_published("conv16k", 1)))) == tables


def test_the_run_that_finished_last_leads() -> None:
    study = make_study()  # its one-epoch runs finished on the 1st, its three-epoch runs on the 3rd
    assert [condition.budget for condition in find_conditions(study)] == [Budget(epochs=3), Budget(epochs=1)]
    late = [
        dataclasses.replace(r, finished_at="2027-01-01T00:00:00+00:00") if r.budget["epochs"] == 1 else r
        for r in study.records
    ]
    conditions = find_conditions(dataclasses.replace(study, records=tuple(late)))
    assert [condition.budget for condition in conditions] == [Budget(epochs=1), Budget(epochs=3)]


def test_other_roles_are_not_compared() -> None:
    study = study_of(make_run("bn25k", seed=0), make_run("bn25k", seed=10_000))
    study = dataclasses.replace(study, roles={"bn25k-3-0": "compare", "bn25k-3-10000": "tune"})
    (condition,) = find_conditions(study)
    assert [record.seed for record in condition.records] == [0]


def test_two_sources_of_one_name_are_two_rows() -> None:
    edited = dataclasses.replace(make_run("bn25k", seed=1)[0], architecture_hash="0123456789")
    (condition,) = find_conditions(study_of(make_run("bn25k", seed=0), (edited, ())))
    assert [entry.label for entry in condition.entries] == ["bn25k (0123456)", "bn25k (hash-of)"]


def test_setting_tells_machines_and_jobs_apart_but_not_commits() -> None:
    record, _ = make_run("bn25k", seed=0)
    assert setup_of(record) == setup_of(
        dataclasses.replace(record, environment={**record.environment, "commit": "f" * 40, "dirty": True})
    )
    others = (
        dataclasses.replace(record, environment={**record.environment, "cpu": "Another CPU"}),
        dataclasses.replace(record, environment={**record.environment, "machine": "abc"}),
        dataclasses.replace(record, jobs=4),
        dataclasses.replace(record, threads=2),
        dataclasses.replace(record, device="mps"),
    )
    assert len({setup_of(record), *(setup_of(other) for other in others)}) == 6


def test_recipe_in_words() -> None:
    recipe = Recipe(
        optimizer="sgd",
        lr=0.1,
        nesterov=True,
        weight_decay=5e-4,
        augmentation=(("shift", 2.0),),
        patience=3,
        keep="best",
    )
    assert describe_recipe(recipe.to_json()) == (
        "sgd, one-cycle schedule, learning rate 0.1, batch 128, momentum 0.9 (Nesterov), weight decay 0.0005 on "
        "all parameters (biases and BatchNorm's too), random shift 2, early stopping on validation "
        "accuracy, patience 3, weights of the best epoch kept"
    )
