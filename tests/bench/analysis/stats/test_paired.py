"""Paired differences, against textbooks, R and other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from bench.analysis.stats.paired import pair_differences
from bench.analysis.stats.ranks import p_of_ranks

# Student's own example (1908, Biometrika 6): hours of sleep that two drugs added, ten patients; in R `sleep`.
SECOND = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
FIRST = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
# Darwin's maize as Fisher tests it (1935, The Design of Experiments, 17): crossed minus self-fertilised, inches / 8.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_students_sleep_data_as_r_judges_them() -> None:
    found = pair_differences(SECOND, FIRST, margin=0.5)
    # R: t.test(extra ~ group, paired = TRUE): 95 % 0.7001142 to 2.4598858
    assert found.n == 10
    assert found.mean == pytest.approx(1.58)
    assert found.interval(0.95) == pytest.approx((0.7001142, 2.4598858), abs=5e-8)


def test_darwins_maize_as_fisher_judges_it() -> None:
    found = pair_differences(DARWIN, [0.0] * 15, margin=1.0)
    # Fisher: mean 20.933, standard error 9.746; 1,726 of the 32,768 flips lie as far out
    assert found.mean == pytest.approx(20.933, abs=5e-4)
    assert found.deviation / math.sqrt(15) == pytest.approx(9.746, abs=5e-4)
    assert found.p_flips == 1726 / 32768


@pytest.mark.parametrize("confidence", [0.90, 0.95, 1 - 0.05 / 6])
@pytest.mark.parametrize("n", [2, 3, 6, 20])
def test_intervals_are_scipys(n: int, confidence: float) -> None:
    a, b = np.random.default_rng(n).normal(0.99, 0.001, (2, n)).round(9)
    expected = ttest_rel(a, b).confidence_interval(confidence)
    found = pair_differences(a.tolist(), b.tolist(), margin=0.001).interval(confidence)
    assert found == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_equivalence_is_the_largest_of_four_one_sided_tests() -> None:
    values = [0.02, -0.03, 0.01, 0.00, 0.02, -0.01]
    found = pair_differences(values, [0.0] * 6, margin=0.1)
    # mean 0.01/6, deviation 0.0194079: t = (0.1 - 0.0016667) / (0.0194079 / sqrt(6)) = 12.4107 with 5 degrees, p 3e-5.
    # Ranks are coarser: moved by 0.1 either way every run of one is above every run of the other, 1 of C(12, 6) = 924.
    assert found.deviation == pytest.approx(0.0194079, abs=5e-8)
    assert ttest_1samp(values, 0.1, alternative="less").pvalue == pytest.approx(3.03e-5, rel=0.01)
    assert found.p_equivalent == p_of_ranks(np.array(values) + 0.1, np.zeros(6), "greater")
    assert found.p_equivalent == pytest.approx(1 / 924, rel=0.2)
    # A seed 0.5 below the others leaves the ranks alone but for itself, and the mean's test in doubt.
    far = [*values[:-1], -0.5]
    by_means = ttest_1samp(far, -0.1, alternative="greater").pvalue
    assert by_means > p_of_ranks(np.array(far) + 0.1, np.zeros(6), "greater")
    assert pair_differences(far, [0.0] * 6, margin=0.1).p_equivalent == pytest.approx(by_means)


def test_what_lies_a_margin_apart_is_not_equivalent() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(0.1, 0.02, 10), random.normal(0, 0.02, 10)
    assert pair_differences(a.tolist(), b.tolist(), margin=0.1).p_equivalent > 0.2
    assert pair_differences(a.tolist(), b.tolist(), margin=0.2).p_equivalent < 0.001


def test_equal_differences_need_no_deviation() -> None:
    nothing = pair_differences([0.5, 0.6, 0.7], [0.5, 0.6, 0.7], margin=0.1)
    assert (nothing.p_ranks, nothing.p_flips, nothing.interval(0.95)) == (1, 1, (0, 0))
    always = pair_differences([0.7, 0.8, 0.9], [0.5, 0.6, 0.7], margin=0.1)
    assert (always.p_equivalent, always.deviation) == (1, 0)
    assert always.p_flips == pytest.approx(2 / 8)


def test_pairs_with_a_missing_value_are_left_out() -> None:
    found = pair_differences([1.0, float("nan"), 3.0, 4.0], [0.0, 1.0, float("inf"), 2.0], margin=0.1)
    assert (found.n, found.mean, found.interval(0)) == (2, 1.5, (1.5, 1.5))
    with pytest.raises(ValueError, match="Two pairs"):
        pair_differences([1.0, float("nan")], [0.0, 0.0], margin=0.1)
    with pytest.raises(ValueError, match="3 and 2 values cannot be paired"):
        pair_differences([1.0, 2.0, 3.0], [0.0, 0.0], margin=0.1)


def test_superiority_counts_ties_half_with_wilsons_interval() -> None:
    share, low, high = pair_differences(SECOND, FIRST, margin=0.5).superiority
    # nine of ten and a tie: p = 0.95; Wilson: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)
    z2 = 1.959963985**2
    half = math.sqrt(z2 * (0.95 * 0.05 / 10 + z2 / 400))
    assert share == pytest.approx(0.95)
    assert (low, high) == pytest.approx(
        ((0.95 + z2 / 20 - half) / (1 + z2 / 10), (0.95 + z2 / 20 + half) / (1 + z2 / 10))
    )
    # six of six: low end n / (n + z²) = 6 / 9.841459
    assert pair_differences([1.0] * 6, [0.0] * 6, margin=1).superiority == pytest.approx((1.0, 0.609666, 1.0), abs=1e-6)


def test_signs_or_t_must_bear_out_ranks_where_one_hardly_varies_beside_the_other() -> None:
    wide = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]  # deviation √(35/12) = 1.708
    for height, unlike in ((0.0, True), (1.13, True), (1.15, False)):
        other = [-height] * 3 + [0.0] * 3  # deviation height / 2: a third of 1.708 at 1.139
        for pair in (pair_differences(wide, other, margin=0.1), pair_differences(other, wide, margin=0.1)):
            assert pair.is_unlike == unlike
            assert pair.p_signs == 2 / 64
            assert pair.p_ranks == pytest.approx(2 / 924, rel=0.2)
            assert pair.p_better == max(pair.p_ranks, pair.p_t if unlike else 0.0)
    # 1 to 6 above nothing: mean 3.5 over √(3.5 / 6), R: t.test(1:6) t = 4.5826, df = 5, p-value = 0.005934
    assert pair_differences(wide, [0.0] * 6, margin=0.1).p_better == pytest.approx(0.005934, abs=5e-7)
    nearer = pair_differences([0.1, 0.2, 0.1, 0.2, 0.1, 9.0], [0.0] * 6, margin=0.1)
    assert nearer.p_t == pytest.approx(0.32, abs=0.01)
    assert nearer.p_better == 2 / 64
    mixed = pair_differences(wide, [0.0, 3.0, 3.0, 0.0, 0.0, 0.0], margin=0.1)
    assert mixed.p_signs == pytest.approx(0.375), "one below, one tied, four above: (1 + 5) 2 / 2⁵"
    constant = pair_differences([0.5] * 6, [0.25] * 6, margin=0.1)
    assert (constant.is_unlike, constant.p_t, constant.p_better) == (True, 1.0, 2 / 64)


def test_values_that_are_equal_but_for_their_last_bits_tie() -> None:
    # Mean recalls of classes of 60, 24 and 9 images, from two ways of being right on them that make the same mean.
    one, other = (float(np.mean(recalls)) for recalls in ([50 / 60, 18 / 24, 3 / 9], [55 / 60, 24 / 24, 0 / 9]))
    assert one != other
    found = pair_differences([one] * 6, [other] * 6, margin=0.001)
    assert (found.values, found.p_ranks, found.rank_lead) == ((0.0,) * 6, 1.0, 0.0)
