"""Recipes and budgets: what is refused, and how."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.core.errors import RecipeError, UnknownNameError
from bench.core.recipe import (
    Budget,
    Recipe,
    find_shared,
    join_own,
    parse_augmentation,
    read_field,
    spell,
    spell_settings,
    without_own,
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lr": 0.0}, "learning rate is 0; it must be above 0"),
        ({"lr": float("nan")}, "learning rate is nan"),
        ({"lr": 1e9}, "learning rate is 1e+09"),
        ({"batch_size": 0}, "batch size is 0; it must be from 1"),
        ({"batch_size": -5}, "batch size is -5"),
        ({"momentum": 1.0}, "momentum is 1;"),
        ({"label_smoothing": 1.0}, "label smoothing is 1;"),
        ({"stop_at_accuracy": 95.0}, "accuracy to stop at is 95"),
        ({"patience": 0}, "patience is 0"),
        ({"nesterov": True}, "Nesterov needs SGD"),
        ({"augmentation": (("rotation", 999.0),)}, "strength of rotation is 999"),
    ],
)
def test_values_out_of_range_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message.replace("+", r"\+")):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"optimizer": "adma"}, "Did you mean 'adam'"),
        ({"schedule": "onecycle"}, "Did you mean 'one-cycle'"),
        ({"augmentation": (("rotate", 1.0),)}, "Did you mean 'rotation'"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(fields: dict[str, Any], hint: str) -> None:
    with pytest.raises(UnknownNameError, match=hint):
        Recipe(**fields)


def test_a_recipe_survives_json() -> None:
    recipe = Recipe(optimizer="sgd", nesterov=True, augmentation=(("shift", 2.0), ("crop", 4.0)), patience=3)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.changes() == {
        "optimizer": "sgd",
        "nesterov": True,
        "augmentation": (("shift", 2.0), ("crop", 4.0)),
        "patience": 3,
    }
    assert Recipe().changes() == {}


def test_class_weights_are_told_only_where_there_are_some_so_that_older_results_stay_valid() -> None:
    assert "class_weights" not in Recipe().to_json()
    weighted = Recipe(class_weights="balanced")
    assert weighted.to_json() == Recipe().to_json() | {"class_weights": "balanced"}
    assert Recipe.from_json(weighted.to_json()) == weighted
    called = join_own("shared", (("class_weights", "balanced"),))
    assert find_shared(called, weighted.to_json()) == Recipe().to_json()
    assert find_shared("shared, own class_weights=none", Recipe().to_json()) == Recipe().to_json()


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        ((("flip", 1.5),), "strength of flip is 1.5; it must be above 0 and at most 1"),
        ((("jitter", 2.0),), "strength of jitter is 2; it must be above 0 and at most 1"),
    ],
)
def test_strengths_have_bounds(augmentation: tuple[tuple[str, float], ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe(augmentation=augmentation)


def test_augmentation_as_typed() -> None:
    assert parse_augmentation("flip,jitter:0.4") == (("flip", 0.5), ("jitter", 0.4))
    assert parse_augmentation("shift, rotation:15") == (("shift", 2.0), ("rotation", 15.0))
    assert parse_augmentation("none") == parse_augmentation("") == ()
    with pytest.raises(RecipeError, match="'x' is no number"):
        parse_augmentation("shift:x")


@pytest.mark.parametrize("text", ["crop:2.5", "shift:0.5", "rotation:5,crop:3.999", "shift:inf", "crop:nan"])
def test_a_fraction_of_a_pixel_is_refused_in_one_line(text: str) -> None:
    last = text.rpartition(",")[2]
    name = last.partition(":")[0]
    with pytest.raises(RecipeError) as refusal:
        parse_augmentation(text)
    assert str(refusal.value) == f"Augmentation '{last}': {name} takes whole pixels; write {name}:2, say."


def test_whole_pixels_however_written_and_fractions_of_a_degree_pass() -> None:
    assert parse_augmentation("crop:3.0,rotation:2.5") == (("crop", 3.0), ("rotation", 2.5))


@pytest.mark.parametrize(
    "fields", [{}, {"epochs": 3, "seconds": 1.0}, {"epochs": 0}, {"epochs": 10**6}, {"seconds": 0.0}]
)
def test_budgets_that_cannot_be_spent(fields: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        Budget(**fields)


def test_budgets_in_words() -> None:
    assert [str(Budget(epochs=1)), str(Budget(epochs=3)), str(Budget(seconds=2.5))] == [
        "1 epoch",
        "3 epochs",
        "2.5 s of training",
    ]


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(optimizer="sgd", lr=0.00123456789, batch_size=7, schedule="plateau", momentum=0.5, nesterov=True),
        Recipe(weight_decay=1e-4, label_smoothing=0.1, augmentation=(("shift", 2.0), ("rotation", 7.5)), patience=3),
        Recipe(stop_at_accuracy=0.9912345, keep="best", plateau_patience=0),
        Recipe(class_weights="balanced", augmentation=(("flip", 0.5), ("jitter", 0.2))),
    ],
)
def test_every_field_is_read_as_it_is_spelt(recipe: Recipe) -> None:
    assert {name: read_field(name, spell(value)) for name, value in vars(recipe).items()} == vars(recipe)


def test_the_shared_recipe_is_found_behind_the_own_changes_of_a_net() -> None:
    shared = Recipe(lr=0.00123456789, batch_size=64)
    own = dataclasses.replace(shared, lr=0.5, weight_decay=0.1)
    called = join_own("shared lr=0.00123456789 batch_size=64", (("lr", 0.5), ("weight_decay", 0.1)))
    assert called == "shared lr=0.00123456789 batch_size=64, own lr=0.5 weight_decay=0.1"
    assert find_shared(called, own.to_json()) == shared.to_json()
    assert without_own(called) == "shared lr=0.00123456789 batch_size=64"
    assert join_own("published", ()) == without_own("published") == "published"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("bn25k", "bn25k"),
        ("bn25k lr=3e-3", "bn25k lr=0.003"),
        ("bn25k hidden=32 lr=1e-2 optimizer=adamw", "bn25k hidden=32 lr=0.01 optimizer=adamw"),
        ("bn25k lr=*", "bn25k lr=*"),
        ("a  b=", "a  b="),
    ],
)
def test_a_name_has_its_settings_as_the_suite_spells_them(typed: str, name: str) -> None:
    assert spell_settings(typed) == name
