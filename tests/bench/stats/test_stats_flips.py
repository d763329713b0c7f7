"""The sign flips, against scipy's permutation test, brute force and Fisher's own count."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest
from scipy.stats import permutation_test

from bench.stats.flips import DRAWN, EXACT, all_signs, flip_signs, flip_signs_beyond

Alternative = Literal["two-sided", "greater", "less"]
ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("n", [2, 6, 7, 9, 12])
def test_scipy_says_the_same(n: int, alternative: Alternative) -> None:
    for differences in (np.random.default_rng(n).normal(0.4, 1, n), np.random.default_rng(n).integers(-3, 4, n) / 8):
        expected = permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=2**n, alternative=alternative
        ).pvalue
        assert flip_signs(differences, alternative) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_the_flips_of_three_counted_by_hand(alternative: Alternative) -> None:
    # sums of ±1 ±2 ±4: ±7, ±5, ±3, ±1; observed −1 + 2 + 4 = 5: 7, 5 | −7, −5 as far out, all but 7 at most 5
    expected = {"two-sided": 4 / 8, "greater": 2 / 8, "less": 7 / 8}[alternative]
    assert flip_signs(np.array([-1.0, 2.0, 4.0]), alternative) == expected


def test_fishers_count_for_darwins_maize() -> None:
    # Fisher 1935, The Design of Experiments, 21: 863 of the 32,768 sums are as high as the one found
    darwin = np.array([49.0, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
    assert len(darwin) == EXACT
    assert flip_signs(darwin, "greater") == 863 / 2**15
    assert flip_signs(-darwin, "less") == 863 / 2**15


def test_sums_that_tie_tie_though_their_last_bits_differ() -> None:
    # 0.1 + 0.2 − 0.3 is 5.6e-17 and not 0: with a zero mean every flip is as far out
    assert flip_signs(np.array([0.1, 0.2, -0.3]), "two-sided") == 1.0
    assert flip_signs(np.array([0.1] * 7), "two-sided") == 2 / 2**7


def test_beyond_fifteen_pairs_drawn_flips_come_near_all_flips() -> None:
    differences = np.random.default_rng(3).normal(0.4, 1, 16)
    sums = np.array(list(itertools.product([1.0, -1.0], repeat=16))) @ differences
    for alternative, far in (("two-sided", np.abs(sums)), ("greater", sums), ("less", -sums)):
        observed = {"two-sided": abs(differences.sum()), "greater": differences.sum(), "less": -differences.sum()}
        exact = float((far >= observed[alternative] - 1e-9).mean())
        error = np.sqrt(exact * (1 - exact) / DRAWN)
        assert abs(flip_signs(differences, alternative) - exact) < 5 * error + 2 / DRAWN  # type: ignore[arg-type]


def test_drawn_flips_never_give_nought_and_repeat() -> None:
    sure = np.full(40, 0.5)
    assert flip_signs(sure, "two-sided") == 1 / (DRAWN + 1), "what was observed is one of the draws"
    differences = np.random.default_rng(0).normal(0.2, 1, 20)
    assert flip_signs(differences, "two-sided") == flip_signs(differences.copy(), "two-sided")


def test_all_signs_are_each_there_once_the_unflipped_first() -> None:
    signs = all_signs(6)
    assert signs[0].tolist() == [1.0] * 6
    assert sorted(map(tuple, signs.tolist())) == sorted(itertools.product([-1.0, 1.0], repeat=6))


def test_the_test_of_equivalence_is_the_larger_of_two_one_sided_ones() -> None:
    random = np.random.default_rng(3)
    for n in (6, 20):
        for margin in (0.05, 0.5, 2.0):
            differences = random.normal(0.2, 1.0, n)
            one_sided = flip_signs(differences + margin, "greater"), flip_signs(differences - margin, "less")
            assert flip_signs_beyond(differences, margin) == max(one_sided)
