"""Verdicts on given pairs only: they alone are judged, counted and corrected for."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from bench.analysis.comparison import compare
from bench.analysis.metrics import accuracy_metric, epochs_metric
from bench.analysis.stats.ranks import p_of_ranks
from bench.analysis.verdicts import Verdict, judge_pairs
from bench.core.seeds import ONE_LOOK, SeedPlan
from tests.factories import by_seed

METRIC = accuracy_metric(0.001)
NETS = {
    "p tuned": [5.0, 6.1, 7.2, 5.4, 6.3, 7.1],
    "p default": [3.0, 4.0, 4.5, 4.2, 4.9, 4.5],
    "q tuned": [1.0, 2.0, 3.0, 4.0, 5.0, 6.5],
    "q default": [1.2, 1.9, 3.1, 4.2, 4.8, 6.1],
}
GIVEN = [("p tuned", "p default"), ("q tuned", "q default")]


def test_holm_and_intervals_count_the_given_pairs_alone() -> None:
    pairs = judge_pairs(by_seed(NETS), METRIC, pairs=GIVEN)
    assert [(pair.a, pair.b) for pair in pairs] == GIVEN
    p_values = [p_of_ranks(np.array(NETS[a]), np.array(NETS[b])) for a, b in GIVEN]
    holm = multipletests(p_values, method="holm")[1]
    assert [pair.p_holm for pair in pairs] == pytest.approx(list(holm))
    assert [pair.confidence for pair in pairs] == pytest.approx([0.975, 0.975])
    assert len(judge_pairs(by_seed(NETS), METRIC)) == 6


def test_a_pair_keeps_the_order_in_which_it_is_given() -> None:
    (forth,) = judge_pairs(by_seed(NETS), METRIC, pairs=[("p tuned", "p default")])
    (back,) = judge_pairs(by_seed(NETS), METRIC, pairs=[("p default", "p tuned")])
    assert (forth.verdict, back.verdict) == (Verdict.A_BETTER, Verdict.B_BETTER)
    assert forth.low == pytest.approx(-back.high if back.high is not None else None)


def test_the_fewest_seeds_follow_the_given_pairs() -> None:
    # of 45 pairs it takes 7 seeds (45 × 2 / C(14, 7) = 0.026), of one pair 6
    nets = {name: [0.1 * k for k in range(2)] for name in "abcdefghij"}
    (one,) = judge_pairs(by_seed(nets), epochs_metric(0.05, horizon=3), pairs=[("a", "b")])
    assert (one.verdict, one.more_seeds) == (Verdict.TOO_FEW_SEEDS, 4)
    every = judge_pairs(by_seed(nets), epochs_metric(0.05, horizon=3))
    assert {pair.more_seeds for pair in every} == {5}


def test_seeds_until_the_first_look_follow_the_given_pairs() -> None:
    looks = SeedPlan.until_decided(6, 12).looks
    early = {name: values[:3] for name, values in NETS.items()}
    (pair,) = judge_pairs(by_seed(early), METRIC, looks=looks, pairs=GIVEN[:1])
    assert (pair.verdict, pair.n, pair.more_seeds) == (Verdict.TOO_FEW_SEEDS, 3, 3)


def test_no_pairs_give_no_verdicts() -> None:
    assert judge_pairs(by_seed(NETS), METRIC, pairs=[]) == ()


def test_a_comparison_of_some_pairs_has_no_groups() -> None:
    some = compare(by_seed(NETS), METRIC, looks=ONE_LOOK, pairs=GIVEN)
    assert len(some.pairs) == 2
    assert some.groups == {}
    assert set(compare(by_seed(NETS), METRIC, looks=ONE_LOOK).groups) == set(NETS)
