"""What seeds find: against simulated studies that the rule itself judges, and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from bench.analysis.stats.paired import PairedDifferences, pair_differences
from bench.analysis.stats.power import MOST_SEEDS, POWER, advise_seeds, detectable_difference, power_of_better
from bench.analysis.stats.ranks import p_of_ranks


def _having(deviation: float, *, n: int = 40, mean: float = 0.0, margin: float) -> PairedDifferences:
    """So many differences with exactly this mean and deviation."""
    side = np.array([-1, 1] * (n // 2)) * deviation * math.sqrt((n - 1) / n)
    found = pair_differences((side + mean).tolist(), [0.0] * n, margin=margin)
    assert found.deviation == pytest.approx(deviation)
    return found


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
@pytest.mark.parametrize(("n", "effect"), [(6, 2.0), (8, 1.3), (12, 0.9), (13, 0.9), (20, 0.7), (40, 0.45)])
def test_power_is_that_of_simulated_studies(n: int, effect: float, alpha: float) -> None:
    studies = 1_000
    a, b = np.random.default_rng(50 + n).normal(0, math.sqrt(0.5), (2, studies, n))
    found = 0
    for one, other in zip(a + effect, b, strict=True):
        pair = pair_differences(one.tolist(), other.tolist(), margin=1.0)
        found += pair.rank_lead > 0 and pair.p_ranks < alpha and pair.p_flips < 0.05
    # chance: 3 × √(0.25 / 1,000) = 0.047
    assert power_of_better(effect, n, alpha=alpha) == pytest.approx(found / studies, abs=0.05)


@pytest.mark.parametrize("n", [20, 60])
def test_power_of_many_pairs_is_that_of_a_t_test_on_a_few_less(n: int) -> None:
    for effect in (0.25, 0.5):
        expected = TTestPower().power(effect * math.sqrt(3 / math.pi), n, 0.025, alternative="larger")
        assert power_of_better(effect, n, alpha=0.05) == pytest.approx(expected, rel=1e-9)


def test_power_is_certain_far_out_and_alpha_at_nothing() -> None:
    assert power_of_better(1e5, 8, alpha=0.05) == power_of_better(1e5, 20, alpha=0.05) == 1.0
    assert power_of_better(0.0, 20, alpha=0.05) == pytest.approx(0.025), "one of the two tails"
    assert power_of_better(0.0, 8, alpha=0.05) < 0.03


def test_advice_is_for_the_margin_and_not_for_what_was_seen() -> None:
    wanted = advise_seeds(_having(1.0, n=6, mean=0.0, margin=0.5), alpha=0.05)
    assert wanted == advise_seeds(_having(1.0, n=6, mean=0.49, margin=0.5), alpha=0.05)
    assert wanted is not None
    assert wanted.difference == 0.5
    by_library = math.ceil(TTestPower().solve_power(0.5 * math.sqrt(3 / math.pi), None, 0.05, POWER))
    assert wanted.seeds == by_library == 35


def test_who_would_have_found_the_margin_is_told_of_half_of_it() -> None:
    advice = advise_seeds(_having(1.0, n=40, margin=0.5), alpha=0.05)
    assert advice is not None
    assert (advice.difference, advice.seeds) == (0.25, 134)
    assert advice.seeds == math.ceil(TTestPower().solve_power(0.25 * math.sqrt(3 / math.pi), None, 0.05, POWER))


def test_what_is_advised_is_found_in_four_of_five_studies() -> None:
    advice = advise_seeds(_having(1.0, n=6, margin=0.8), alpha=0.05)
    assert advice is not None
    a, b = np.random.default_rng(7).normal(0, math.sqrt(0.5), (2, 1_500, advice.seeds))
    found = np.mean([p_of_ranks(one + 0.8, other) < 0.05 for one, other in zip(a, b, strict=True)])
    assert found == pytest.approx(POWER, abs=0.035)


def test_the_detectable_difference_is_found_by_as_many_seeds() -> None:
    for n in (8, 20, 60):
        least = detectable_difference(_having(2.0, n=n, margin=0.1), alpha=0.05)
        assert power_of_better(least / 2.0, n, alpha=0.05) == pytest.approx(POWER, abs=0.01)
    assert detectable_difference(_having(1.0, n=6, margin=0.1), alpha=1e-4) == math.inf, "0.0022 is the least"


def test_no_advice_beyond_a_thousand_seeds_nor_without_spread() -> None:
    # (1.96 + 0.8416)² π/3 / d²: 0.092 takes 971, 0.09 takes 1,015
    assert (advice := advise_seeds(_having(1.0, margin=0.092), alpha=0.05)) is not None
    assert advice.seeds == pytest.approx(973, abs=3)
    assert advise_seeds(_having(1.0, margin=0.09), alpha=0.05) is None
    assert MOST_SEEDS == 1_000
    assert advise_seeds(pair_differences([0.1] * 8, [0.0] * 8, margin=1), alpha=0.05) is None
