"""Which seeds of a net collapsed, and what so many seeds say of the rest, by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, binom, hypergeom

from bench.analysis.reliability import Collapses, find_collapses, p_of_collapses

STEADY = {seed: 0.95 + 0.001 * seed for seed in range(6)}
"""Median 0.9525, median absolute deviation 0.0015: eight robust deviations are 0.0178."""


@pytest.mark.parametrize(("accuracy", "collapsed"), [(0.936, ()), (0.933, (6,))])
def test_far_below_the_median_of_its_own_net(accuracy: float, collapsed: tuple[int, ...]) -> None:
    # with the seventh seed below: median 0.952, absolute deviations .002 .001 0 .001 .002 .003 and far: their median
    # 0.002, times 1.4826 × 8 = 0.02372; 0.952 − 0.02372 = 0.92828
    found = find_collapses(STEADY | {6: accuracy - 0.006}, limit=0.145, images=None)
    assert found.collapsed == collapsed
    assert found.seeds == tuple(range(7))


def test_the_noise_of_the_test_images_is_no_collapse() -> None:
    # all alike but one: no spread at all, but 1,000 images at 95 % have a deviation of 0.69 pp, eight of them 5.5 pp
    alike = dict.fromkeys(range(9), 0.95)
    assert find_collapses(alike | {9: 0.90}, limit=0.145, images=1_000).collapsed == ()
    assert find_collapses(alike | {9: 0.89}, limit=0.145, images=1_000).collapsed == (9,)
    assert find_collapses(alike | {9: 0.94}, limit=0.145, images=10**9).collapsed == (9,)


def test_a_net_without_a_single_error_has_not_collapsed() -> None:
    perfect = find_collapses(dict.fromkeys(range(6), 1.0), limit=0.145, images=1_000)
    assert (perfect.collapsed, perfect.typical, perfect.mean) == ((), 1.0, 1.0)
    # one image of a thousand is the least that can be seen: eight of them are noise, nine are not
    assert find_collapses(dict.fromkeys(range(6), 1.0) | {6: 0.992}, limit=0.145, images=1_000).collapsed == ()
    assert find_collapses(dict.fromkeys(range(6), 1.0) | {6: 0.991}, limit=0.145, images=1_000).collapsed == (6,)


def test_chance_and_divergence_count_from_the_first_seed_on() -> None:
    found = find_collapses({0: 0.1135, 1: 0.97, 2: 0.1, 3: math.nan}, limit=0.145, images=1_000)
    assert found.collapsed == (0, 2), "a net that always says 1 is right on 11.35 % of MNIST"
    assert (found.seeds, found.typical) == ((0, 1, 2), 0.97)
    assert found.mean == pytest.approx((0.1135 + 0.97 + 0.1) / 3)
    assert find_collapses({0: 0.5, 1: 0.97}, limit=0.145, images=1_000).collapsed == (), "too few seeds to say far"
    nothing = find_collapses({}, limit=0.145, images=None)
    assert (nothing.collapsed, nothing.typical, nothing.mean, nothing.upper_bound) == ((), None, None, 1.0)


def _having(collapsed: int, seeds: int) -> Collapses:
    return Collapses(seeds=tuple(range(seeds)), collapsed=tuple(range(collapsed)), typical=None, mean=None)


def test_the_bound_is_exact() -> None:
    # none of n: 1 − 0.05^(1/n), 39 % at six; Clopper and Pearson: where k or fewer have a probability of 5 %
    assert _having(0, 6).upper_bound == pytest.approx(1 - 0.05 ** (1 / 6))
    assert _having(0, 6).upper_bound == pytest.approx(0.393, abs=5e-4)
    for count, seeds in ((1, 9), (3, 30), (6, 6)):
        bound = _having(count, seeds).upper_bound
        assert bound == pytest.approx(beta.ppf(0.95, count + 1, seeds - count) if count < seeds else 1.0)
        assert count == seeds or binom.cdf(count, seeds, bound) == pytest.approx(0.05)


def test_counts_are_compared_from_ten_seeds_on() -> None:
    assert p_of_collapses(_having(5, 9), _having(0, 30)) is None
    # Fisher: all four collapses in the one of two nets with ten seeds each: 2 × C(10, 4) / C(20, 4) = 2 × 210 / 4,845
    assert p_of_collapses(_having(4, 10), _having(0, 10)) == pytest.approx(2 * 210 / 4_845)
    assert p_of_collapses(_having(4, 10), _having(0, 10)) == pytest.approx(2 * hypergeom(20, 10, 4).pmf(4))


@pytest.mark.parametrize(("seeds", "most"), [(6, 0.05), (10, 0.02), (30, 0.002)])
def test_normal_nets_seldom_seem_to_collapse(seeds: int, most: float) -> None:
    drawn = np.random.default_rng(seeds).normal(0.9, 0.01, (2_000, 4, seeds))
    flagged = [
        any(find_collapses(dict(enumerate(net)), limit=0.145, images=None).collapsed for net in table.tolist())
        for table in drawn
    ]
    assert np.mean(flagged) <= most
