"""Which limits are widened, and how far, on references made up by hand."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from bench.studies.gate.rule import MOST_ALLOWED, PROMISED, WIDENED_TO, find_allowed, l_skewness, leans_left, resample
from tests.bench.studies.gate.examples import LEFT_TAIL, NORMAL, deviation_of


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0, 3.0, 10.0], 9 / 14),  # b0 = 4, b1 = 19/6, b2 = 11/4: (33/2 - 19 + 4) / (19/3 - 4)
        ([1.0, 2.0, 3.0], 0.0),
        ([0.0, 0.0, 1.0], 1.0),
        ([0.0, 1.0, 1.0], -1.0),
        ([0.98] * 30, 0.0),
    ],
)
def test_l_skewness_by_hand(values: list[float], expected: float) -> None:
    assert l_skewness(values) == pytest.approx(expected, abs=1e-9)


def test_l_skewness_by_its_definition_over_all_threes_and_twos() -> None:
    values = [0.91, 0.975, 0.98, 0.981, 0.9815, 0.979, 0.94]
    exact = [Fraction(value) for value in values]
    threes = [sorted(three) for three in combinations(exact, 3)]
    third = sum(high - 2 * middle + low for low, middle, high in threes) / (3 * len(threes))
    twos = list(combinations(exact, 2))
    second = sum(abs(a - b) for a, b in twos) / (2 * len(twos))
    assert l_skewness(values) == pytest.approx(float(third / second), abs=1e-9)


@pytest.mark.parametrize("references", [20, 30, 100])
def test_one_in_twenty_sets_of_normal_references_leans_to_the_left(references: int) -> None:
    sets = np.random.default_rng(references).standard_normal((4_000, references))
    share = float(np.mean([leans_left(row.tolist()) for row in sets]))
    assert share == pytest.approx(0.05, abs=0.014)  # 4 standard errors


def test_normal_references_keep_their_limit() -> None:
    assert not leans_left(NORMAL)
    assert find_allowed(NORMAL, deviation_of(NORMAL)) == 1.5


def test_a_left_tail_widens_the_limit_until_the_measured_rate_is_far_below_the_promise() -> None:
    deviation = deviation_of(LEFT_TAIL)
    allowed = find_allowed(LEFT_TAIL, deviation)
    gate = resample(LEFT_TAIL, deviation)
    assert gate.chance_to_fail(0.0, allowed=1.5) > PROMISED
    assert 2.0 < allowed < MOST_ALLOWED
    assert gate.chance_to_fail(0.0, allowed=allowed) <= WIDENED_TO < gate.chance_to_fail(0.0, allowed=allowed - 0.05)
    assert math.isclose(allowed * 20, round(allowed * 20)), "steps of 0.05, which people read in a diff"


def test_a_tail_whose_measured_rate_still_holds_is_widened_too() -> None:
    # Half an exponential: 30 references of it seldom measure what is there.
    milder = tuple(
        0.98 + 0.5 * (left - 0.98) + 0.5 * (normal - 0.98) for left, normal in zip(LEFT_TAIL, NORMAL, strict=True)
    )
    deviation = deviation_of(milder)
    assert resample(milder, deviation).chance_to_fail(0.0, allowed=1.5) <= PROMISED
    assert leans_left(milder)
    assert find_allowed(milder, deviation) > 1.5


def test_a_mirrored_tail_keeps_its_limit() -> None:
    mirrored = tuple(1.9 - value for value in LEFT_TAIL)
    assert find_allowed(mirrored, deviation_of(mirrored)) == 1.5


def test_runs_that_end_at_chance_stop_the_widening() -> None:
    collapsing = (*NORMAL[:27], 0.1, 0.1, 0.1)
    assert find_allowed(collapsing, deviation_of(collapsing)) == MOST_ALLOWED


@pytest.mark.parametrize("count", [6, 19])
def test_few_references_widen_nothing(count: int) -> None:
    few = LEFT_TAIL[:count]
    assert find_allowed(few, deviation_of(few)) == 1.5


def test_equal_references_widen_nothing() -> None:
    assert find_allowed((0.98,) * 30, 1e-4) == 1.5
