"""What earlier looks decided stands when a study goes on until decided."""

from __future__ import annotations

import dataclasses

import pytest

from bench.analysis.conditions import Condition, find_conditions
from bench.analysis.verdicts import Verdict
from bench.core.seeds import SeedPlan
from tests.factories import make_run, study_of

LOW = (0.0001, 0.0003, 0.0003, 0.0004, 0.0003, 0.0002)
"""The rank test has p = 0.016 of it: below the 5 % of a fixed number, above the 1.48 % of the first look of 6:30."""
PLAN = SeedPlan.parse("6:30")


def condition(plans: dict[str, tuple[str, ...]], *, seeds: int = 6) -> Condition:
    """Nets that are the same on every seed, but that bn25k is a little lower on the first six."""
    runs = []
    for net in plans:
        for seed in range(seeds):
            low = LOW[seed] if net == "bn25k" and seed < 6 else 0.0
            record, curve = make_run(net, seed=seed)
            runs.append((dataclasses.replace(record, test_accuracy=0.99 + 0.0001 * seed - low), curve))
    study = study_of(*runs)
    own = {run.run_id: plans[run.architecture] for run in study.records}
    [found] = find_conditions(dataclasses.replace(study, seed_plans=own))
    return found


def verdict(found: Condition) -> tuple[Verdict, int]:
    [pair] = (pair for pair in found.accuracy.pairs if (pair.a, pair.b) == ("bn25k", "fc3136"))
    return pair.verdict, pair.n


def test_what_a_fixed_number_decided_stands_until_decided() -> None:
    fixed = condition({"bn25k": ("6",), "fc3136": ("6",)})
    assert verdict(fixed) == (Verdict.B_BETTER, 6)
    assert verdict(condition({"bn25k": ("6:30",), "fc3136": ("6:30",)})) == (Verdict.EQUIVALENT, 6), "from the start"
    went_on = condition({"bn25k": ("6", "6:30"), "fc3136": ("6", "6:30")}, seeds=10)
    assert verdict(went_on) == (Verdict.B_BETTER, 6)
    assert went_on.standing[0].level == 0.05
    assert went_on.standing[0].seeds == tuple(range(6))
    assert went_on.earlier_looks == ("6",), "whose rate is added"


def test_a_net_that_joins_later_changes_nothing_of_it() -> None:
    plans = {"bn25k": ("6", "6:30"), "fc3136": ("6", "6:30"), "lenet21k": ("6:30",), "conv16k": ("6:30",)}
    found = condition(plans)
    assert verdict(found) == (Verdict.B_BETTER, 6)
    [standing] = found.standing
    assert set(standing.nets or ()) == {"bn25k", "fc3136"}
    pairs = {frozenset((pair.a, pair.b)): pair for pair in found.accuracy.pairs}
    assert pairs[frozenset(("bn25k", "fc3136"))].confidence == 0.95, "one pair was judged at 5 %"
    assert pairs[frozenset(("fc3136", "lenet21k"))].confidence != 0.95
    assert found.earlier_looks == ("6",), "two looks, though none has more than six seeds"


def test_nets_left_at_the_fixed_number_keep_their_verdicts_too() -> None:
    found = condition({"bn25k": ("6", "6:30"), "lenet21k": ("6", "6:30"), "fc3136": ("6",)})
    [standing] = found.standing
    assert set(standing.nets or ()) == {"bn25k", "lenet21k", "fc3136"}


@pytest.mark.parametrize("plans", [("6:30",), ("6:30", "6"), ("4", "6:30"), ("40", "6:30")])
def test_no_other_look_stands(plans: tuple[str, ...]) -> None:
    assert condition({"bn25k": plans, "fc3136": plans}).standing == ()


def test_an_earlier_plan_until_decided_stands_with_all_its_looks() -> None:
    found = condition({"bn25k": ("6:12", "6:30"), "fc3136": ("6:12", "6:30")})
    assert [look.level for look in found.standing] == [look.level for look in SeedPlan.parse("6:12").looks]
    assert found.looks == (*found.standing, *PLAN.looks)
