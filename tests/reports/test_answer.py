"""The answer says what the verdicts carry and no more: planted values whose verdicts are plain."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.analysis.conditions import find_conditions
from reports.answer import Answer, find_answer
from tests.factories import make_run, study_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Six or eight values around nothing, in unlike orders, so that two nets of one mean are not equal on every seed.
STEPS = (-0.0003, -0.0002, -0.0001, 0.0001, 0.0002, 0.0003)


def around(mean: float, *, order: int = 0, scale: float = 1.0) -> list[float]:
    """Six accuracies with exactly this mean."""
    steps = np.random.default_rng(order).permutation(STEPS)
    return [mean + scale * float(step) for step in steps]


def answer_of(accuracies: Mapping[str, Sequence[float | None]], **changes: Mapping[str, Any]) -> Answer:
    """The answer of these accuracies by seed, None where one did not run; `changes` are fields of all runs of a net."""
    runs = [
        dataclasses.replace(make_run(net, seed=seed)[0], **{"test_accuracy": value, **changes.get(net, {})})
        for net, values in accuracies.items()
        for seed, value in enumerate(values)
        if value is not None
    ]
    (condition,) = find_conditions(study_of(*((run, ()) for run in runs)))
    return find_answer(condition)


def test_the_one_that_all_others_are_worse_than_is_best_and_its_price_is_said() -> None:
    found = answer_of(
        {"fc3136": around(0.99), "bn25k": around(0.98, order=1), "conv16k": around(0.97, order=2)},
        fc3136={"train_seconds": 51.0},
        bn25k={"train_seconds": 30.0},
    )
    # 421,642 / 25,433 = 16.58; 51 / 30 = 1.7
    assert found.text == (
        "fc3136 is best: 1.00 pp better than bn25k at 17× its parameters and 1.7× its training time, "
        "2.00 pp better than conv16k."
    )
    assert (found.unbeaten, found.is_decided, found.alike) == (("fc3136",), True, ())


def test_two_that_cannot_be_told_apart_are_not_best_though_one_leads() -> None:
    wide = [0.985, 0.995, 0.987, 0.996, 0.984, 0.994]  # mean 0.9902, as good as fc3136 on three seeds of six
    found = answer_of({"fc3136": around(0.990), "lenet21k": wide, "bn25k": around(0.97, order=1)})
    assert found.unbeaten == ("lenet21k", "fc3136")
    assert not found.is_decided
    assert found.text.startswith(
        "No net can be called best: lenet21k and fc3136 cannot be told apart yet; lenet21k is "
    )
    assert "pp better than bn25k at 0.86× its parameters" in found.text  # 21,840 / 25,433


def test_one_that_nobody_beats_is_best_and_what_is_open_is_said() -> None:
    # fc3136 and lenet21k share no seed, and bn25k lies between them on the seeds of both.
    twice: list[float | None] = [*around(0.98), *around(0.98)]
    seeds: dict[str, list[float | None]] = {
        "fc3136": [*around(0.99, order=1)],
        "bn25k": twice,
        "lenet21k": [*[None] * 6, *around(0.97, order=2)],
    }
    found = answer_of(seeds)
    assert (found.unbeaten, found.is_decided, found.alike) == (("fc3136",), True, ("lenet21k",))
    assert found.text == (
        "fc3136 is best: 1.00 pp better than bn25k at 17× its parameters and 1.7× its training time; "
        "lenet21k cannot be told apart from it yet."
    )


def test_equivalent_ones_at_the_top_are_best_together() -> None:
    found = answer_of(
        {"fc3136": around(0.99), "bn25k": around(0.99, order=1), "conv16k": around(0.97, order=2, scale=0.5)}
    )
    assert set(found.unbeaten) == {"bn25k", "fc3136"}
    assert found.text.startswith("bn25k and fc3136 are best, and equivalent (within 0.10 pp); bn25k is 2.00 pp better "
                                 "than conv16k at 1.5× its parameters")  # fmt: skip


def test_where_all_are_equivalent_none_is_best() -> None:
    found = answer_of({"fc3136": around(0.99), "bn25k": around(0.99, order=1)})
    assert found.text == "No net can be called best: bn25k and fc3136 are equivalent (within 0.10 pp)."
    same = answer_of({"fc3136": around(0.99), "bn25k": around(0.99)})
    assert same.text == "No net can be called best: bn25k and fc3136 are equivalent (the same)."


def test_where_nothing_is_told_apart_none_is_best() -> None:
    noise = np.random.default_rng(5)
    nets = {net: noise.normal(0.98, 0.01, 6).tolist() for net in ("bn25k", "conv16k", "fc3136")}
    assert answer_of(nets).text == "No net can be called best: none of the 3 pairs can be told apart yet."
    nets.pop("conv16k")
    found = answer_of(nets)
    assert found.text == f"No net can be called best: {' and '.join(found.unbeaten)} cannot be told apart yet."


def test_few_seeds_one_net_and_no_result_promise_nothing() -> None:
    three = {"fc3136": (0.99, 0.991, 0.992), "bn25k": (0.98, 0.981, 0.982)}
    assert answer_of(three).text == (
        "No net can be called best: 3 shared seeds of two nets are too few for a verdict, 6 are the floor; fc3136 has "
        "the highest mean so far, which may be luck."
    )
    assert answer_of({"bn25k": (0.98, 0.98, 0.98)}).text == (
        "bn25k gets 98.00 % (98.00 to 98.00 %) of the test images right; there is no other to compare."
    )
    failed = answer_of({"bn25k": (0.9,)}, bn25k={"status": "failed", "test_accuracy": None})
    assert failed.text == "No net can be called best: no run has ended with a result."


def test_nets_that_learned_nothing_are_not_called_alike() -> None:
    found = answer_of({"bn25k": [0.1] * 6, "fc3136": [0.1, 0.1, 0.1, 0.1, 0.1, 0.1135]})
    assert found.text == "No net can be called best: fc3136 and bn25k learned nothing on any seed."


def test_a_lead_on_typical_seeds_alone_has_no_amount() -> None:
    gains = (0.0001, 0.0002, 0.0001, 0.0003, 0.0002, 0.02)
    found = answer_of({"bn25k": [0.97 + gain for gain in gains], "conv16k": [0.97] * 6})
    assert found.beaten[0].typical_only
    assert found.text == (
        "bn25k is best: better than conv16k on 6 of 6 seeds at 1.5× its parameters and 1.5× its training time."
    )  # 25,433 / 16,614; 5,950 / 4,050 images a second


def test_times_of_unlike_machines_are_no_price() -> None:
    other = {"environment": {"machine": "another"}}
    text = answer_of({"fc3136": around(0.99), "bn25k": around(0.98, order=1)}, fc3136=other).text
    assert text == "fc3136 is best: 1.00 pp better than bn25k at 17× its parameters."


def test_many_nets_are_counted_not_named() -> None:
    nets = {f"n{at}": around(0.9 + at / 100, order=at) for at in range(8)}
    seven = {name: [*values, *around(0.9 + at / 100, order=9)] for at, (name, values) in enumerate(nets.items())}
    text = answer_of(seven).text
    assert text.startswith("n7 is best: 1.00 pp better than n6, 2.00 to 7.00 pp "), "they cost the same"
    assert text.endswith(", 2.00 to 7.00 pp better than n5 and 5 others.")


def test_some_of_a_study_are_best_of_those_shown_alone() -> None:
    nets = {"fc3136": around(0.99), "bn25k": around(0.98, order=1), "conv16k": around(0.97, order=2)}
    runs = [
        dataclasses.replace(make_run(net, seed=seed)[0], test_accuracy=value)
        for net, values in nets.items()
        for seed, value in enumerate(values)
    ]
    (condition,) = find_conditions(study_of(*((run, ()) for run in runs)))
    text = find_answer(condition.narrowed(frozenset({"bn25k", "conv16k"}))).text
    assert text.startswith("Of the 2 shown: bn25k is best: 1.00 pp better than conv16k at 1.5× its parameters")
