"""The search space: what it stands for, and what is refused before anything trains."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import pytest

from bench.core.architecture import Choice, Range
from bench.core.errors import BenchError, RecipeError, UsageError
from bench.core.recipe import Recipe
from bench.studies.tuning.space import SHARED_SPACE, SearchSpace, load_space

if TYPE_CHECKING:
    from pathlib import Path

SAMPLED = {
    "optimizer": "sgd",
    "lr": 0.0123456,
    "batch_size": 64,
    "schedule": "cosine",
    "weight_decay": 1e-4,
    "label_smoothing": 0.1,
    "augmentation": "shift:2",
}


def shared(**kwargs: object) -> SearchSpace:
    return load_space(SHARED_SPACE, base=Recipe(), fixed=set(), **kwargs)  # type: ignore[arg-type]


def test_what_the_issue_names_is_searched() -> None:
    names = ["optimizer", "lr", "batch_size", "schedule", "weight_decay", "label_smoothing", "augmentation"]
    assert list(shared().fields) == names


def test_sampled_values_become_a_recipe_that_can_be_typed() -> None:
    recipe = shared().recipe(SAMPLED)
    assert recipe == Recipe(
        optimizer="sgd",
        lr=0.247,  # 20 × 0.0123456 = 0.246912, to three digits
        batch_size=64,
        schedule="cosine",
        weight_decay=1e-4,
        label_smoothing=0.1,
        augmentation=(("shift", 2.0),),
    )
    assert shared().recipe(SAMPLED | {"optimizer": "adam"}).lr == 0.0123
    assert shared().hyperparameters(SAMPLED)["lr"] == 0.247
    assert shared().hyperparameters(SAMPLED)["augmentation"] == "shift:2"


def test_the_shared_recipe_is_in_the_shared_space_and_found_there() -> None:
    sampled = shared().sampled(Recipe())
    assert sampled is not None
    assert sampled["lr"] == 6e-3
    assert shared().recipe(sampled) == Recipe()


@pytest.mark.parametrize("changes", [{"lr": 0.5}, {"batch_size": 100}, {"patience": 3}])
def test_a_recipe_outside_the_space_has_no_values_there(changes: dict[str, object]) -> None:
    recipe = dataclasses.replace(Recipe(), **changes)  # type: ignore[arg-type]
    assert shared().sampled(recipe) is None


def test_what_the_user_set_is_not_searched_and_factors_still_hear_it() -> None:
    base = Recipe(optimizer="sgd", lr=0.1)
    space = load_space(SHARED_SPACE, base=base, fixed={"optimizer"})
    assert "optimizer" not in space.fields
    assert space.recipe({name: value for name, value in SAMPLED.items() if name != "optimizer"}).lr == 0.247


def test_nothing_left_to_search_is_refused() -> None:
    with pytest.raises(UsageError, match="Nothing is left to search"):
        load_space(SHARED_SPACE, base=Recipe(), fixed=set(SAMPLED))


def test_knobs_of_an_architecture_join() -> None:
    space = shared(knobs={"hidden": Choice(values=(8, 16)), "dropout": Range(low=0.0, high=0.5)})
    sampled = SAMPLED | {"hidden": 16, "dropout": 0.123456}
    assert space.variation(sampled) == {"hidden": 16, "dropout": 0.123}
    assert space.sampled(Recipe()) is None  # which values the declared net has is not known here
    with pytest.raises(RecipeError, match="name of a recipe's field"):
        shared(knobs={"lr": Range(low=0.1, high=1.0)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[learning_rate]\nlow = 1e-3\nhigh = 1e-2", "No hyperparameter to search in .*'learning_rate'"),
        ("[patience]\nchoices = [3]", "No hyperparameter to search in"),
        ("[lr]\nlow = 1e-2\nhigh = 1e-3", "low is 0.01 and high is 0.001; low must be below high"),
        ("[lr]\nlow = 0.0\nhigh = 1e-3\nlog = true", "logarithmic scale; it must be above 0"),
        ("[lr]\nlow = 1e-3", "choices take a list, low and high numbers"),
        ("[lr]\nlow = 1e-3\nhigh = 1e-2\nchoices = [0.1]", "either choices, or low and high"),
        ("[lr]\nlow = 1e-3\nhigh = 1e-2\nstep = 3", "No option of lr in .*'step'"),
        ("[lr]\nlow = 1e-3\nhigh = 1e3", "contradicts itself .*learning rate is 1000"),
        ("[lr]\nlow = 'a'\nhigh = 1.0", "low and high numbers"),
        ("[batch_size]\nlow = 32\nhigh = 64", "it takes choices, not a range"),
        ("[batch_size]\nchoices = [64.5]", "64.5 is no int"),
        ("[optimizer]\nchoices = []", "nothing to choose from"),
        ("[optimizer]\nchoices = ['adam', 'adam']", "'adam' stands there twice"),
        ("[optimizer]\nchoices = ['adam', 'lion']", "contradicts itself .*No optimizer 'lion'"),
        ("[nesterov]\nchoices = [true]\n[optimizer]\nchoices = ['adam', 'sgd']", "contradicts itself .*Nesterov needs"),
        ("[augmentation]\nchoices = ['blur']", "contradicts itself .*No augmentation 'blur'"),
        ("[lr]\nlow = 1e-3\nhigh = 1e-2\nlog = 'no'", "log is 'no'; true or false is needed"),
        ("[lr]\nlow = 1e-3\nhigh = 1e-2\ntimes = 3", "choices take a list, low and high numbers"),
        ("[lr]\nlow = 1e-3\nhigh = 1e-2\ntimes.optimizer = 3", "choices take a list, low and high numbers"),
        ("[lr]\nlow = 1e-3\nhigh = 1e-2\ntimes.optimizer.sgd = 'x'", "factors are numbers above 0"),
        ("[lr]\nlow = 1e-3\nhigh = 1e-2\ntimes.optimiser.sgd = 20", "No hyperparameter in times of lr 'optimiser'"),
        ("[lr]\nlow = 1e-3\nhigh = 1e-2\ntimes.optimizer.sdg = 20", "No optimizer in times of lr 'sdg'"),
        ("optimizer = 'adam'", "either choices, or low and high"),
        ("[lr", "is no TOML"),
    ],
)
def test_a_bad_space_is_one_line_with_the_value(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchError, match=message) as caught:
        load_space(path, base=Recipe(), fixed=set())
    assert "\n" not in str(caught.value)


def test_a_space_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_space(tmp_path / "none.toml", base=Recipe(), fixed=set())


def test_every_corner_of_the_shared_space_is_a_recipe() -> None:
    space = shared()
    corners = itertools.product(*(knob.extremes for knob in space.fields.values()))
    rates = {space.recipe(dict(zip(space.fields, corner, strict=True))).lr for corner in corners}
    assert rates == {0.001, 0.03, 0.02, 0.6}
