"""The command beside what is undecided, and the rate that holds after it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.analysis.conditions import find_conditions
from bench.core.records import ShownVerdict
from reports.sections.verdicts.looks import _names, changed_verdicts, next_command, taken_out
from tests.factories import make_run, study_of

if TYPE_CHECKING:
    from bench.core.records import Study


def undecided(
    *, seeds: int = 6, first: int = 0, plans: tuple[str, ...] = ("6",), command: str = "python runner.py --all"
) -> Study:
    """Two nets that differ by noise of 0.6 pp, which takes more than thirty seeds to 0.1 pp."""
    runs = []
    for at, net in enumerate(("bn25k", "fc3136")):
        for seed in range(first, first + seeds):
            record, curve = make_run(net, seed=seed)
            noise = float(np.random.default_rng([at, seed]).normal(0, 0.006))
            runs.append((dataclasses.replace(record, test_accuracy=0.98 + noise), curve))
    study = study_of(*runs)
    seed_plans = {run.run_id: plans for run in study.records}
    return dataclasses.replace(study, command=command, seed_plans=seed_plans)


def said(study: Study) -> str:
    [condition] = find_conditions(study)
    return " ".join(prose.text for prose in next_command(condition, study))


def test_beside_undecided_stands_one_command_and_its_rate() -> None:
    study = undecided()
    [condition] = find_conditions(study)
    [pair] = condition.accuracy.pairs
    needed = pair.n + (pair.more_seeds or 0)
    assert needed > 30
    most = -(-needed // 10) * 10  # up to the next ten
    assert said(study) == (
        f"To decide what is undecided: python runner.py --all --seeds 6:{most} adds seeds for those pairs until they "
        f"are decided, or {most} are in; --plan behind it says what that takes. What is decided stands, and over all 2 "
        "looks, this report's among them, at most 2 in twenty tables like this one call anything better by luck. "
        "Adding seeds by hand adds one in twenty each time."
    )


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (
            "python runner.py --arch 'bn*' --seeds 6 --lr 0.01",
            "one command that names bn25k and fc3136 by --arch, with --seeds ",
        ),
        (
            "python runner.py --arch 'bn*' --arch fc3136 --lr 1",
            "python runner.py --arch 'bn*' --arch fc3136 --lr 1 --s",
        ),
        ("python runner.py --all --seeds=6 --fresh --time-again", "python runner.py --all --seeds "),
        ("python runner.py --arch ./mine.py", "python runner.py --arch ./mine.py --seeds "),
        (
            "python runner.py --arch mine.py:bn25k --arch fc3136",
            "python runner.py --arch mine.py:bn25k --arch fc3136 --seeds ",
        ),
        (
            "python runner.py --arch mine.py:bn25k",
            "one command that names bn25k and fc3136 by --arch, with --seeds ",
        ),
        ("python runner.py --report", "the command that trained them, with --seeds "),
        ("", "the command that trained them, with --seeds "),
    ],
)
def test_the_command_is_the_studys_with_other_seeds_and_the_nets_that_it_lacks(command: str, found: str) -> None:
    assert f"undecided: {found}" in said(undecided(command=command))


def test_a_net_with_settings_is_named_however_they_are_spelt() -> None:
    assert _names("bn25k lr=3e-3", "bn25k lr=0.003")
    assert not _names("bn25k", "bn25k lr=0.003")
    assert not _names("bn25k lr=3e-3", "bn25k")


def test_a_tuned_study_takes_a_fixed_number_of_seeds() -> None:
    assert said(undecided(command="python runner.py --all --tune")) == ""


def test_looks_by_hand_before_are_counted() -> None:
    assert "over all 4 looks, this report's among them, at most 4 in twenty" in said(
        undecided(seeds=10, plans=("6", "8", "10"))
    )
    assert "--seeds 10:" in said(undecided(seeds=10, plans=("10",)))
    assert "--seeds 6:" in said(undecided(seeds=7, first=1, plans=("7",))), "not the first ones"


def test_a_plan_that_came_to_its_end_goes_on_twice_as_far() -> None:
    assert "--seeds 6:40 adds" in said(undecided(seeds=20, plans=("6:20",)))


def test_where_it_would_not_help_nothing_is_said() -> None:
    assert said(undecided(seeds=8, plans=("6:20",))) == "", "under way: the same command goes on"
    assert said(dataclasses.replace(undecided(), missing=2)) == ""
    assert said(undecided(seeds=4, plans=("4",))) == "", "too few seeds"


def test_verdicts_that_changed_are_named_and_no_others() -> None:
    study = undecided()
    [condition] = find_conditions(study)
    code = condition.code

    def changed(*shown: ShownVerdict) -> str:
        now = dataclasses.replace(study, shown=shown)
        return " ".join(prose.text for prose in changed_verdicts(now, find_conditions(now)))

    assert changed() == ""
    assert changed(ShownVerdict(code, "test_accuracy", "bn25k", "fc3136", "undecided")) == ""
    assert changed(ShownVerdict("another", "test_accuracy", "bn25k", "fc3136", "a better")) == ""
    assert changed(ShownVerdict(code, "test_accuracy", "bn25k", "fc3136", "b better")) == (
        "Changed by the last command that judged anew: bn25k against fc3136 was 'fc3136 better' and is 'undecided'."
    )
    now = condition.epochs_to_95.pairs[0].verdict.value
    assert "in epochs to 95 % was 'too few seeds' and is" in changed(
        ShownVerdict(code, "epochs_to_95", "bn25k", "fc3136", "too few seeds")
    )
    assert now != "too few seeds"


def test_what_was_taken_out_is_named() -> None:
    assert list(taken_out(undecided())) == []
    [prose] = taken_out(dataclasses.replace(undecided(), forgotten=("conv16k", "lenet21k")))
    assert prose.text.startswith("Taken out of this study by --forget: conv16k and lenet21k; the runs stay stored")
