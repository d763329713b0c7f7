"""Verdicts of pairs that are judged once, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests

from bench.analysis.metrics import accuracy_metric, epochs_metric
from bench.analysis.stats.ranks import p_of_ranks
from bench.analysis.verdicts import PairVerdict, Verdict, judge, judge_pairs
from bench.core.seeds import SeedPlan
from tests.factories import by_seed

SIX = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
OVERLAPPING = ([1.0, 2.0, 3.5, 5.0, 7.0, 9.0], [0.5, 1.0, 3.0, 1.0, 6.5, 8.5])
NEAR = [0.02, -0.03, 0.01, 0.0, 0.02, -0.01]


def _judge(differences: list[float], *, margin: float) -> PairVerdict:
    """The one pair of a, that has these values, and b, that is always 0."""
    (pair,) = judge_pairs(by_seed({"b": [0.0] * len(differences), "a": differences}), accuracy_metric(margin))
    assert (pair.a, pair.b) == ("a", "b")
    return pair


@pytest.mark.parametrize(("margin", "matters"), [(1.0, True), (3.0, None), (6.0, False)])
def test_better_and_whether_it_matters(margin: float, matters: bool | None) -> None:  # noqa: FBT001
    # R: t.test(1:6): 95 % 1.536686 to 5.463314; b never varies: p of the t test, 0.005934
    pair = _judge(SIX, margin=margin)
    assert (pair.verdict, pair.matters, pair.n, pair.typical_only) == (Verdict.A_BETTER, matters, 6, False)
    assert pair.p == pair.p_holm == pytest.approx(0.005934, abs=5e-7)
    assert (pair.low, pair.high) == pytest.approx((1.536686, 5.463314), abs=5e-7)
    assert pair.confidence == pytest.approx(0.95)
    assert pair.more_seeds is None
    mirrored = _judge([-value for value in SIX], margin=margin)
    assert (mirrored.verdict, mirrored.matters) == (Verdict.B_BETTER, matters)


def test_equivalent_within_the_margin() -> None:
    pair = _judge(NEAR, margin=0.1)  # tested by hand in test_paired
    assert (pair.verdict, pair.matters, pair.more_seeds) == (Verdict.EQUIVALENT, None, None)
    assert pair.p_equivalent == pytest.approx(1 / 924, rel=0.2)


def test_undecided_with_what_seeds_find() -> None:
    # deviation √(6/5) = 1.0954; the advice is for the margin, whatever the mean was
    pair = _judge([1.5, -0.5] * 3, margin=0.5)
    assert (pair.verdict, pair.matters, pair.more_find) == (Verdict.UNDECIDED, None, 0.5)
    same_spread = _judge([1.0, -1.0] * 3, margin=0.5)
    assert same_spread.more_seeds == pair.more_seeds
    # (1.96 + 0.8416)² (1.0954 / 0.5)² = 37.7, and a few more for Student's t and for ranks (π/3)
    assert pair.n + (pair.more_seeds or 0) == pytest.approx(41.5, abs=1.5)
    assert pair.detectable is not None
    assert pair.detectable > 1.0954, "six seeds find less than a deviation seldom"
    assert _judge([1.01, -0.99] * 3, margin=1e-4).more_seeds is None, "a million seeds are no advice"


def test_where_the_margin_would_have_been_found_half_of_it_is_next() -> None:
    pair = _judge([1.5, -0.5] * 3, margin=8.0)
    assert (pair.verdict, pair.more_seeds) == (Verdict.EQUIVALENT, None)
    # deviation 1.43: six seeds find 3.45 = 2.4 deviations in more than 80 %; one of six on the other side: flips 4/64
    pair = _judge([3.0] * 5 + [-0.5], margin=3.45)
    assert pair.verdict == Verdict.UNDECIDED
    assert pair.more_find == 1.725
    assert pair.more_seeds is not None
    assert pair.detectable is not None
    assert 1.725 < pair.detectable <= 3.45


def test_more_pairs_take_more_seeds() -> None:
    values = by_seed({"a": [1.5, -0.5] * 3, "b": [0.0] * 6, "c": [0.0] * 6})
    first, second, same = judge_pairs(values, accuracy_metric(0.5))
    assert (same.verdict, same.more_seeds) == (Verdict.EQUIVALENT, None)
    assert first.more_seeds == second.more_seeds
    assert (first.more_seeds or 0) > (_judge([1.5, -0.5] * 3, margin=0.5).more_seeds or 0) + 8


def test_where_ranks_and_flips_disagree_a_pair_stays_undecided() -> None:
    # above all of b on 7 of 8 seeds: by ranks p is below 5 % (lead 3/8 over 1/8); the eighth outweighs them in the mean
    values = {"a": [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, -2.4], "b": [-1.2, -0.9, -0.6, -0.3, 0.0, 0.1, 0.2, 0.25]}
    (pair,) = judge_pairs(by_seed(values), accuracy_metric(0.01))
    assert pair.differences is not None
    assert pair.p == pair.p_holm
    assert pair.p is not None
    assert (pair.p < 0.05, pair.verdict) == (True, Verdict.UNDECIDED)
    assert pair.differences.p_flips > 0.2
    # and the other way round: six of six agree, by little where the seeds lie far apart: runs beat each other at random
    overlap = by_seed({"a": OVERLAPPING[0], "b": OVERLAPPING[1]})
    (pair,) = judge_pairs(overlap, accuracy_metric(0.01))
    assert pair.differences is not None
    assert pair.p is not None
    assert (pair.differences.p_flips, pair.p > 0.05, pair.verdict) == (2 / 64, True, Verdict.UNDECIDED)


@pytest.mark.parametrize("margin", [1e-9, 0.001])
def test_no_difference_at_all_is_equivalent(margin: float) -> None:
    pair = _judge([0.0] * 6, margin=margin)
    assert (pair.verdict, pair.p, pair.low, pair.high, pair.more_seeds) == (Verdict.EQUIVALENT, 1, 0, 0, None)
    (times,) = judge_pairs(by_seed({"a": SIX, "b": SIX}), epochs_metric(0.05))
    assert times.verdict == Verdict.EQUIVALENT


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


def test_a_lead_whose_mean_may_be_luck_is_one_on_typical_seeds() -> None:
    # ahead on every seed, by far on one of them: Student's interval of the mean holds zero (p = 0.32)
    values = [0.1, 0.2, 0.1, 0.2, 0.1, 9.0]
    pair = _judge(values, margin=0.01)
    assert (pair.verdict, pair.typical_only, pair.matters) == (Verdict.A_BETTER, True, None)
    assert ttest_1samp(values, 0).pvalue == pytest.approx(0.32, abs=0.01)


def test_a_net_that_diverges_on_half_of_its_seeds_is_never_better() -> None:
    # where it does not diverge it is above the other by far; its diverged runs stand at chance
    values = by_seed({"sound": [0.90, 0.91] * 5, "wild": [0.99, 0.10] * 5})
    (pair,) = judge_pairs(values, accuracy_metric(0.001, chance=0.1))
    assert pair.verdict == Verdict.UNDECIDED
    assert pair.p == 1.0
    mostly = by_seed({"sound": [0.90, 0.91] * 5, "wild": [0.99] * 3 + [0.1] * 7})
    assert judge_pairs(mostly, accuracy_metric(0.001, chance=0.1))[0].verdict == Verdict.UNDECIDED
    rarely = by_seed({"sound": [0.99, 0.991] * 5, "wild": [0.98] * 9 + [0.1]})
    assert judge_pairs(rarely, accuracy_metric(0.001, chance=0.1))[0].verdict == Verdict.A_BETTER


def test_nets_that_share_no_seed_are_not_said_to_have_learned_nothing() -> None:
    values = {"a": dict.fromkeys(range(3), 0.9), "b": dict.fromkeys(range(3), math.nan)}
    (pair,) = judge_pairs(values, accuracy_metric(0.001, chance=0.1))
    assert (pair.verdict, pair.never, pair.n) == (Verdict.TOO_FEW_SEEDS, False, 0)


def test_nets_that_both_only_guess_are_not_equivalent() -> None:
    # every difference is zero, but of runs that learned nothing; a hundredth of what there is to learn is no more
    for accuracies in ([0.1] * 8, [0.1135] * 8, [0.1] * 7 + [0.145]):
        (pair,) = judge_pairs(by_seed({"a": accuracies, "b": [0.1] * 8}), accuracy_metric(0.001, chance=0.1))
        assert pair.verdict == Verdict.UNDECIDED
    (pair,) = judge_pairs(by_seed({"a": [0.9] * 8, "b": [0.9] * 8}), accuracy_metric(0.001, chance=0.1))
    assert pair.verdict == Verdict.EQUIVALENT


def test_plain_numbers_are_judged_as_runs_are() -> None:
    values = by_seed({"a": SIX, "b": [0.0] * 6})
    assert judge(values, margin=1.0) == judge_pairs(values, accuracy_metric(1.0))
    assert judge(values, margin=1.0, higher_is_better=False)[0].verdict == Verdict.B_BETTER
    plan = SeedPlan.until_decided(6, 30)
    assert judge(values, looks=plan.looks)[0].confidence == pytest.approx(1 - plan.looks[0].level)


def test_holm_over_three_pairs_by_hand() -> None:
    # b and c overlap in 4 of 36 pairs of runs, a lies above both
    values = {"a": [9.0, 10, 11, 12, 13, 14], "b": [0.15, 1.05, 3, 4, 5, 6], "c": [-2.0, 1.0, 0.2, 0.1, 0.3, 0.6]}
    pairs = judge_pairs(by_seed(values), accuracy_metric(1.0))
    found = {pair.a + pair.b: pair for pair in pairs}
    apart = p_of_ranks(np.array(values["a"]), np.array(values["b"]))
    close = p_of_ranks(np.array(values["b"]), np.array(values["c"]))
    assert close == pytest.approx(0.0217, abs=0.002)
    assert [found[names].p_holm for names in ("ab", "ac", "bc")] == pytest.approx([3 * apart, 3 * apart, close])
    # the step of Holm decides the last one, whose Bonferroni interval (1 − 0.05/3) describes and does not decide
    assert found["bc"].confidence == pytest.approx(1 - 0.05 / 3)
    assert 3 * close > 0.05
    assert [found[names].verdict for names in ("ab", "ac", "bc")] == [Verdict.A_BETTER] * 3


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
    """Uncorrected."""
    assert pair.differences is not None
    return pair.differences.p_equivalent


def test_holm_over_equivalences_by_hand() -> None:
    values = {"a": [value + 0.01 for value in NEAR], "b": NEAR, "c": [0.0] * 6}
    pairs = judge_pairs(by_seed(values), accuracy_metric(0.1))
    raw = [p_same(pair) for pair in pairs]
    # a − b is 0.01 without deviation: p = 0; the others, moved by 0.1 either way, lie wholly above: 1 / C(12, 6) each
    assert raw == pytest.approx([0.0, 1 / 924, 1 / 924], rel=0.2)
    assert [pair.p_equivalent for pair in pairs] == pytest.approx([0.0, 2 * raw[1], 2 * raw[1]])
    assert [pair.verdict for pair in pairs[1:]] == [Verdict.EQUIVALENT] * 2


def test_six_seeds_are_too_few_for_fifty_nets() -> None:
    # 1,225 pairs take ten seeds: 1,225 × 2 / C(20, 10) = 0.013, × 2 / C(18, 9) = 0.0504
    values = by_seed({f"net {at:02}": [at + seed / 10 for seed in range(6)] for at in range(50)})
    pairs = judge_pairs(values, accuracy_metric(0.001))
    assert {(pair.verdict, pair.more_seeds) for pair in pairs} == {(Verdict.TOO_FEW_SEEDS, 4)}


def test_times_and_accuracies_are_judged_by_one_rule() -> None:
    ordered = by_seed({name: [at + s * at / 8 for s in range(8)] for at, name in enumerate("abcd")})
    times = judge_pairs(ordered, epochs_metric(0.05))
    accuracies = judge_pairs(ordered, accuracy_metric(0.05))
    assert [pair.p for pair in times] == [pair.p for pair in accuracies]
    opposite = {Verdict.A_BETTER: Verdict.B_BETTER, Verdict.B_BETTER: Verdict.A_BETTER}
    assert [pair.verdict for pair in times] == [opposite.get(pair.verdict, pair.verdict) for pair in accuracies]


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
