"""Paired differences, against textbooks, R and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench.stats.paired import pair_differences, seeds_to_decide

# Student's own example (1908, Biometrika 6): hours of sleep that two drugs added, ten patients; in R `sleep`.
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]


def test_students_sleep_data_as_r_judges_them() -> None:
    found = pair_differences(SECOND, FIRST, margin=0.5)
    # R: t.test(extra ~ group, paired = TRUE): t = 4.0621, df = 9, p = 0.002833, 95 % 0.7001142 to 2.4598858
    assert found.n == 10
    assert found.mean == pytest.approx(1.58)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.interval(0.95) == pytest.approx((0.7001142, 2.4598858), abs=5e-8)
    assert found.superiority == pytest.approx(0.95), "nine of ten, and a tie"


@pytest.mark.parametrize("n", [6, 8])
def test_sign_flips_are_all_tried(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.4, 1, n)
    signs = np.array(list(itertools.product([1, -1], repeat=n)))
    means = np.abs((signs * differences).mean(axis=1))
    brute = (means >= abs(differences.mean()) - 1e-12).mean()
    assert pair_differences(differences, np.zeros(n), margin=0.1).p_flips == pytest.approx(brute)


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    found = pair_differences([0.02, -0.03, 0.01, 0.00, 0.02, -0.01], [0.0] * 6, margin=0.1)
    # mean 0.01/6, deviation 0.0194079: t = (0.1 - 0.0016667) / (0.0194079 / sqrt(6)) = 12.4107 with 5 degrees
    assert found.deviation == pytest.approx(0.0194079, abs=5e-8)
    assert found.p_equivalent == pytest.approx(3.03e-5, rel=0.01)


def test_equal_differences_need_no_deviation() -> None:
    nothing = pair_differences([0.5, 0.6, 0.7], [0.5, 0.6, 0.7], margin=0.1)
    assert (nothing.p, nothing.p_flips, nothing.p_equivalent, nothing.interval(0.95)) == (1, 1, 0, (0, 0))
    always = pair_differences([0.7, 0.8, 0.9], [0.5, 0.6, 0.7], margin=0.1)
    assert (always.p, always.p_equivalent, always.deviation) == (0, 1, 0)
    assert always.p_flips == pytest.approx(2 / 8)


def test_pairs_with_a_missing_value_are_left_out() -> None:
    found = pair_differences([1.0, float("nan"), 3.0, 4.0], [0.0, 1.0, float("inf"), 2.0], margin=0.1)
    assert found.values == (1.0, 2.0)
    with pytest.raises(ValueError, match="Two pairs"):
        pair_differences([1.0, float("nan")], [0.0, 0.0], margin=0.1)


def test_one_seed_far_off_is_skew() -> None:
    usual = [0.1, 0.2, -0.1, 0.0, 0.15, -0.05, 0.05, 0.1]
    assert not pair_differences(usual, [0.0] * 8, margin=0.1).skewed
    assert pair_differences([*usual[:-1], 9.0], [0.0] * 8, margin=0.1).skewed


def test_seeds_for_80_percent_power_as_the_table_of_the_method_says() -> None:
    # METHODOLOGY: deviation 0.07 pp a side, unpaired-like: 0.30 pp takes 4 seeds, 0.10 pp takes 10
    side = np.array([-1, 1] * 20) * 0.07 * np.sqrt(2) * np.sqrt(39 / 40)
    for difference, wanted in ((0.10, 10), (0.30, 4)):
        found = pair_differences(side + difference, np.zeros(40), margin=0.001)
        assert found.deviation == pytest.approx(0.07 * np.sqrt(2))
        assert seeds_to_decide(found, alpha=0.05, margin=0.001) == pytest.approx(wanted, abs=1)
