"""The rank test, against its definition, scipy, statsmodels' numbers of pairs and an exact enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, t

from bench.analysis.stats.ranks import DRAWN, TABULATED, fewest_seeds, p_of_ranks, p_of_statistic, rank_statistic


def by_definition(a: list[float], b: list[float]) -> float:
    """Munzel and Brunner 2002: pairs of runs counted one by one, seeds kept together in the standard error."""
    n = len(a)
    above = [[(x > y) + 0.5 * (x == y) for y in b] for x in a]
    share = sum(map(sum, above)) / n**2
    projected = [sum(above[i]) / n - sum(1 - above[k][i] for k in range(n)) / n for i in range(n)]
    mean = sum(projected) / n
    variance = sum((value - mean) ** 2 for value in projected) / (n - 1)
    return (share - 0.5) / math.sqrt(variance / n)


@pytest.mark.parametrize("n", [3, 6, 9, 20])
def test_the_statistic_is_that_of_its_definition(n: int) -> None:
    random = np.random.default_rng(n)
    for a, b in ((random.normal(0.3, 1, n), random.normal(0, 3, n)), random.integers(0, 5, (2, n)) / 8):
        assert rank_statistic(a, b) == pytest.approx(by_definition(a.tolist(), b.tolist()))
        assert rank_statistic(b, a) == pytest.approx(-by_definition(a.tolist(), b.tolist()))


def test_its_numerator_is_that_of_mann_and_whitney() -> None:
    a, b = np.random.default_rng(1).normal([[0.5], [0.0]], 1, (2, 12))
    share = mannwhitneyu(a, b).statistic / 12**2
    below_a, below_b = (np.array([(x > other).mean() for x in own]) for own, other in ((a, b), (b, a)))
    error = np.std(below_a - below_b, ddof=1) / math.sqrt(12)
    assert rank_statistic(a, b) == pytest.approx((share - 0.5) / error)


def test_seven_of_eight_against_one_value_by_hand() -> None:
    # b is always 0: a is above it on 7 of 8 seeds, so the lead is 3/8. Its seven are above all of b's runs, its
    # eighth above none, each of b's above one of eight: projections 7/8 (seven times) and −1/8, mean 3/4, sum of their
    # squares 7 (1/8)² + (7/8)² = 7/8, standard error √(7/8 / 7 / 8) = 1/8
    assert rank_statistic(np.array([1.0] * 7 + [-9.0]), np.zeros(8)) == pytest.approx(3.0)


def test_complete_separation_and_one_rank_throughout_are_infinite() -> None:
    six = np.arange(6.0)
    assert rank_statistic(six + 10, six) == math.inf
    assert rank_statistic(six - 0.5, six) == -math.inf, "below on every seed, and by one rank"
    assert rank_statistic(six, six) == 0.0
    assert p_of_ranks(six, six) == 1.0
    # 2 of the C(12, 6) = 924 ways in which the ranks of two nets can fall, and those by one rank throughout
    p = p_of_ranks(six + 10, six)
    assert p == pytest.approx(2 / 924, abs=4 * math.sqrt(2 / 924 / DRAWN) + 2 / 924 * 0.2)


def test_the_null_distribution_is_that_of_every_permutation() -> None:
    ranks = np.array(list(itertools.permutations(range(8))), dtype=float)  # (40,320, 8): four seeds, both nets
    sizes = np.abs(rank_statistic(ranks[:, :4], ranks[:, 4:]))
    a = np.array([1.0, 2.0, 5.0, 7.0])
    for b in ([0.0, 3.0, 4.0, 6.0], [0.5, 0.6, 0.7, 6.0], [8.0, 9.0, 10.0, 0.0], [-1.0, -2.0, -3.0, -4.0]):
        exact = float((sizes >= abs(rank_statistic(a, np.array(b))) * (1 - 1e-12)).mean())
        error = math.sqrt(exact * (1 - exact) / DRAWN)
        assert p_of_ranks(a, np.array(b)) == pytest.approx(exact, abs=5 * error + 2 / DRAWN)


def test_one_sided_tests_share_the_two_sided_one() -> None:
    a, b = np.random.default_rng(2).normal([[0.8], [0.0]], 1, (2, 9))
    both = p_of_ranks(a, b)
    assert p_of_ranks(a, b, "greater") == pytest.approx(both / 2)
    assert p_of_ranks(b, a, "greater") == pytest.approx(1 - both / 2)


def test_many_seeds_are_judged_by_students_t_which_the_table_comes_near() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(0.3, 1, TABULATED + 10), random.normal(0, 1, TABULATED + 10)
    expected = 2 * t.sf(abs(rank_statistic(a, b)), TABULATED + 9)
    assert p_of_ranks(a, b) == pytest.approx(expected)
    for level in (0.05, 0.01, 0.002):
        edge = np.array(t.isf(level / 2, TABULATED - 1))
        assert p_of_statistic(edge, TABULATED) == pytest.approx(level, rel=0.3)
        assert p_of_statistic(edge, TABULATED) >= level, "t is a little bolder"


def test_p_of_many_statistics_is_that_of_each() -> None:
    a, b = np.random.default_rng(6).normal(0, 1, (2, 50, 7))
    together = p_of_statistic(rank_statistic(a, b), 7)
    assert together.tolist() == [p_of_ranks(one, other) for one, other in zip(a, b, strict=True)]


def test_so_many_seeds_are_needed_before_anything_can_be_told_apart() -> None:
    # 2 / C(12, 6) = 0.0022, 2 / C(16, 8) = 0.000155, 2 / C(20, 10) = 0.0000108: 50 nets have 1,225 pairs
    assert [fewest_seeds(pairs, 0.05) for pairs in (1, 6, 22, 24, 1_225)] == [6, 6, 6, 7, 10]
    assert fewest_seeds(6, 0.0148) == 6, "6 × 0.00216 is below the first look's level"
    assert fewest_seeds(10, 0.0148) == 7
