"""The tuner in a made-up world: budgets, order, kills, pruning and duplicates, without training anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import optuna
import pytest

from bench.core.architecture import Choice
from bench.core.errors import ArchitectureError
from bench.core.options import TuneOptions
from bench.core.recipe import Recipe
from bench.studies.tuning.results import read_trial
from bench.studies.tuning.storage import AHEAD
from tests.bench.studies.tuning.world import IMAGES, Killed, World, accuracy_of

if TYPE_CHECKING:
    from pathlib import Path

    from bench.core.work.tuning import Trial


def make_space(folder: Path, text: str) -> Path:
    path = folder / "space.toml"
    path.write_text(text, encoding="utf-8")
    return path


def tune(folder: Path, *, jobs: int, order: int, tune_options: TuneOptions) -> list[Trial]:
    folder.mkdir()
    world = World(folder, tune_options=tune_options)
    return world.run(world.tuner(), jobs=jobs, order=order)


@pytest.mark.parametrize("tune_options", [TuneOptions(trials=15), TuneOptions(trials=15, pruner="none", seeds=2)])
def test_workers_and_the_order_in_which_they_end_change_no_trial(tmp_path: Path, tune_options: TuneOptions) -> None:
    one = tune(tmp_path / "a", jobs=1, order=0, tune_options=tune_options)
    assert tune(tmp_path / "b", jobs=2, order=1, tune_options=tune_options) == one
    assert tune(tmp_path / "c", jobs=7, order=2, tune_options=tune_options) == one
    assert [trial.number for trial in one] == list(range(15))


@pytest.mark.parametrize("kill_after", [1, 8, 21])
def test_a_killed_search_ends_with_the_same_trials_and_trains_nothing_twice(tmp_path: Path, kill_after: int) -> None:
    tune_options = TuneOptions(trials=12)
    untouched, world = (World(tmp_path, tune_options=tune_options) for _ in range(2))
    world.storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/trials.db")
    whole = untouched.run(untouched.tuner(), jobs=2, order=5)
    with pytest.raises(Killed):
        world.run(world.tuner(), jobs=2, order=3, kill_after=kill_after)
    world.run(world.tuner(), jobs=3, order=4)
    assert [read_trial(frozen) for frozen in world.tuner().searches[0].book.trials()] == whole
    assert world.epochs_trained == untouched.epochs_trained


def test_trials_is_a_total(tmp_path: Path) -> None:
    world = World(tmp_path, tune_options=TuneOptions(trials=5))
    assert len(world.run(world.tuner())) == 5
    again = world.tuner()
    assert again.take() is None
    assert (again.done, again.total) == (5, 5)
    more = World(tmp_path, tune_options=TuneOptions(trials=8))
    more.storage = world.storage
    assert [trial.number for trial in more.run(more.tuner())] == [5, 6, 7]


def test_the_first_trial_is_the_shared_recipe(tmp_path: Path) -> None:
    world = World(tmp_path, tune_options=TuneOptions(trials=3))
    first = world.run(world.tuner())[0]
    assert Recipe.from_json(dict(first.recipe)) == Recipe()


def test_every_architecture_starts_with_the_same_recipes_and_has_as_many_trials(tmp_path: Path) -> None:
    world = World(tmp_path, tune_options=TuneOptions(trials=6, pruner="none"))
    tuner = world.tuner(["a", "b"])
    trials = world.run(tuner, jobs=2)
    by_name = {name: [t.hyperparameters for t in trials if t.architecture == name] for name in ("a", "b")}
    assert by_name["a"] == by_name["b"]
    assert len(by_name["a"]) == 6
    assert tuner.settle() == 6


def test_pruned_trials_cost_what_they_trained_and_full_ones_whole_batches(tmp_path: Path) -> None:
    trials = tune(tmp_path / "x", jobs=2, order=0, tune_options=TuneOptions(trials=20, seeds=2))
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert {trial.epochs for trial in pruned} <= {3.0}  # a third of nine epochs; the next rung is the end
    for trial in trials:
        batch_size = trial.hyperparameters["batch_size"]
        assert trial.images == 2 * int(trial.epochs) * (IMAGES // batch_size) * batch_size
    assert sum(trial.images for trial in trials) < 20 * 9 * IMAGES * 2


def test_a_net_that_cannot_be_resumed_is_not_paused_and_costs_what_is_said(tmp_path: Path) -> None:
    world = World(tmp_path, tune_options=TuneOptions(trials=20))
    world.resumable = False
    trials = world.run(world.tuner(), jobs=2)
    assert {trial.state for trial in trials} == {"complete"}
    assert world.epochs_trained == sum(trial.epochs for trial in trials if trial.repeats is None)


def test_what_is_pruned_is_below_the_best_third_of_what_was_known_when_it_was_asked_for(tmp_path: Path) -> None:
    trials = tune(tmp_path / "x", jobs=3, order=1, tune_options=TuneOptions(trials=20))
    for trial in trials:
        known = [t.curve[3] for t in trials if t.number <= trial.number - AHEAD and t.curve] + [trial.curve[3]]
        place = max(1, len(known) // 3)
        assert (trial.state == "pruned") == (trial.curve[3] < sorted(known)[-place])


def test_values_are_means_over_the_seeds_of_a_trial(tmp_path: Path) -> None:
    trials = tune(tmp_path / "x", jobs=1, order=0, tune_options=TuneOptions(trials=2, seeds=3, pruner="none"))
    recipe = Recipe.from_json(dict(trials[1].recipe))
    assert trials[1].values == pytest.approx((accuracy_of(recipe, 9) + 0.001,))  # seeds add 0, 0.001 and 0.002


def test_the_same_recipe_is_not_trained_twice(tmp_path: Path) -> None:
    space = make_space(tmp_path, '[optimizer]\nchoices = ["adam", "sgd"]\n[label_smoothing]\nchoices = [0.0, 0.1]\n')
    world = World(tmp_path, tune_options=TuneOptions(trials=12, space=space, pruner="none"))
    trials = world.run(world.tuner(), jobs=3)
    repeats = [trial for trial in trials if trial.repeats is not None]
    assert len(trials) == 12
    assert len(repeats) >= 8  # there are four recipes
    for trial in repeats:
        first = trials[trial.repeats or 0]
        assert (trial.hyperparameters, trial.values, trial.images) == (first.hyperparameters, first.values, 0)
        assert first.number < trial.number
    assert len(set(world.handed_out)) == len(world.handed_out) == 12 - len(repeats)


def test_one_recipe_spelt_in_two_ways_is_one(tmp_path: Path) -> None:
    space = make_space(tmp_path, '[augmentation]\nchoices = ["shift", "shift:2"]\n')
    world = World(tmp_path, tune_options=TuneOptions(trials=6, space=space, pruner="none"))
    trials = world.run(world.tuner(), jobs=2)
    assert [trial.repeats for trial in trials] == [None, 0, 0, 0, 0, 0]


def test_what_a_trial_with_several_seeds_cost_is_counted_seed_by_seed(tmp_path: Path) -> None:
    world = World(tmp_path, tune_options=TuneOptions(trials=1, seeds=3, pruner="none"))
    world.statuses, world.lost_at = {2: "diverged"}, 0.1
    (trial,) = world.run(world.tuner())
    steps = IMAGES // 128
    assert trial.state == "failed"
    assert trial.images == (9 * steps + round(0.1 * steps) + 9 * steps) * 128


def test_a_smaller_total_leaves_what_was_begun_beyond_it(tmp_path: Path) -> None:
    world = World(tmp_path, tune_options=TuneOptions(trials=20))
    with pytest.raises(Killed):
        world.run(world.tuner(), jobs=2, kill_after=9)
    told = world.tuner().done
    fewer = World(tmp_path, tune_options=TuneOptions(trials=told))
    fewer.storage = world.storage
    assert fewer.run(fewer.tuner()) == []
    assert fewer.handed_out == []


def test_trials_of_a_net_that_cannot_be_built_are_told_and_heard_of(tmp_path: Path) -> None:
    def refuse(_net: object) -> NoReturn:
        raise ArchitectureError("It cannot be built.")

    world = World(tmp_path, tune_options=TuneOptions(trials=6))
    world.check = refuse  # type: ignore[assignment, method-assign]
    trials = world.run(world.tuner())
    assert [(trial.state, trial.reason, trial.images) for trial in trials] == [("failed", "It cannot be built.", 0)] * 6


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_lost_trial_counts_and_the_others_go_on(tmp_path: Path, status: str) -> None:
    world = World(tmp_path, tune_options=TuneOptions(trials=6))
    world.statuses = {2: status}
    trials = world.run(world.tuner())
    lost = [trial for trial in trials if trial.state == "failed"]
    assert len(trials) == 6
    assert len(lost) == 1
    assert lost[0].values == ()
    assert f"{status}: planted" in lost[0].reason


def test_with_two_objectives_there_is_a_front_and_nothing_is_pruned(tmp_path: Path) -> None:
    tune_options = TuneOptions(trials=10, objectives=("accuracy", "macs"), architecture=True)
    world = World(tmp_path, tune_options=tune_options)
    tuner = world.tuner(knobs={"hidden": Choice(values=(10, 20, 40))})
    trials = world.run(tuner, jobs=2)
    assert {trial.state for trial in trials} == {"complete"}
    assert all(trial.values[1] == 100 * trial.hyperparameters["hidden"] for trial in trials)
    assert {trial.architecture for trial in trials} <= {f"net hidden={hidden}" for hidden in (10, 20, 40)}
    assert trials == [read_trial(frozen) for frozen in tuner.searches[0].book.trials()]


def test_latency_is_measured_while_nothing_trains_and_once_a_net(tmp_path: Path) -> None:
    tune_options = TuneOptions(trials=9, objectives=("accuracy", "latency"), architecture=True)
    world = World(tmp_path, tune_options=tune_options)
    trials = world.run(world.tuner(knobs={"hidden": Choice(values=(10, 20))}), jobs=3)
    assert len(trials) == 9
    assert world.busy_at_latency == [0] * len({trial.architecture for trial in trials})
    assert all(trial.values[1] == pytest.approx(0.001 * trial.hyperparameters["hidden"]) for trial in trials)


def test_a_search_that_may_ask_no_more_ends_what_it_began(tmp_path: Path) -> None:
    world = World(tmp_path, tune_options=TuneOptions(trials=20))
    tuner = world.tuner(["a", "b"])
    asked = iter([True] * 13 + [False] * 100)
    world.may_ask = lambda: next(asked)  # type: ignore[method-assign]
    trials = world.run(tuner, jobs=2)
    assert len(trials) == 13
    assert tuner.settle() == min(search.book.told for search in tuner.searches)
