"""The expected best of n trials against brute force over all subsets and numbers worked by hand."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest

from bench.analysis.stats.expected_best import FAILED_ACCURACY, expected_best


def test_three_trials_by_hand() -> None:
    # one: (0.9 + 0.6 + 0.3) / 3; two: the pairs' bests are 0.9, 0.9, 0.6; three: 0.9
    means = [each.mean for each in expected_best([0.6, 0.9, 0.3])]
    assert means == pytest.approx([0.6, 0.8, 0.9], rel=1e-15)


def test_mean_over_all_subsets() -> None:
    values = np.random.default_rng(3).normal(0.98, 0.01, size=9).tolist()
    found = expected_best(values)
    assert [each.n for each in found] == list(range(1, 10))
    for each in found:
        best = [max(subset) for subset in itertools.combinations(values, each.n)]
        assert each.mean == pytest.approx(statistics.fmean(best), rel=1e-13)


def test_no_bias_where_the_truth_is_known() -> None:
    # the best of 4 uniform draws is 4/5 on average, whatever number was drawn in all; with replacement it would be less
    drawn = np.random.default_rng(0).uniform(size=(2_000, 6))
    mean = statistics.fmean(expected_best(row.tolist())[3].mean for row in drawn[:400])
    deviation = statistics.stdev(expected_best(row.tolist())[3].mean for row in drawn[:400])
    assert abs(mean - 0.8) < 3 * deviation / math.sqrt(400)
    with_replacement = statistics.fmean(
        float(np.diff(np.append(0, (np.arange(1, 7) / 6) ** 4)) @ np.sort(row)) for row in drawn[:400]
    )
    assert with_replacement < 0.8 - 3 * deviation / math.sqrt(400)


def test_a_failed_trial_pulls_the_mean_of_few_and_not_the_best_of_all() -> None:
    found = expected_best([0.9, FAILED_ACCURACY])
    assert [each.mean for each in found] == pytest.approx([0.45, 0.9])


def test_interval_of_two_trials_by_hand() -> None:
    # drawn again, two trials are both low in a quarter of cases, both high in another: beyond 2.5 % on either side
    one, two = expected_best([0.2, 0.8])
    assert (one.low, one.high) == pytest.approx((0.2, 0.8))
    assert (two.low, two.high) == pytest.approx((0.2, 0.8))


def test_interval_of_the_first_is_that_of_a_mean() -> None:
    values = np.random.default_rng(5).normal(0.5, 0.1, size=40)
    one = expected_best(values.tolist())[0]
    half = 1.96 * values.std() / math.sqrt(40)  # the bootstrap's own deviation divides by n
    assert (one.low, one.high) == pytest.approx((one.mean - half, one.mean + half), abs=0.15 * half)


def test_repeats_and_takes_other_seeds() -> None:
    values = np.random.default_rng(5).normal(size=12).tolist()
    assert expected_best(values) == expected_best(values[::-1])
    assert expected_best(values, seed=1) != expected_best(values)


def test_a_thousand_trials_stay_finite_and_rise() -> None:
    found = expected_best([k / 1000 for k in range(1000)])
    means = [each.mean for each in found]
    assert means == sorted(means)
    # of 1..N the expected maximum of n is n (N + 1) / (n + 1)
    assert means[9] == pytest.approx((10 * 1001 / 11 - 1) / 1000, rel=1e-12)
    assert means[-1] == pytest.approx(0.999)


def test_no_trials_give_nothing() -> None:
    assert expected_best([]) == ()
