"""How many seeds it takes, against statsmodels, the method's own table and simulation."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.power import TTestPower

from bench.stats.paired import PairedDifferences, pair_differences
from bench.stats.power import MOST_SEEDS, POWER, power_of_better, power_of_equivalence, seeds_to_decide

DRAWS = 8_000
SIDE = 0.07 * math.sqrt(2)  # pp: the deviation of differences of two nets with 0.07 pp each, uncorrelated


def _having(mean: float, deviation: float, *, margin: float) -> PairedDifferences:
    """Forty differences with exactly this mean and deviation."""
    side = np.array([-1, 1] * 20) * deviation * math.sqrt(39 / 40)
    found = pair_differences((side + mean).tolist(), [0.0] * 40, margin=margin)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.deviation == pytest.approx(deviation)
    return found


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6, 0.005])
@pytest.mark.parametrize("n", [10, 15, 33, 60])
@pytest.mark.parametrize("effect", [0.25, 0.5, 0.8])
def test_power_from_ten_pairs_on_is_statsmodels(effect: float, n: int, alpha: float) -> None:
    expected = TTestPower().power(effect, n, alpha / 2, alternative="larger")  # without the wrong tail
    assert power_of_better(effect, n, alpha=alpha) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
@pytest.mark.parametrize("n", [6, 7, 8, 9])
def test_power_below_ten_pairs_is_what_simulated_studies_have(n: int, alpha: float) -> None:
    signs = np.array(list(itertools.product([1, -1], repeat=n)))
    for effect in (1.0, 1.5, 2.0, 3.0):
        values = np.random.default_rng(100 + n).normal(effect, 1, (DRAWS, n))
        sums = np.abs(values @ signs.T)
        p_flips = (sums >= np.abs(values.sum(axis=1, keepdims=True)) - 1e-9).mean(axis=1)
        found_t = values.mean(axis=1) / values.std(axis=1, ddof=1) * math.sqrt(n)
        both = float(((p_flips < 0.05) & (found_t > t.isf(alpha / 2, n - 1))).mean())
        # The smaller of two powers is a little above that of both together; the rest is chance, 3 × √(0.5² / 4,000).
        assert power_of_better(effect, n, alpha=alpha) == pytest.approx(both, abs=0.04)


def test_six_pairs_need_all_signs_alike() -> None:
    # by flips p = 2/64 then and 4/64 at least otherwise: power Φ(d)⁶ + Φ(−d)⁶, far below t's
    for effect in (1.0, 1.5):
        alike = NormalDist().cdf(effect) ** 6 + NormalDist().cdf(-effect) ** 6
        assert power_of_better(effect, 6, alpha=0.05) == pytest.approx(alike, abs=0.025)
        assert TTestPower().power(effect, 6, 0.05) > alike + 0.05


def test_power_is_certain_far_out_and_alpha_at_nothing() -> None:
    assert power_of_better(1e5, 12, alpha=0.05) == 1.0
    assert power_of_better(0.0, 12, alpha=0.05) == pytest.approx(0.025), "one of the two tails"
    assert power_of_equivalence(0.0, 1e5, 12, alpha=0.05) == 1.0


@pytest.mark.parametrize(
    ("effect", "margin", "n"),
    [(0, 1, 10), (0, 0.8, 20), (0.3, 1, 10), (0.3, 1, 20), (0.5, 1, 30), (0, 2, 6), (1, 2, 8)],
)
def test_power_of_equivalence_is_what_simulated_studies_have(effect: float, margin: float, n: int) -> None:
    for alpha in (0.05, 0.05 / 3):
        values = np.random.default_rng(n).normal(effect, 1, (30_000, n))
        half = t.isf(alpha, n - 1) * values.std(axis=1, ddof=1) / math.sqrt(n)
        simulated = float((np.abs(values.mean(axis=1)) + half < margin).mean())
        tolerance = 0.015 if simulated > 0.5 else 0.1  # where no seeds are planned it is a rough lower bound
        assert power_of_equivalence(effect, margin, n, alpha=alpha) == pytest.approx(simulated, abs=tolerance)


def test_means_outside_the_margin_are_never_equivalent() -> None:
    assert power_of_equivalence(1.0, 1.0, 500, alpha=0.05) == 0.0
    assert power_of_equivalence(2.0, 1.0, 500, alpha=0.05) == 0.0


def _wanted(found: PairedDifferences, *, alpha: float) -> int | None:
    advice = seeds_to_decide(found, alpha=alpha)
    return None if advice is None else advice.seeds


@pytest.mark.parametrize(
    ("difference", "alpha", "wanted"),
    # METHODOLOGY's table; four seeds would do at 0.30 pp, were six not the floor
    [(0.05, 0.05, 33), (0.05, 0.005, 57), (0.10, 0.05, 10), (0.10, 0.005, 18), (0.30, 0.05, 6), (0.30, 0.005, 6)],
)
def test_seeds_for_80_percent_power_as_the_table_of_the_method_says(
    difference: float, alpha: float, wanted: int
) -> None:
    assert _wanted(_having(difference, SIDE, margin=1e-4), alpha=alpha) == wanted
    assert _wanted(_having(-difference, SIDE, margin=1e-4), alpha=alpha) == wanted
    by_library = math.ceil(TTestPower().solve_power(difference / SIDE, None, alpha, 0.8))
    assert max(6, by_library) == wanted


def test_seeds_are_the_fewest_that_show_equivalence_where_that_is_sooner() -> None:
    found = _having(0.0, 1.0, margin=0.5)
    advice = seeds_to_decide(found, alpha=0.05)
    assert advice is not None
    assert advice.shows == "equivalent"
    wanted = advice.seeds
    # Julious 2004 (Stat. Med. 23, 1921): about (z(0.95) + z(0.90))² s² / margin² = (1.6449 + 1.2816)² × 4 = 34.3, + 1
    assert wanted == pytest.approx(35.3, abs=1)
    assert power_of_equivalence(0.0, 0.5, wanted, alpha=0.05) >= POWER
    assert power_of_equivalence(0.0, 0.5, wanted - 1, alpha=0.05) < POWER


def test_a_difference_at_the_margin_is_decided_by_telling_it_from_nothing() -> None:
    advice = seeds_to_decide(_having(0.5, 1.0, margin=0.5), alpha=0.05)
    assert advice is not None
    assert advice.shows == "better"
    assert advice.seeds == math.ceil(TTestPower().solve_power(0.5, None, 0.05, 0.8))


def test_no_advice_beyond_a_thousand_seeds() -> None:
    # about (1.96 + 0.8416)² / d² seeds: d = 0.09 takes 969, d = 0.088 takes 1,014
    assert _wanted(_having(0.09, 1.0, margin=1e-3), alpha=0.05) == pytest.approx(971, abs=2)
    assert _wanted(_having(0.088, 1.0, margin=1e-3), alpha=0.05) is None
    assert MOST_SEEDS == 1_000


def test_equal_differences_need_no_more_than_the_floor() -> None:
    assert _wanted(pair_differences([0.1] * 3, [0.0] * 3, margin=1), alpha=0.05) == 6
    assert _wanted(pair_differences([0.1] * 8, [0.0] * 8, margin=1), alpha=0.05) == 8
