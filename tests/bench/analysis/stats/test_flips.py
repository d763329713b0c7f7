"""The sign flips, against scipy's permutation test, brute force and Fisher's own count."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test

from bench.analysis.stats.flips import DRAWN, EXACT, all_signs, flip_signs


@pytest.mark.parametrize("n", [2, 6, 7, 9, 12])
def test_scipy_says_the_same(n: int) -> None:
    for differences in (np.random.default_rng(n).normal(0.4, 1, n), np.random.default_rng(n).integers(-3, 4, n) / 8):
        expected = permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=2**n).pvalue
        assert flip_signs(differences) == pytest.approx(expected, rel=1e-12)


def test_the_flips_of_three_counted_by_hand() -> None:
    # sums of ±1 ±2 ±4: ±7, ±5, ±3, ±1; observed −1 + 2 + 4 = 5: 7, 5, −7 and −5 are as far out
    assert flip_signs(np.array([-1.0, 2.0, 4.0])) == 4 / 8


def test_fishers_count_for_darwins_maize() -> None:
    # Fisher 1935, The Design of Experiments, 21: 863 of the 32,768 sums are as high as the one found, as many as low
    darwin = np.array([49.0, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
    assert len(darwin) == EXACT
    assert flip_signs(darwin) == flip_signs(-darwin) == 2 * 863 / 2**15


def test_sums_that_tie_tie_though_their_last_bits_differ() -> None:
    # 0.1 + 0.2 − 0.3 is 5.6e-17 and not 0: with a zero mean every flip is as far out
    assert flip_signs(np.array([0.1, 0.2, -0.3])) == 1.0
    assert flip_signs(np.array([0.1] * 7)) == 2 / 2**7


def test_beyond_fifteen_pairs_drawn_flips_come_near_all_flips() -> None:
    differences = np.random.default_rng(3).normal(0.4, 1, 16)
    sums = np.array(list(itertools.product([1.0, -1.0], repeat=16))) @ differences
    exact = float((np.abs(sums) >= abs(differences.sum()) - 1e-9).mean())
    error = np.sqrt(exact * (1 - exact) / DRAWN)
    assert abs(flip_signs(differences) - exact) < 5 * error + 2 / DRAWN


def test_drawn_flips_never_give_nought_and_repeat() -> None:
    sure = np.full(40, 0.5)
    assert flip_signs(sure) == 1 / (DRAWN + 1), "what was observed is one of the draws"
    differences = np.random.default_rng(0).normal(0.2, 1, 20)
    assert flip_signs(differences) == flip_signs(differences.copy())


def test_all_signs_are_each_there_once_the_unflipped_first() -> None:
    signs = all_signs(6)
    assert signs[0].tolist() == [1.0] * 6
    assert sorted(map(tuple, signs.tolist())) == sorted(itertools.product([-1.0, 1.0], repeat=6))
