"""What may stand in one table, planted one difference at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from synthetic import make_record, make_study, study_of

from bench.analysis.conditions import find_conditions, setting_of
from bench.core.recipe import Recipe
from reports.sections.appendix import describe_recipe


@pytest.mark.parametrize(
    "difference",
    [
        {"dataset": "kmnist"},
        {"data_hash": "other"},
        {"recipe": Recipe(lr=1e-3).to_json(), "recipe_name": "shared lr=0.001"},
        {"budget": {"epochs": 1, "seconds": None}},
        {"budget": {"epochs": None, "seconds": 20.0}},
        {"protocol": "as_claimed"},
        {"device": "cuda"},
        {"torch_version": "2.14.0"},
        {"engine_version": 2},
    ],
)
def test_runs_that_differ_in_more_than_net_and_seed_never_share_a_table(difference: dict[str, Any]) -> None:
    one, _ = make_record("bn25k", seed=0)
    other = dataclasses.replace(make_record("bn25k", seed=1)[0], **difference)
    conditions = find_conditions(study_of((one, ()), (other, ())))
    assert [len(condition.records) for condition in conditions] == [1, 1]
    assert len({condition.slug for condition in conditions}) == 2


def test_net_and_seed_may_differ() -> None:
    runs = [make_record(net, seed=seed) for net in ("fc3136", "bn25k") for seed in (1, 0)]
    (condition,) = find_conditions(study_of(*runs))
    assert [(e.label, [r.seed for r in e.records]) for e in condition.entries] == [
        ("bn25k", [0, 1]),
        ("fc3136", [0, 1]),
    ]


def test_published_recipes_share_a_table_though_each_net_has_its_own() -> None:
    runs = [
        (dataclasses.replace(make_record(net, seed=0)[0], recipe=Recipe(lr=lr).to_json(), recipe_name="published"), ())
        for net, lr in (("bn25k", 1e-3), ("fc3136", 1e-2))
    ]
    (condition,) = find_conditions(study_of(*runs))
    assert len(condition.entries) == 2


def test_the_run_that_finished_last_leads() -> None:
    study = make_study()  # its one-epoch runs finished on the 1st, its three-epoch runs on the 3rd
    assert [condition.budget.epochs for condition in find_conditions(study)] == [3, 1]
    late = [
        dataclasses.replace(r, finished_at="2027-01-01T00:00:00+00:00") if r.budget["epochs"] == 1 else r
        for r in study.records
    ]
    assert [c.budget.epochs for c in find_conditions(dataclasses.replace(study, records=tuple(late)))] == [1, 3]


def test_other_roles_are_not_compared() -> None:
    study = study_of(make_record("bn25k", seed=0), make_record("bn25k", seed=10_000))
    study = dataclasses.replace(study, roles={"bn25k-3-0": "compare", "bn25k-3-10000": "tune"})
    (condition,) = find_conditions(study)
    assert [record.seed for record in condition.records] == [0]


def test_two_sources_of_one_name_are_two_rows() -> None:
    edited = dataclasses.replace(make_record("bn25k", seed=1)[0], architecture_hash="0123456789")
    (condition,) = find_conditions(study_of(make_record("bn25k", seed=0), (edited, ())))
    assert [entry.label for entry in condition.entries] == ["bn25k (0123456)", "bn25k (hash-of)"]


def test_setting_tells_machines_and_jobs_apart_but_not_commits() -> None:
    record, _ = make_record("bn25k", seed=0)
    assert setting_of(record) == setting_of(
        dataclasses.replace(record, environment={**record.environment, "commit": "f" * 40, "dirty": True})
    )
    others = (
        dataclasses.replace(record, environment={**record.environment, "cpu": "Another CPU"}),
        dataclasses.replace(record, environment={**record.environment, "machine": "abc"}),
        dataclasses.replace(record, jobs=4),
        dataclasses.replace(record, threads=2),
        dataclasses.replace(record, device="mps"),
    )
    assert len({setting_of(record), *(setting_of(other) for other in others)}) == 6


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
