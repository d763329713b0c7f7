"""Verdicts on really trained runs: one net under two names, and a net that was taught wrong labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.core.seeds import SeedPlan
from tests.error_rates.measure import disjoint_sets, distributions, planted, read_pool, simulated_sets


def lower_bound(found: list[bool]) -> float:
    """Of the rate, 95 % (Clopper-Pearson)."""
    return float(stats.binomtest(sum(found), len(found), alternative="greater").proportion_ci(0.95).low)


def upper_bound(found: list[bool]) -> float:
    return float(stats.binomtest(sum(found), len(found), alternative="less").proportion_ci(0.95).high)


def test_the_pool_is_what_it_says() -> None:
    pool = read_pool()
    assert {net: len(values) for net, values in pool.items()} == {"mistaught": 300, "twin-a": 1_200, "twin-b": 1_200}
    assert all(np.isfinite(values).all() for values in pool.values())
    assert stats.ttest_rel(pool["twin-a"], pool["twin-b"]).pvalue > 0.05, "the twins are one net"


def test_one_net_under_two_names_is_seldom_called_better() -> None:
    found = disjoint_sets(read_pool(), seeds=6)
    assert len(found) == 200
    assert lower_bound(found) <= 0.05
    assert upper_bound(found) <= 0.05, "2 of 200"
    assert upper_bound(disjoint_sets(read_pool(), seeds=30, looks=SeedPlan.until_decided(6, 30).looks)) < 0.08, "of 40"


def test_a_planted_difference_is_found_at_the_promised_power() -> None:
    found = planted(read_pool(), seeds=7, sets=400)  # 84 % promised
    assert lower_bound(found) <= 0.84
    assert upper_bound(found) >= 0.80


@pytest.mark.slow
@pytest.mark.parametrize("number", range(4))
def test_ten_thousand_simulated_sets_err_in_five_percent_at_most(number: int) -> None:
    draw = list(distributions(read_pool()).values())[number]
    assert np.mean(simulated_sets(draw, sets=10_000, seeds=6)) <= 0.05
