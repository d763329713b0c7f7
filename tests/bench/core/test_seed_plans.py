"""Seed plans and the error rate that each look may spend, against the formula worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import UsageError
from bench.core.seeds import ALPHA, FEWEST_SEEDS, ONE_LOOK, Look, SeedPlan


def test_six_to_thirty_spend_as_lan_and_demets_say() -> None:
    looks = SeedPlan.until_decided(6, 30).looks
    # a(t) = 0.05 ln(1 + 1.718282 t) at t = 6/30, 10/30, …: ln 1.343656 = 0.295395, ln 1.572761 = 0.452833, …
    spent = (0.0147697, 0.0226416, 0.0294411, 0.0354257, 0.0407699, 0.0455976, 0.05)
    assert [look.seeds for look in looks] == [tuple(range(n)) for n in (6, 10, 14, 18, 22, 26, 30)]
    total = 0.0
    for look, so_far in zip(looks, spent, strict=True):
        total += look.level
        assert total == pytest.approx(so_far, abs=1e-7)


@pytest.mark.parametrize(
    ("first", "last", "sizes"),
    [
        (6, 7, [6, 7]),
        (6, 8, [6, 8]),
        (6, 9, [6, 8, 9]),
        (10, 20, [10, 12, 14, 16, 18, 20]),
        (6, 19, [6, 9, 12, 15, 18, 19]),
    ],
)
def test_looks_are_at_even_steps_and_at_the_end(first: int, last: int, sizes: list[int]) -> None:
    looks = SeedPlan.until_decided(first, last).looks
    assert [len(look.seeds or ()) for look in looks] == sizes


@settings(deadline=None, max_examples=60, derandomize=True)
@given(first=st.integers(FEWEST_SEEDS, 60), more=st.integers(1, 300))
def test_levels_add_up_and_seeds_grow(first: int, more: int) -> None:
    looks = SeedPlan.until_decided(first, first + more).looks
    sizes = [len(look.seeds or ()) for look in looks]
    assert sum(look.level for look in looks) == pytest.approx(0.05, abs=1e-12)
    assert min(look.level for look in looks) > 0
    assert (sizes[0], sizes[-1]) == (first, first + more)
    assert sizes == sorted(set(sizes))
    assert 2 <= len(sizes) <= 7
    assert all(look.seeds == tuple(range(size)) for look, size in zip(looks, sizes, strict=True))


def test_a_fixed_number_of_seeds_is_judged_once_at_the_full_level() -> None:
    plan = SeedPlan.fixed((0, 3, 7))
    assert plan.looks == (Look(seeds=(0, 3, 7), level=0.05),)
    assert str(plan) == "3"
    assert [(look.seeds, look.level) for look in ONE_LOOK] == [(None, 0.05)]
    assert ALPHA == 0.05


def test_a_plan_is_written_and_read_again() -> None:
    plan = SeedPlan.until_decided(6, 30)
    assert (str(plan), plan.first, plan.seeds) == ("6:30", 6, tuple(range(30)))
    assert SeedPlan.parse("6:30") == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5:30", "--seeds 5:30: no verdict is possible below 6 seeds; start there."),
        ("6:6", "--seeds 6:6: the second number is the most seeds and must be the larger one."),
        ("30:6", "--seeds 30:6: the second number is the most seeds and must be the larger one."),
    ],
)
def test_plans_that_can_decide_nothing_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        SeedPlan.parse(text)
    assert str(caught.value) == message
