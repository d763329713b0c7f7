"""Verdicts of pairs that are judged once, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from records import by_seed
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from bench.stats.metrics import accuracy_metric, epochs_metric
from bench.stats.verdicts import PairVerdict, Verdict, fewest_seeds_for_flips, judge_pairs

SIX = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
NEAR = [0.02, -0.03, 0.01, 0.0, 0.02, -0.01]


def _judge(differences: list[float], *, margin: float) -> PairVerdict:
    """The one pair of a, that has these values, and b, that is always 0."""
    (pair,) = judge_pairs(by_seed({"b": [0.0] * len(differences), "a": differences}), accuracy_metric(margin))
    assert (pair.a, pair.b) == ("a", "b")
    return pair


@pytest.mark.parametrize(("margin", "matters"), [(1.0, True), (3.0, None), (6.0, False)])
def test_better_and_whether_it_matters(margin: float, matters: bool | None) -> None:  # noqa: FBT001
    # R: t.test(1:6): t = 4.5826, df = 5, p = 0.005934, 95 % 1.536686 to 5.463314
    pair = _judge(SIX, margin=margin)
    assert (pair.verdict, pair.matters, pair.n, pair.by_flips) == (Verdict.A_BETTER, matters, 6, False)
    assert pair.p == pair.p_holm == pytest.approx(0.005934, abs=5e-7)
    assert (pair.low, pair.high) == pytest.approx((1.536686, 5.463314), abs=5e-7)
    assert pair.confidence == pytest.approx(0.95)
    assert pair.more_seeds is None
    mirrored = _judge([-value for value in SIX], margin=margin)
    assert (mirrored.verdict, mirrored.matters) == (Verdict.B_BETTER, matters)


def test_equivalent_within_the_margin() -> None:
    pair = _judge(NEAR, margin=0.1)  # tested by hand in test_paired: p = 3.03e-5
    assert (pair.verdict, pair.matters, pair.more_seeds) == (Verdict.EQUIVALENT, None, None)
    assert pair.p_equivalent == pytest.approx(3.03e-5, rel=0.01)


def test_undecided_with_the_seeds_that_would_decide() -> None:
    # mean 0.5, deviation √(6/5) = 1.0954: t = 1.118, p = 0.31; statsmodels wants 40 seeds for 80 % power
    pair = _judge([1.5, -0.5] * 3, margin=0.01)
    wanted = math.ceil(TTestPower().solve_power(0.5 / math.sqrt(1.2), None, 0.05, 0.8))
    assert wanted == 40
    assert (pair.verdict, pair.more_seeds, pair.matters) == (Verdict.UNDECIDED, 34, None)
    assert _judge([1.01, -0.99] * 3, margin=1e-4).more_seeds is None, "80,000 seeds are no advice"


def test_more_pairs_take_more_seeds_to_decide() -> None:
    pairs = judge_pairs(by_seed({"a": [1.5, -0.5] * 3, "b": [0.0] * 6, "c": [0.0] * 6}), accuracy_metric(0.01))
    wanted = math.ceil(TTestPower().solve_power(0.5 / math.sqrt(1.2), None, 0.05 / 3, 0.8))
    assert wanted > 50
    assert [pair.more_seeds for pair in pairs] == [wanted - 6, wanted - 6, None]


def test_where_t_and_flips_disagree_a_pair_stays_undecided() -> None:
    # sum 27.5; as far out are, with either sign, no flip, that of -0.5, nothing else: 4/64, though t's p is 0.015
    pair = _judge([8.0, 6.0, 7.0, 3.0, 4.0, -0.5], margin=0.1)
    assert pair.differences is not None
    assert pair.differences.p_flips == 4 / 64
    assert pair.p == pair.p_holm == pytest.approx(ttest_1samp([8, 6, 7, 3, 4, -0.5], 0).pvalue)
    assert pair.p == pytest.approx(0.0153, abs=5e-5)  # 4.5833 / (3.1052 / √6) = 3.6155
    assert pair.low is not None
    assert pair.low > 0
    assert pair.verdict == Verdict.UNDECIDED
    # a seventh seed at 1: no flip, that of -0.5, those of -0.5 and 1 give 28.5, 29.5, 27.5: two of them far enough
    assert _judge([8.0, 6.0, 7.0, 3.0, 4.0, -0.5, 1.0], margin=0.1).verdict == Verdict.A_BETTER


@pytest.mark.parametrize("margin", [1e-9, 0.001])
def test_no_difference_at_all_is_equivalent(margin: float) -> None:
    pair = _judge([0.0] * 6, margin=margin)
    assert (pair.verdict, pair.p, pair.low, pair.high, pair.more_seeds) == (Verdict.EQUIVALENT, 1, 0, 0, None)
    (by_flips,) = judge_pairs(by_seed({"a": SIX, "b": SIX}), epochs_metric(0.05))
    assert by_flips.verdict == Verdict.EQUIVALENT


def test_what_fewer_than_six_seeds_allow() -> None:
    five = _judge(SIX[:5], margin=1.0)
    # R: t.test(1:5): 95 % 1.036757 to 4.963243
    assert (five.verdict, five.more_seeds, five.p) == (Verdict.TOO_FEW_SEEDS, 1, None)
    assert (five.low, five.high) == pytest.approx((1.036757, 4.963243), abs=5e-7)
    two = _judge(SIX[:2], margin=1.0)
    assert (two.verdict, two.more_seeds, two.low, two.high) == (Verdict.TOO_FEW_SEEDS, 4, None, None)
    assert two.differences is not None
    assert two.differences.mean == 1.5
    one = _judge(SIX[:1], margin=1.0)
    assert (one.verdict, one.more_seeds, one.differences) == (Verdict.TOO_FEW_SEEDS, 5, None)
    assert judge_pairs({"a": {0: 1.0}}, accuracy_metric()) == ()


def test_less_time_is_better() -> None:
    (pair,) = judge_pairs(by_seed({"slow": SIX, "fast": [0.0] * 6}), epochs_metric(0.05))
    assert (pair.a, pair.verdict, pair.matters) == ("fast", Verdict.A_BETTER, True)
    assert pair.differences is not None
    assert pair.differences.mean == -3.5


def test_skewed_differences_are_decided_by_flips() -> None:
    # one outlier of six: skewness 2.45 > 2.576 × 0.845; t's p = 0.32, but all signs are alike: 2/64
    values = [0.1, 0.2, 0.1, 0.2, 0.1, 9.0]
    pair = _judge(values, margin=0.01)
    assert (pair.verdict, pair.by_flips, pair.p, pair.matters) == (Verdict.A_BETTER, True, 2 / 64, None)
    assert ttest_1samp(values, 0).pvalue == pytest.approx(0.32, abs=0.01)


def test_holm_over_three_pairs_by_hand() -> None:
    low = [1.0, 1.0, 2.0, 5.0, 6.0, 7.0]
    top = [100.0 + value + bump for value, bump in zip(low, (0, 1, 0, 1, 0, 1), strict=True)]
    pairs = judge_pairs(by_seed({"top": top, "low": low, "nil": [0.0] * 6}), accuracy_metric(1.0))
    found = {(pair.a, pair.b): pair for pair in pairs}
    assert list(found) == [("low", "nil"), ("low", "top"), ("nil", "top")]
    # low − top = −100.5 ± 0.548, nil − top = −104.2 ± 2.99, low − nil = 3.667 ± 2.658: t = 449, 85 and 3.379
    p = {
        names: ttest_1samp(list(pair.differences.values), 0).pvalue for names, pair in found.items() if pair.differences
    }
    assert p["low", "nil"] == pytest.approx(0.0197, abs=5e-5)
    assert found["low", "top"].p_holm == pytest.approx(3 * p["low", "top"], rel=1e-6)
    assert found["nil", "top"].p_holm == pytest.approx(2 * p["nil", "top"], rel=1e-6)
    assert found["low", "nil"].p_holm == pytest.approx(p["low", "nil"])
    assert found["low", "top"].verdict == found["nil", "top"].verdict == Verdict.B_BETTER
    # Holm alone would call low better, p = 0.0197; the interval at 1 − 0.05/3 holds zero as 0.0197 > 0.0167
    last = found["low", "nil"]
    assert last.confidence == pytest.approx(1 - 0.05 / 3)
    assert last.low is not None
    assert last.low < 0
    assert last.verdict == Verdict.UNDECIDED


@pytest.mark.parametrize("nets", ["ab", "abcd", "abcdefg"])
def test_holm_is_that_of_statsmodels(nets: str) -> None:
    drawn = np.random.default_rng(1).normal([[0.3 * at] for at in range(len(nets))], 1, (len(nets), 9))
    pairs = judge_pairs(by_seed(dict(zip(nets, drawn.tolist(), strict=True))), accuracy_metric(1.0))
    for raw, corrected in (
        ([pair.p for pair in pairs], [pair.p_holm for pair in pairs]),
        ([p_same(pair) for pair in pairs], [pair.p_equivalent for pair in pairs]),
    ):
        assert corrected == pytest.approx(multipletests(raw, method="holm")[1])


def p_same(pair: PairVerdict) -> float:
    """Uncorrected, of the test that decides."""
    assert pair.differences is not None
    return pair.differences.p_equivalent_flips if pair.by_flips else pair.differences.p_equivalent


def test_holm_over_equivalences_by_hand() -> None:
    values = {"a": [value + 0.05 for value in NEAR], "b": NEAR, "c": [0.0] * 6}
    pairs = judge_pairs(by_seed(values), accuracy_metric(0.1))
    raw = [pair.differences.p_equivalent for pair in pairs if pair.differences]
    # a − b is 0.05 without deviation: p = 0, times 3; b − c: 3.03e-5 times 2; a − c: the largest, times 1
    assert [pair.p_equivalent for pair in pairs] == pytest.approx([0.0, raw[1], 2 * raw[2]])
    assert raw[1] == pytest.approx(ttest_1samp(values["a"], 0.1, alternative="less").pvalue)
    assert [pair.verdict for pair in pairs] == [Verdict.A_BETTER, Verdict.A_BETTER, Verdict.EQUIVALENT]


def test_six_seeds_are_too_few_for_flips_over_many_pairs() -> None:
    # 2/64 × 6 = 0.19, 2/128 × 6 = 0.094, 2/256 × 6 = 0.047; for ten pairs 2/256 × 10 = 0.078, 2/512 × 10 = 0.039
    assert [fewest_seeds_for_flips(pairs) for pairs in (1, 3, 6, 10)] == [6, 7, 8, 9]
    assert fewest_seeds_for_flips(1, 0.0147697) == 8, "2/128 = 0.0156 is above the first look's level"
    for names, fewest in (("abcd", 8), ("abcde", 9)):
        for seeds in (2, 6, fewest - 1):
            ordered = by_seed({name: [at + s * at / 8 for s in range(seeds)] for at, name in enumerate(names)})
            pairs = judge_pairs(ordered, epochs_metric(0.05))
            assert {(pair.verdict, pair.n + (pair.more_seeds or 0)) for pair in pairs} == {
                (Verdict.TOO_FEW_SEEDS, fewest)
            }


def test_eight_seeds_decide_six_pairs_by_flips() -> None:
    ordered = by_seed({name: [at + s * at / 8 for s in range(8)] for at, name in enumerate("abcd")})
    pairs = judge_pairs(ordered, epochs_metric(0.05))
    assert [pair.verdict for pair in pairs] == [Verdict.A_BETTER] * 6
    assert [pair.p_holm for pair in pairs] == pytest.approx([6 / 128] * 6)


def test_runs_without_a_value_and_missing_runs_are_no_pairs() -> None:
    values = by_seed({"a": [*SIX, 50.0, 60.0], "b": [0.0] * 8})
    values["a"][6] = math.nan
    del values["b"][7]
    (pair,) = judge_pairs(values, accuracy_metric(1.0))
    assert (pair.seeds, pair.left_out) == ((0, 1, 2, 3, 4, 5), (6,))
    assert pair.low == pytest.approx(1.536686, abs=5e-7)
    values["b"][5] = math.inf
    (pair,) = judge_pairs(values, accuracy_metric(1.0))
    assert (pair.n, pair.left_out, pair.verdict) == (5, (5, 6), Verdict.TOO_FEW_SEEDS)


def test_an_architecture_without_values_takes_no_place_in_holm() -> None:
    pairs = judge_pairs(by_seed({"a": SIX, "b": [0.0] * 6, "failed": [math.nan] * 6}), accuracy_metric(1.0))
    found = {(pair.a, pair.b): pair for pair in pairs}
    assert found["a", "b"].confidence == pytest.approx(0.95)
    assert found["a", "b"].p_holm == found["a", "b"].p
    for name in ("a", "b"):
        pair = found[name, "failed"]
        assert (pair.verdict, pair.n, pair.left_out) == (Verdict.TOO_FEW_SEEDS, 0, (0, 1, 2, 3, 4, 5))
        assert (pair.differences, pair.low, pair.p) == (None, None, None)
